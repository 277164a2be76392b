package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

func newTailCmd() *cobra.Command {
	var from uint64
	var follow bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print the stream of entries as JSON lines",
		Long: `Prints every entry that headquarters have taken in, one JSON object a line, in the order in
which they were committed. "pos" is the place in this stream, without gaps; to go on where you
stopped, give --from the next one. Card numbers are masked.`,
		Example: `  azs-hq tail --follow
  azs-hq tail --from 1200 | jq 'select(.outcome == "quarantined")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				out := bufio.NewWriter(cmd.OutOrStdout())
				err := c.Stream(ctx, max(from, 1)-1, follow, func(line json.RawMessage) error {
					_, err := fmt.Fprintf(out, "%s\n", line)
					if follow {
						err = errors.Join(err, out.Flush())
					}
					return err
				})
				return errors.Join(err, out.Flush())
			})
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 1, "first `position` to print")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as entries come, until Ctrl-C")
	return cmd
}

func newAccountsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "accounts", Short: "Look at accounts", Args: cobra.NoArgs, RunE: help}
	cmd.AddCommand(newAccountsShowCmd(), newAccountsListCmd())
	return cmd
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func newAccountsShowCmd() *cobra.Command {
	var card string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [ACCOUNT]",
		Short: "Show one account: lots, rights at stations, cards",
		Example: `  azs-hq accounts show 1042
  azs-hq accounts show --card 7005123412349015 --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := admin.AccountQuery{Card: card}
			if (len(args) == 1) == (card != "") {
				return withHint(errors.New("which account?"), "give its number, or a card with --card")
			}
			if len(args) == 1 {
				id, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil || id == 0 || id > uint64(loyalty.MaxAccount) {
					return withHint(fmt.Errorf("%.40q is not the number of an account", args[0]), "a card's number goes behind --card")
				}
				q.Account = loyalty.AccountID(id)
			}
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				a, err := c.Account(ctx, q)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd, a)
				}
				return showAccount(cmd, &a)
			})
		},
	}
	cmd.Flags().StringVar(&card, "card", "", "`number` of one of its cards")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showAccount(cmd *cobra.Command, a *admin.Account) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) } // Flush reports
	p("account\t%d\nstate\t%s\ntotal\t%s\navailable\t%s\npromised to stations\t%s\n", a.ID, a.State, a.Total, a.Available, a.Promised)
	for _, c := range a.Cards {
		may := ""
		if !c.MayRedeem {
			may = ", may not redeem"
		}
		p("card\t%s, %s, %s%s\n", c.Number, c.Kind, c.State, may)
	}
	for _, l := range a.Lots {
		until := "does not expire"
		if l.Expires != "" {
			until = "expires " + l.Expires
		}
		p("lot\t%s from %s, %s\n", l.Points, l.ActiveFrom, until)
	}
	for _, c := range a.Cells {
		p("station %d\tissued %s, used %s, voided %s, returned %s, posted %s; outstanding %s (epoch %d)\n",
			c.Station, c.Issued, c.Used, c.Voided, c.Returned, c.Posted, c.Outstanding, c.Epoch)
	}
	return w.Flush()
}

func newAccountsListCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List all accounts", Example: "  azs-hq accounts list --json", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "ACCOUNT\tSTATE\tTOTAL\tAVAILABLE\tPROMISED", (*admin.Client).Accounts, func(a admin.Account) []any {
				return []any{a.ID, a.State, a.Total, a.Available, a.Promised}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	return cmd
}

// table prints a list as it comes, for people or for scripts.
func table[T any](cmd *cobra.Command, asJSON bool, header string, list func(*admin.Client, context.Context, func(T) error) error, columns func(T) []any) error {
	return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
		if asJSON {
			return list(c, ctx, func(v T) error { return jsonLine(cmd, v) })
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, header) // Flush reports
		n := 0
		err := list(c, ctx, func(v T) error {
			row := columns(v)
			_, err := fmt.Fprintf(w, strings.TrimPrefix(strings.Repeat("\t%v", len(row)), "\t")+"\n", row...)
			if n++; n%1000 == 0 {
				err = errors.Join(err, w.Flush())
			}
			return err
		})
		return errors.Join(err, w.Flush())
	})
}

func newStationsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "stations", Short: "Look at stations, and add them", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List the stations and how they are", Example: "  azs-hq stations list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "STATION\tONLINE\tLAST SEEN\tVERSION\tEPOCH\tENTRIES\tBACKLOG\tTO BE TOLD", (*admin.Client).Stations, func(s admin.Station) []any {
				online := "no"
				if s.Online {
					online = "yes"
				}
				if s.Forked {
					online += ", forked"
				}
				return []any{s.ID, online, s.LastSeen, s.Version, s.Epoch, s.Seq, s.Backlog, s.Down}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	add := &cobra.Command{
		Use: "add STATION...", Short: "Let stations speak", Example: "  azs-hq stations add 17 18 19", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []loyalty.StationID
			for _, a := range args {
				id, err := strconv.ParseUint(a, 10, 32)
				if err != nil || id == 0 || loyalty.StationID(id) > loyalty.MaxStation {
					return fmt.Errorf("%.40q is not the number of a station, 1 to %d", a, loyalty.MaxStation)
				}
				ids = append(ids, loyalty.StationID(id))
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				e, err := c.Enrol(ctx, ids)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "added %d, there already %d\n", e.Added, e.There)
				return err
			})
		},
	}
	cmd.AddCommand(list, add)
	return cmd
}

func newQuarantineCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "quarantine", Short: "Look at entries that could not be applied", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List entries that could not be applied, with the reason", Example: "  azs-hq quarantine list --json", Args: cobra.NoArgs,
		Long: `An entry that cannot be applied is kept with its reason and acknowledged, so that it holds
nothing up; its station is told. Whoever looks at it decides what becomes of it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return table(cmd, asJSON, "POSITION\tSTATION\tEPOCH\tENTRY\tAT\tREASON", (*admin.Client).Quarantine, func(l admin.Line) []any {
				return []any{l.Pos, l.Station, l.Epoch, l.Seq, l.At, l.Reason}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.AddCommand(list)
	return cmd
}

func newAlarmsCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "alarms", Short: "Look at what a person has to look at", Args: cobra.NoArgs, RunE: help}
	list := &cobra.Command{
		Use: "list", Short: "List forks, rollbacks and overspending, one line for each station, kind and epoch", Example: "  azs-hq alarms list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := func(c *admin.Client, ctx context.Context, fn func(admin.Alarm) error) error {
				as, err := c.Alarms(ctx)
				for _, a := range as {
					if err := fn(a); err != nil {
						return err
					}
				}
				return err
			}
			return table(cmd, asJSON, "STATION\tEPOCH\tKIND\tTIMES\tLAST\tWHAT", all, func(a admin.Alarm) []any {
				return []any{a.Station, a.Epoch, a.Kind, a.Count, a.Last, a.Text}
			})
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.AddCommand(list)
	return cmd
}

func newVerifyCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove the whole store: every chain, every balance",
		Long: `Reads the whole store: the checksum of every value, the hash chain of every station's journal
from its first entry, and every balance, computed again from what was brought in and the entries.
On a store in use it reads one state from beginning to end; the file grows while it does.`,
		Example: "  azs-hq verify",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				raw, err := c.Check(ctx)
				if err != nil {
					return withHint(err, "stop azs-hq, keep the file, and put a copy back; the stations send again what it lacks")
				}
				if asJSON {
					return printJSON(cmd, raw)
				}
				var n map[string]uint64
				if err := json.Unmarshal(raw, &n); err != nil {
					return fmt.Errorf("read the report: %w", err)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "good: %d entries (%d set aside) of %d stations, %d accounts, %d cards\n",
					n["entries"], n["quarantined"], n["stations"], n["accounts"], n["cards"])
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newExportCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Write the books out for other programs", Args: cobra.NoArgs, RunE: help}
	accounts := &cobra.Command{
		Use:   "accounts",
		Short: "Write all accounts as CSV",
		Long: `Writes a row for every account: account,state,total,available,promised. (It is for reading, and
not the form that import takes: rights at stations cannot be brought in.)`,
		Example: "  azs-hq export accounts --csv > accounts.csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withHQ(cmd, reads, func(ctx context.Context, c *admin.Client) error {
				w := csv.NewWriter(cmd.OutOrStdout())
				err := w.Write([]string{"account", "state", "total", "available", "promised"})
				if err != nil {
					return err
				}
				err = c.Accounts(ctx, func(a admin.Account) error {
					return w.Write([]string{strconv.FormatUint(uint64(a.ID), 10), a.State.String(), a.Total, a.Available, a.Promised})
				})
				w.Flush()
				return errors.Join(err, w.Error())
			})
		},
	}
	accounts.Flags().Bool("csv", true, "as CSV, the only form there is")
	cmd.AddCommand(accounts)
	return cmd
}

func newProgrammeCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{Use: "programme", Short: "Put a programme in force", Args: cobra.NoArgs, RunE: help}
	publish := &cobra.Command{
		Use:   "publish FILE",
		Short: "Check a programme's file and send it to every station",
		Long: `Checks the file, puts it in force and sends it to every station. Its version has to be above the
one in force; the same file published again changes nothing.`,
		Example: "  azs-hq programme publish bonus.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := os.Stat(args[0])
			if err != nil {
				return fmt.Errorf("read the programme: %w", err)
			}
			if info.Size() > loyalty.MaxProgramme {
				return fmt.Errorf("%s has %d bytes, a programme at most %d: is it the right file?", args[0], info.Size(), loyalty.MaxProgramme)
			}
			source, err := readProgramme(args[0])
			if err != nil {
				return err
			}
			if _, err := loyalty.ParseProgramme(source); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return withHQ(cmd, writes, func(ctx context.Context, c *admin.Client) error {
				p, err := c.Publish(ctx, source)
				switch {
				case err != nil:
					return err
				case asJSON:
					return printJSON(cmd, p)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "programme %s, version %d, is in force\n", p.Name, p.Version)
				return err
			})
		},
	}
	publish.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(publish)
	return cmd
}

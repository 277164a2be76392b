package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/agent/loyalty"
	"github.com/azs-edge/azs-edge/sync/hq"
)

const byWords = `The operator's name and the reason go into the journal, for ever: no names of customers in the reason,
but the number of the letter, the call or the ticket.`

// by are the flags with which an operator says who he is and why.
type by struct{ operator, reason string }

// flags adds them to a command; a reason has to be given.
func (b *by) flags(cmd *cobra.Command) {
	b.name(cmd)
	cmd.Flags().StringVar(&b.reason, "reason", "", "`why`, as the number of a letter; required")
}

func (b *by) name(cmd *cobra.Command) {
	cmd.Flags().StringVar(&b.operator, "operator", "", "`name` of who does it; default: the user who runs the command")
}

// say is who does it and why.
func (b *by) say() (hq.By, error) {
	out := hq.By{Operator: b.who(), Reason: b.reason}
	if b.reason == "" {
		return out, withHint(errors.New("the reason is missing"), "say why with --reason, as --reason \"letter 118 of 1 June\"; it goes into the journal")
	}
	return out, out.Check()
}

// who is the operator: whom the flag names, else who has logged in.
func (b *by) who() string {
	if b.operator != "" {
		return b.operator
	}
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// accountNumber reads the number of an account.
func accountNumber(arg string) (loyalty.AccountID, error) {
	id, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || id == 0 || id > uint64(loyalty.MaxAccount) {
		return 0, withHint(fmt.Errorf("%.40q is not the number of an account", arg), "`azs-hq accounts show --card NUMBER` finds it by a card")
	}
	return loyalty.AccountID(id), nil
}

// state reads a flag with a state; nil if it was not given.
func stateFlag(cmd *cobra.Command) (*loyalty.State, error) {
	text := cmd.Flag("state")
	if !text.Changed {
		return nil, nil
	}
	s, err := loyalty.ParseState(text.Value.String())
	return &s, err
}

// redeemFlag reads --redeem; nil if it was not given.
func redeemFlag(cmd *cobra.Command) (*bool, error) {
	text := cmd.Flag("redeem")
	if !text.Changed {
		return nil, nil
	}
	on := text.Value.String() == "on"
	if !on && text.Value.String() != "off" {
		return nil, fmt.Errorf("--redeem %q, want on or off", text.Value)
	}
	return &on, nil
}

// momentFlag reads a day or a moment; zero if it was not given.
func momentFlag(text string) (loyalty.Instant, error) {
	if text == "" {
		return 0, nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() >= 1970 && t.Year() < 2200 {
			return loyalty.At(t), nil
		}
	}
	return 0, withHint(fmt.Errorf("%.40q is not a day or a moment", text), "write 2027-12-31 (it begins at 00:00 UTC) or 2027-12-31T00:00:00+03:00")
}

// signedPoints reads points with a sign.
func signedPoints(text string) (loyalty.Points, error) {
	digits, minus := strings.CutPrefix(text, "-")
	p, err := loyalty.ParsePoints(strings.TrimPrefix(digits, "+"))
	if err != nil || p == 0 {
		return 0, withHint(fmt.Errorf("%.40q is not a number of points", text), "write +120, 120.50 or -35")
	}
	if minus {
		p = -p
	}
	return p, nil
}

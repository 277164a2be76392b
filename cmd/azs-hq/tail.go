package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
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
stopped, give --from the next one. Card numbers are masked.

With --follow it goes on until Ctrl-C, through every stop and start of azs-hq, and says on standard
error when that happens. It never keeps azs-hq from starting.`,
		Example: `  azs-hq tail --follow
  azs-hq tail --from 1200 | jq 'select(.outcome == "quarantined")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := offlineSettings(cmd)
			if err != nil {
				return err
			}
			t := &tail{
				cmd: cmd, settings: c, after: max(from, 1) - 1, follow: follow, out: bufio.NewWriter(cmd.OutOrStdout()),
				read: (*admin.Client).Stream,
			}
			return errors.Join(t.Run(cmd.Context()), t.out.Flush())
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 1, "first `position` to print")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as entries come, until Ctrl-C")
	return cmd
}

// tail prints the stream from whoever has the store at the moment.
type tail struct {
	cmd      *cobra.Command
	settings config.HQ
	after    uint64 // the last position printed
	follow   bool
	out      *bufio.Writer
	source   string // what is read from, as was last said
	// read reads the lines after a position.
	read func(c *admin.Client, ctx context.Context, after uint64, follow bool, fn func(json.RawMessage) error) error
	// show makes of a line what is printed; nil: the line.
	show func(json.RawMessage) (string, error)
}

const (
	// tailPage is how many lines are read at once from a store that nobody has open. They are printed after the store is
	// closed again: whoever reads them may be slow, and azs-hq must be able to start.
	tailPage = 1000
	// tailPause is how long a follower waits before it looks again into a store that nobody has open.
	tailPause = 500 * time.Millisecond
)

// Run prints until the stream ends, or following, until ctx is done.
func (t *tail) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		h, err := connect(t.cmd, t.settings, reads)
		more := false
		if err == nil {
			t.say(h)
			if h.running {
				err = t.stream(ctx, h)
			} else {
				more, err = t.page(ctx, h)
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (!t.follow || t.source == "" || !passes(err)):
			return err
		case err == nil && !more && !t.follow:
			return nil
		case !more:
			pause := time.NewTimer(tailPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		}
	}
	return nil
}

// passes tells whether an error is what a follower sees while azs-hq stops or starts.
func passes(err error) bool {
	return isNetwork(err) || errors.Is(err, admin.ErrStopped)
}

// say tells a person once from where is read now.
func (t *tail) say(h *headquarters) {
	if h.where == t.source || !t.follow {
		t.source = h.where
		return
	}
	if h.running {
		t.cmd.PrintErrf("following %s\n", h.where)
	} else {
		t.cmd.PrintErrf("azs-hq does not run; waiting for it, reading %s\n", h.where)
	}
	t.source = h.where
}

// stream prints what a running azs-hq sends.
func (t *tail) stream(ctx context.Context, h *headquarters) error {
	err := t.read(h.client, ctx, t.after, t.follow, func(line json.RawMessage) error {
		if err := t.print(line); err != nil || !t.follow {
			return err
		}
		return t.out.Flush()
	})
	return errors.Join(err, h.close())
}

var errPageFull = errors.New("page is full")

// page reads a page, closes the store, and prints; more tells that there may be another page.
func (t *tail) page(ctx context.Context, h *headquarters) (more bool, err error) {
	var lines []json.RawMessage
	err = t.read(h.client, ctx, t.after, false, func(line json.RawMessage) error {
		lines = append(lines, line)
		if len(lines) == tailPage {
			return errPageFull
		}
		return nil
	})
	if more = errors.Is(err, errPageFull); more {
		err = nil
	}
	if err = errors.Join(err, h.close()); err != nil {
		return false, err
	}
	for _, line := range lines {
		if err := t.print(line); err != nil {
			return false, err
		}
	}
	return more, t.out.Flush()
}

func (t *tail) print(line json.RawMessage) error {
	var at struct {
		Pos uint64 `json:"pos"`
	}
	if err := json.Unmarshal(line, &at); err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	text := string(line)
	if t.show != nil {
		var err error
		if text, err = t.show(line); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(t.out, text); err != nil {
		return fmt.Errorf("print the stream: %w", err)
	}
	t.after = at.Pos
	return nil
}

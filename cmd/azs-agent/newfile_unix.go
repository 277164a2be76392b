//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// serviceAccount is the account and the group the daemon runs as.
const serviceAccount = "azs-agent"

// giveToAgentGroup lets the daemon's group at a file that root writes. Without root, or before the group exists, the
// file stays the caller's.
func giveToAgentGroup(f *os.File) error {
	if os.Geteuid() != 0 {
		return nil
	}
	g, err := user.LookupGroup(serviceAccount)
	var unknown user.UnknownGroupError
	if errors.As(err, &unknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up the group %s: %w", serviceAccount, err)
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("looking up the group %s: %w", serviceAccount, err)
	}
	return f.Chown(-1, gid)
}

// syncFolder makes a rename in a folder durable.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

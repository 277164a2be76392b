package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// right is what an account wants to do with a file.
type right uint32

// The rights.
const (
	mayRead right = iota
	mayWrite
	mayChange
)

// account is who the service runs as. On Windows that is LocalSystem, which may do everything.
type account struct{}

func serviceUser() *account { return nil }

// stoppedAt is never asked.
func (*account) stoppedAt(string, right) string { return "" }

// clockSynced is not known: the time service answers only to a program of its own.
func clockSynced() (known, synced bool) { return false, false }

// diskOf is what this process may still write below a folder, and the kind of its file system if it is no place for a
// ledger.
func diskOf(folder string) (free int64, kind string, err error) {
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, "", fmt.Errorf("looking at the disk of %s: %w", folder, err)
	}
	var n uint64
	if err := windows.GetDiskFreeSpaceEx(path, &n, nil, nil); err != nil {
		return 0, "", fmt.Errorf("looking at the disk of %s: %w", folder, err)
	}
	return int64(min(n, 1<<62)), "", nil
}

// syncData waits until a file's bytes are on the disk, as the ledger does.
func syncData(f *os.File) error { return f.Sync() }

func probeFastCommit(string) fastCommitFacts { return fastCommitFacts{} }

func scannerRuleInstalled() bool { return true }

// removeEarly does nothing: Windows does not remove a file that is open.
func removeEarly(string) {}

func removeLate(path string) error { return os.Remove(path) }

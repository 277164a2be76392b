package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What adjtimex(2) says of a clock that nobody keeps right.
const (
	timeError = 5
	staUnsync = 0x40
)

// clockSynced tells whether the operating system keeps the clock by another, and whether that can be known at all.
func clockSynced() (known, synced bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil, state != timeError && t.Status&staUnsync == 0
}

// diskOf is what an ordinary process may still write below a folder, and the kind of its file system if it is no place
// for a ledger.
func diskOf(folder string) (free int64, kind string, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, "", fmt.Errorf("looking at the disk of %s: %w", folder, err)
	}
	switch uint32(s.Type) {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		kind = "tmpfs"
	case unix.NFS_SUPER_MAGIC:
		kind = "nfs"
	case unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.SMB_SUPER_MAGIC:
		kind = "cifs"
	}
	return int64(s.Bavail) * int64(s.Bsize), kind, nil
}

// syncData waits until a file's bytes are on the disk, as the ledger does.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// probeFastCommit asks ext4 whether it has made fast commits; the timing of the disk just before has made it commit. The
// mount options do not tell: only the first release candidates that had them showed them there.
func probeFastCommit(folder string) fastCommitFacts {
	var st unix.Stat_t
	var uts unix.Utsname
	if unix.Stat(folder, &st) != nil || unix.Uname(&uts) != nil {
		return fastCommitFacts{}
	}
	link, err := os.Readlink(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)))
	if err != nil {
		return fastCommitFacts{}
	}
	device := filepath.Base(link)
	f, err := os.Open("/proc/fs/ext4/" + device + "/fc_info")
	if err != nil {
		return fastCommitFacts{}
	}
	defer func() { _ = f.Close() }() // only read
	facts := fastCommitFacts{device: "/dev/" + device, kernel: unix.ByteSliceToString(uts.Release[:])}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// "12 commits" and "3 ineligible"; both stay at 0 where the feature is off
		count, word, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if (word == "commits" || word == "ineligible") && count != "0" {
			facts.used = true
		}
	}
	return facts
}

// scannerRuleInstalled tells whether the udev rule of the package, or of `service install`, is there.
func scannerRuleInstalled() bool {
	return exists(ownUdevRule) || exists("/usr/lib/udev/rules.d/"+filepath.Base(ownUdevRule)) || exists("/lib/udev/rules.d/"+filepath.Base(ownUdevRule))
}

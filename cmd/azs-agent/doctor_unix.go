//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// right is what an account wants to do with a file, as the bits of one class of its mode.
type right uint32

// The rights.
const (
	mayRead   right = 4
	mayWrite  right = 6
	mayChange right = 7 // a folder: make, rename and remove files in it
	mayEnter  right = 1
)

// account is who the service runs as.
type account struct {
	uid  uint32
	gids map[uint32]bool
}

// serviceUser is the service's account, or nil if there is none yet.
func serviceUser() *account {
	u, err := user.Lookup(serviceAccount)
	if err != nil {
		return nil
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	a := &account{uid: uint32(uid), gids: map[uint32]bool{}}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil {
			a.gids[uint32(gid)] = true
		}
	}
	return a
}

// stoppedAt returns the file, or the folder above it, at which the account's rights end, by their modes; "" means that it
// may. What cannot be looked at is not held against it: an access list may allow more than a mode says, never less here.
func (a *account) stoppedAt(path string, want right) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if !a.may(path, want) {
		return path
	}
	for dir := filepath.Dir(path); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if !a.may(dir, mayEnter) {
			return dir
		}
	}
	return ""
}

// may holds the account to the one class of the mode that counts for it.
func (a *account) may(path string, want right) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	return modeAllows(info.Mode().Perm(), want, st.Uid == a.uid, a.gids[st.Gid])
}

// modeAllows reads a mode: the owner's bits count for the owner even where others have more.
func modeAllows(mode fs.FileMode, want right, owner, member bool) bool {
	bits := mode
	switch {
	case owner:
		bits = mode >> 6
	case member:
		bits = mode >> 3
	}
	return right(bits)&want == want
}

// removeEarly removes a file that is open: nothing is left of it then, even if this process is killed.
func removeEarly(path string) { _ = os.Remove(path) } // removeLate tries again and reports

// removeLate removes what removeEarly could not.
func removeLate(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

package packaging

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildPackages runs build.sh of a working tree for amd64 and returns the folder.
func buildPackages(t *testing.T, tree, version string) string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), filepath.Join(tree, "packaging", "build.sh"), out, "amd64")
	cmd.Env = append(os.Environ(), "VERSION="+version)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the packages: %v\n%s", err, text)
	}
	return out
}

// one returns the only file of a folder that matches.
func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s in %s: %v, %v", pattern, dir, found, err)
	}
	return found[0]
}

// asked skips a test that takes minutes unless it is asked for by name, or every real part is required.
func asked(t *testing.T, name, why string) {
	t.Helper()
	if os.Getenv(name) != "1" && os.Getenv("AZS_TEST_REQUIRE") != "1" {
		t.Skipf("%s: set %s=1 to run it", why, name)
	}
}

// TestPackagesAreReproducible builds two clones of the last commit, in folders and with a umask of their own, and
// compares every byte; then lintian reads the deb.
func TestPackagesAreReproducible(t *testing.T) {
	asked(t, "AZS_TEST_PACKAGES", "it builds for a minute")
	var outs [2]string
	for i, name := range []string{"a", "a much longer name"} {
		clone := filepath.Join(t.TempDir(), name)
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", `umask $2; git clone -q --no-hardlinks .. "$1"`, "sh", clone, []string{"022", "077"}[i]).CombinedOutput(); err != nil {
			t.Fatalf("cloning: %v\n%s", err, out)
		}
		outs[i] = buildPackages(t, clone, "1.0.0")
	}
	for _, pattern := range []string{"*.deb", "*.rpm", "SHA256SUMS"} {
		var files [2][]byte
		for i, dir := range outs {
			content, err := os.ReadFile(one(t, dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			files[i] = content
		}
		if !bytes.Equal(files[0], files[1]) {
			t.Errorf("%s differs between two builds of one commit", pattern)
		}
	}
	lintian := need(t, "lintian", "lintian")
	out, err := exec.CommandContext(t.Context(), lintian, "--allow-root", "-I", "--pedantic", "--fail-on", "error,warning,info,pedantic", one(t, outs[0], "*.deb")).CombinedOutput()
	if err != nil {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// TestLifeCycle plays testdata/lifecycle.sh in a Debian machine with a real systemd, booted for the purpose.
func TestLifeCycle(t *testing.T) {
	asked(t, "AZS_TEST_NSPAWN", "it boots a machine, as root")
	if os.Geteuid() != 0 {
		t.Fatal("run it as root: it mounts and boots")
	}
	for _, tool := range []string{"systemd-nspawn", "debootstrap"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not here: apt-get install systemd-container debootstrap", tool)
		}
	}
	files := t.TempDir()
	for name, version := range map[string]string{"old.deb": "1.0.0", "new.deb": "1.1.0"} {
		if err := os.Rename(one(t, buildPackages(t, "..", version), "*.deb"), filepath.Join(files, name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "testdata/boot.sh", debianTree(t), "testdata/lifecycle.sh",
		filepath.Join(files, "old.deb"), filepath.Join(files, "new.deb"))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "-- done") {
		t.Fatalf("the life cycle broke off: %v", err)
	}
}

// debianTree returns a Debian tree to boot over, and keeps it in the user's cache for the next run: AZS_TEST_NSPAWN_TREE
// names another.
func debianTree(t *testing.T) string {
	t.Helper()
	if tree := os.Getenv("AZS_TEST_NSPAWN_TREE"); tree != "" {
		return tree
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(cache, "azs-edge", "bookworm")
	if _, err := os.Stat(filepath.Join(tree, "usr/lib/systemd/systemd")); err == nil {
		return tree
	}
	if err := os.MkdirAll(filepath.Dir(tree), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh := tree + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "debootstrap", "--variant=minbase",
		"--include=systemd,systemd-sysv,dbus,udev,procps,adduser,iproute2,curl", "bookworm", fresh).CombinedOutput()
	if err != nil {
		t.Fatalf("debootstrap: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/sync/hq/admin"
)

// TestProgress: what is said while a file is checked counts rows once, and bytes of the file.
func TestProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accounts.csv")
	if err := os.WriteFile(path, []byte(admin.AccountsHeader+"\n1,active,5,,\n1,active,6,,\n2,active,0,,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var said bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetErr(&said)
	cmd.SetContext(t.Context())
	total, err := accountFiles().check(cmd, f, path, &progress{cmd: cmd})
	if err != nil || total != 2 {
		t.Errorf("counted %d, %v", total, err)
	}
	if got := strings.TrimSpace(said.String()); got != "checked 1, 100% of the file" {
		t.Errorf("said %q", got)
	}
}

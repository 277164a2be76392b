package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
)

// beginning is what init writes down.
type beginning struct{ Broker, Store, Listen, TokenFile, Metrics, ActKey, Forms string }

func newInitCmd() *cobra.Command {
	var broker string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Begin new headquarters: a configuration, keys and an empty store",
		Long: `Writes a configuration file with a word on every key that is likely to be needed next, a token for
those who call the HTTP API, an empty store, and two keys. Where the configuration file is named
(--config or AZSHQ_CONFIG) they are put beside it.

The key of acts signs what ` + "`azs-hq accounts close` and `forget`" + ` state; its public half, the file
that ends in .pub, is for whoever verifies an act.

The identity of forms opens what new customers write at the counter. Stations seal it to the
recipient that is printed here and cannot read it back, nor can azs-hq: only whoever has the file.
Move the file to a place that is not on the network, with a copy in a safe: without it no form is
ever read again, and whoever else has it reads all of them.

An existing configuration is never overwritten; keys or a store that are there are kept.`,
		Example: `  azs-hq init --broker tls://mqtt.example:8883
  azs-hq init --config ./hq.yaml --broker tcp://127.0.0.1:1883`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := filepath.Abs(cmd.Flag("config").Value.String())
			if err != nil {
				return err
			}
			b, err := begin(cmd, path, broker)
			if err != nil {
				return err
			}
			return b.write(cmd, path)
		},
	}
	cmd.Flags().StringVar(&broker, "broker", "tcp://127.0.0.1:1883", "`address` of the broker, as tls://host:8883")
	return cmd
}

// begin finds where everything goes: what flags say, else the system's places, else beside the configuration.
func begin(cmd *cobra.Command, path, broker string) (*beginning, error) {
	c := config.DefaultHQ()
	b := &beginning{
		Broker: broker, Store: c.Store.Path, Listen: c.HTTP.Listen, TokenFile: c.HTTP.TokenFile, Metrics: c.Metrics.Listen,
		ActKey: c.Accounts.ActKeyFile, Forms: filepath.Join(filepath.Dir(path), "forms.identity"),
	}
	if path != config.HQPath() {
		beside := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
		b.Store, b.TokenFile, b.ActKey, b.Forms = beside("hq.db"), beside("hq.token"), beside("hq.acts.key"), beside("hq.forms.identity")
	}
	for flag, into := range map[string]*string{"store": &b.Store, "token-file": &b.TokenFile} {
		if f := cmd.Flag(flag); f.Changed {
			abs, err := filepath.Abs(f.Value.String())
			if err != nil {
				return nil, err
			}
			*into = abs
		}
	}
	if f := cmd.Flag("listen"); f.Changed {
		b.Listen = f.Value.String()
	}
	return b, nil
}

// firstConfig is the file that init writes.
var firstConfig = template.Must(template.New("config").Funcs(template.FuncMap{"yaml": strconv.Quote}).Parse(
	`# Configuration of azs-hq. "azs-hq config check" checks it, "azs-hq config schema" describes every key.

brokers:                  # tried in turn
  - {{yaml .Broker}}
# username: azs-hq        # where the broker asks for them; the password is in a file of its own
# password_file: /etc/azs-hq/mqtt.password
# ca_file: /etc/azs-hq/ca.pem        # who has signed the broker's certificate; default: the system's authorities
# cert_file: /etc/azs-hq/hq.pem      # where the broker knows its clients by certificate
# key_file: /etc/azs-hq/hq.key

store:
  path: {{yaml .Store}}   # the ledger of record

http:                     # what the commands call while azs-hq runs; this machine only
  listen: {{yaml .Listen}}
  token_file: {{yaml .TokenFile}}

# programme:
#   file: bonus.yaml      # published when azs-hq starts, if its version is newer than the one in force

accounts:
  advance_at: "03:30"     # expiry, activation and tiers are written down daily, by this machine's clock
  act_key_file: {{yaml .ActKey}}   # signs the acts of closed accounts

metrics:
  listen: {{yaml .Metrics}}   # /metrics for Prometheus, and /healthz

log:
  level: info             # debug, info, warn, error
  format: text            # text, json
`))

// write makes token, keys, store and configuration. The configuration comes last: where it is, everything is.
func (b *beginning) write(cmd *cobra.Command, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return withHint(fmt.Errorf("%s is there already", path), "edit it, and check it with `azs-hq config check`; or move it away and run init again")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the configuration: %w", err)
	}
	var src bytes.Buffer
	if err := firstConfig.Execute(&src, b); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if _, err := config.ParseHQ(path, src.Bytes(), nil); err != nil {
		return err
	}
	hint := "run it as root, or name a file of your own with --config"
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return withHint(fmt.Errorf("make the folder of the configuration: %w", err), hint)
	}
	if _, err := ensureToken(b.TokenFile, rand.Text); err != nil {
		return err
	}
	if err := ensureActKey(b.ActKey); err != nil {
		return err
	}
	recipient, err := ensureFormsIdentity(b.Forms)
	if err != nil {
		return err
	}
	store, err := embedded.Open(embedded.Config{Path: b.Store})
	if err != nil {
		return withHint(err, "name a file that can be written with --store")
	}
	if err := store.Close(); err != nil {
		return err
	}
	if err := writeNew(path, src.Bytes(), 0o640); err != nil {
		return withHint(fmt.Errorf("write the configuration: %w", err), hint)
	}
	cmd.Printf("configuration  %s\ntoken          %s\nstore          %s\nkey of acts    %s\n  public half  %s\nforms open by  %s\nforms key      %s\n",
		path, b.TokenFile, b.Store, b.ActKey, publicPath(b.ActKey), b.Forms, recipient)
	cmd.PrintErrf("hint: write `forms_key: %s` under `cards:` in the stations' configuration, and keep %s off this machine:\n"+
		"hint: move it to a medium in a safe, with a copy in another; without it the forms of new customers cannot be read\n", recipient, b.Forms)
	if path != config.HQPath() && os.Getenv("AZSHQ_CONFIG") == "" {
		cmd.PrintErrf("hint: `export AZSHQ_CONFIG=%s`, and every command reads it\n", path)
	}
	return nil
}

// writeNew writes a file that is not there yet, and waits until it is on the disk.
func writeNew(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

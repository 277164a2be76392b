package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/sync/hq"
	"github.com/azs-edge/azs-edge/sync/hq/admin"
	"github.com/azs-edge/azs-edge/sync/hq/embedded"
)

// overrides are flags that take the place of a key of the configuration, by its environment variable.
var overrides = []struct{ flag, variable, usage string }{
	{"store", "AZSHQ_STORE_PATH", "`file` of the ledger of record; without a configuration file the token is kept beside it"},
	{"listen", "AZSHQ_HTTP_LISTEN", "loopback `address` of the HTTP API that the commands call"},
	{"token-file", "AZSHQ_HTTP_TOKEN_FILE", "`file` of the API's token"},
}

// loadSettings reads the configuration: the file, the environment, then the flags. Only the file that was not named may
// be missing. extra are more variables of the form NAME=value.
func loadSettings(cmd *cobra.Command, extra ...string) (config.HQ, error) {
	path := cmd.Flag("config").Value.String()
	environ := append(os.Environ(), extra...)
	for _, o := range overrides {
		if f := cmd.Flag(o.flag); f.Changed {
			environ = set(environ, o.variable, f.Value.String())
		}
	}
	src, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist) && !cmd.Flag("config").Changed && os.Getenv("AZSHQ_CONFIG") == ""
	if err != nil && !missing {
		return config.HQ{}, withHint(fmt.Errorf("read the configuration: %w", err), "name the file with --config")
	}
	if store := cmd.Flag("store"); missing && store.Changed && !cmd.Flag("token-file").Changed {
		environ = set(environ, "AZSHQ_HTTP_TOKEN_FILE", store.Value.String()+".token")
	}
	if len(src) > config.MaxFileSize {
		return config.HQ{}, fmt.Errorf("%w: %s is larger than %d bytes", config.ErrInvalid, path, config.MaxFileSize)
	}
	return config.ParseHQ(path, src, environ)
}

// set puts a variable into an environment, for good.
func set(environ []string, name, value string) []string {
	return append(without(environ, name), name+"="+value)
}

func without(environ []string, name string) (out []string) {
	for _, v := range environ {
		if !strings.HasPrefix(v, name+"=") {
			out = append(out, v)
		}
	}
	return out
}

// offlineSettings are the settings of a command that speaks to no broker: one need not be configured.
func offlineSettings(cmd *cobra.Command) (config.HQ, error) {
	c, err := loadSettings(cmd)
	if errors.Is(err, config.ErrInvalid) && os.Getenv("AZSHQ_BROKERS") == "" {
		if again, err := loadSettings(cmd, "AZSHQ_BROKERS=tcp://127.0.0.1:1883"); err == nil {
			return again, nil
		}
	}
	return c, err
}

// access says what a command does to the store.
type access int

const (
	reads  access = iota
	writes        // and makes the store if there is none
)

// withHQ runs fn with a client of headquarters: the process that has the store open, or this one.
func withHQ(cmd *cobra.Command, a access, fn func(context.Context, *admin.Client) error) error {
	c, err := offlineSettings(cmd)
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.Store.Path); errors.Is(err, fs.ErrNotExist) && a == reads {
		return withHint(fmt.Errorf("there is no store at %s", c.Store.Path), "name it with --store, or begin with `azs-hq import accounts FILE.csv`")
	}
	store, err := embedded.Open(embedded.Config{Path: c.Store.Path, ReadOnly: a == reads, Wait: 100 * time.Millisecond})
	if errors.Is(err, embedded.ErrInUse) {
		return withRunning(cmd.Context(), c, fn)
	}
	if err != nil {
		return err
	}
	err = fn(cmd.Context(), &admin.Client{
		Base:      "http://azs-hq",
		Transport: admin.InProcess(newAdmin(store, hq.NewBooks(hq.BooksConfig{Store: store}), "", slog.New(slog.DiscardHandler))),
	})
	return errors.Join(err, store.Close())
}

// withRunning calls the process that has the store open.
func withRunning(ctx context.Context, c config.HQ, fn func(context.Context, *admin.Client) error) error {
	token, err := config.ReadSecret(c.HTTP.TokenFile)
	if err != nil {
		return withHint(fmt.Errorf("the store is in use, and the running azs-hq cannot be called: %w", err), "run it as root or as the user of azs-hq, with the same --config or --token-file")
	}
	err = fn(ctx, &admin.Client{Base: "http://" + c.HTTP.Listen, Token: token})
	var problem *admin.Problem
	if err != nil && !errors.As(err, &problem) && isNetwork(err) {
		return withHint(fmt.Errorf("the store is in use, and nobody answers at %s: %w", c.HTTP.Listen, err), "give --listen the address with which azs-hq was started, or stop the program that has the store open")
	}
	return err
}

func isNetwork(err error) bool {
	var n interface{ Timeout() bool }
	return errors.As(err, &n)
}

// newAdmin is the API over an open store.
func newAdmin(store *embedded.Store, books *hq.Books, token string, log *slog.Logger) http.Handler {
	return admin.NewHandler(admin.Config{
		Books: books, Catalogue: store, Token: token, Log: log,
		Check: func(r *http.Request) (any, error) { return store.Check(r.Context()) },
	})
}

// ensureToken reads the API's token, or makes one that only this user can read.
func ensureToken(path string, random func() string) (string, error) {
	token, err := config.ReadSecret(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", withHint(fmt.Errorf("make the API's token: %w", err), "name a file that can be written with --token-file")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", withHint(fmt.Errorf("make the API's token: %w", err), "name a file that can be written with --token-file")
	}
	token = random()
	_, err = fmt.Fprintln(f, token)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("make the API's token: %w", err), os.Remove(path))
	}
	return token, nil
}

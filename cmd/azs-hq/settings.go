package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
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

// errNoConfig means that the file that was named cannot be read.
var errNoConfig = errors.New("read the configuration")

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
	missing := errors.Is(err, fs.ErrNotExist)
	switch named := cmd.Flag("config").Changed || os.Getenv("AZSHQ_CONFIG") != ""; {
	case missing && named:
		return config.HQ{}, withHint(fmt.Errorf("%w: %w", errNoConfig, err), "name another file with --config or AZSHQ_CONFIG, or write it with `azs-hq init`")
	case err != nil && !missing:
		return config.HQ{}, withHint(fmt.Errorf("%w: %w", errNoConfig, err), "run it as a user who may read the file, or name another one with --config")
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
	reads access = iota
	writes
)

// mayCreate gives a command that writes the flag --create: no other makes a store that is not there, so that a forgotten
// --config is an error and not a second set of books.
func mayCreate(cmd *cobra.Command) {
	cmd.Flags().Bool("create", false, "make the store if there is none")
}

// headquarters is the way to the books: the process that has them open, or this one.
type headquarters struct {
	client  *admin.Client
	running bool   // another process
	where   string // for people
	close   func() error
}

// withHQ runs fn with a client of headquarters.
func withHQ(cmd *cobra.Command, a access, fn func(context.Context, *admin.Client) error) error {
	c, err := offlineSettings(cmd)
	if err != nil {
		return err
	}
	h, err := connect(cmd, c, a)
	if err != nil {
		return err
	}
	if a == writes {
		cmd.PrintErrf("writing to %s\n", h.where)
	}
	err = fn(cmd.Context(), h.client)
	if h.running && isNetwork(err) {
		err = nobodyAnswers(c, err)
	}
	return errors.Join(err, h.close())
}

// connect opens the store, or finds the process that has it open.
func connect(cmd *cobra.Command, c config.HQ, a access) (*headquarters, error) {
	path, err := filepath.Abs(c.Store.Path)
	if err != nil {
		return nil, err
	}
	create := cmd.Flags().Lookup("create")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && (create == nil || create.Value.String() != "true") {
		hint := "name the configuration with --config or AZSHQ_CONFIG, or the store with --store; new headquarters begin with `azs-hq init`"
		if create != nil {
			hint += " or with --create"
		}
		return nil, withHint(fmt.Errorf("there is no store at %s, %s", path, storeNamedBy(cmd)), hint)
	}
	var store *embedded.Store
	for end := time.Now().Add(patience); ; {
		store, err = embedded.Open(embedded.Config{Path: path, ReadOnly: a == reads, Wait: 100 * time.Millisecond})
		if err == nil {
			break
		}
		if !errors.Is(err, embedded.ErrInUse) {
			return nil, err
		}
		// azs-hq runs, is just starting, or another command is at work.
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(cmd.Context(), "tcp", c.HTTP.Listen)
		if err == nil {
			return callRunning(c, path, conn.Close())
		}
		if time.Now().After(end) || cmd.Context().Err() != nil {
			return nil, nobodyAnswers(c, err)
		}
	}
	books := hq.NewBooks(hq.BooksConfig{Store: store})
	return &headquarters{
		client: &admin.Client{Base: "http://azs-hq", Transport: admin.InProcess(newAdmin(store, books, "", slog.New(slog.DiscardHandler)))},
		where:  "the store " + path, close: store.Close,
	}, nil
}

// patience is how long a command waits for a store in use, and for azs-hq to listen.
const patience = time.Second

// callRunning is the way through the process that has the store open.
func callRunning(c config.HQ, path string, err error) (*headquarters, error) {
	token, e := config.ReadSecret(c.HTTP.TokenFile)
	if err = errors.Join(e, err); err != nil {
		return nil, withHint(fmt.Errorf("the store is in use, and the running azs-hq cannot be called: %w", err), "run it as root or as the user of azs-hq, with the same --config or --token-file")
	}
	return &headquarters{
		client: &admin.Client{Base: "http://" + c.HTTP.Listen, Token: token}, running: true,
		where: fmt.Sprintf("the running azs-hq at %s (store %s)", c.HTTP.Listen, path), close: func() error { return nil },
	}, nil
}

func nobodyAnswers(c config.HQ, err error) error {
	return withHint(fmt.Errorf("the store is in use, and nobody answers at %s: %w", c.HTTP.Listen, err), "give --listen the address with which azs-hq was started, or stop the program that has the store open")
}

// storeNamedBy says who has named the store's path.
func storeNamedBy(cmd *cobra.Command) string {
	file := cmd.Flag("config").Value.String()
	switch _, err := os.Stat(file); {
	case cmd.Flag("store").Changed:
		return "which --store names"
	case os.Getenv("AZSHQ_STORE_PATH") != "":
		return "which AZSHQ_STORE_PATH names"
	case err == nil:
		return "the place according to " + file
	}
	return "the place where no configuration names another"
}

func isNetwork(err error) bool {
	var u *url.Error
	return errors.As(err, &u)
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
	token = random()
	if err := writeNew(path, []byte(token+"\n"), 0o600); err != nil {
		return "", withHint(fmt.Errorf("make the API's token: %w", err), "name a file that can be written with --token-file")
	}
	return token, nil
}

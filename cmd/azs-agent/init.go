package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/azs-edge/azs-edge/config"
	"github.com/azs-edge/azs-edge/pos/card"
)

// answers is what init asks. Each is a string as it was given, so that a wrong one is reported by the same loader that
// reads the file.
type answers struct {
	Station, Name, Zone, Port, Cards, Broker, FormsKey string
	TokenFile                                          string
	Ledger                                             string // empty: where the system keeps it
}

// Ranges are the card ranges of the answer.
func (a *answers) Ranges() (all []card.Range, err error) {
	for text := range strings.SplitSeq(a.Cards, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		r, err := parseRange(text)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// question is one thing init asks.
type question struct {
	flag     string
	text     string
	fallback string
	answer   func(*answers) *string
}

func questions() []question {
	return []question{
		{"station", "Number of this station in the network", "", func(a *answers) *string { return &a.Station }},
		{"name", "Name of this station, for the cashier's page (may be empty)", "", func(a *answers) *string { return &a.Name }},
		{"zone", "Offset of the station's clock from UTC", "+03:00", func(a *answers) *string { return &a.Zone }},
		{"port", "Port of the scanner (auto, a path such as /dev/ttyUSB0, COM3, or none)", "auto", func(a *answers) *string { return &a.Port }},
		{"cards", "Card numbers of the network, PREFIX:LENGTH:CHECK as 7005:16:luhn, several with commas (may be empty)", "", func(a *answers) *string { return &a.Cards }},
		{"broker", "Broker of headquarters, as tls://host:8883 (empty: work alone for the present)", "", func(a *answers) *string { return &a.Broker }},
		{"forms-key", "Headquarters' public key for the forms of new customers, age1... (empty: no cards are issued here for the present)", "", func(a *answers) *string { return &a.FormsKey }},
	}
}

func newInitCmd() *cobra.Command {
	a := &answers{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Ask a few questions and write the configuration",
		Long: `Asks for the station's number, name and time zone, the scanner's port, the network's card numbers, headquarters'
broker and its key for the forms of new customers, and writes the configuration file and a token for the cash-register software beside it. What is given as a flag is
not asked; at the end of the input the rest takes its default, so that scripts can run it too.

A configuration of your own, named with --config, has its ledger beside it as well: the system's is not touched.

An existing configuration is never overwritten.`,
		Example: "  sudo azs-agent init\n  sudo azs-agent init --station 17 --name 'АЗС 17' --cards 7005:16:luhn --broker tls://mqtt.example:8883 </dev/null",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := configPath(cmd)
			if _, err := os.Lstat(path); err == nil {
				return withHint(fmt.Errorf("%s is there already", path), "edit it, and check it with `azs-agent config check`; or move it away and run init again")
			} else if !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("looking for the configuration: %w", err)
			}
			folder, err := filepath.Abs(filepath.Dir(path))
			if err != nil {
				return fmt.Errorf("finding the folder of the configuration: %w", err)
			}
			a.TokenFile = filepath.Join(folder, "api.token")
			if path != config.AgentPath() {
				a.Ledger = filepath.Join(folder, "ledger.db")
			}
			if err := ask(cmd, a); err != nil {
				return err
			}
			return writeFirstConfig(cmd, path, a)
		},
	}
	for _, q := range questions() {
		cmd.Flags().StringVar(q.answer(a), q.flag, q.fallback, strings.ToLower(q.text[:1])+q.text[1:])
	}
	return cmd
}

// maxAttempts is how often a question is asked again after a wrong answer.
const maxAttempts = 5

// ask asks what no flag answered, and holds each answer to the loader at once.
func ask(cmd *cobra.Command, a *answers) error {
	for _, q := range questions() {
		if !cmd.Flags().Changed(q.flag) {
			continue
		}
		if err := q.check(*q.answer(a)); err != nil {
			return withHint(fmt.Errorf("--%s: %w", q.flag, err), "`azs-agent init --help` shows what it takes")
		}
	}
	in := bufio.NewScanner(io.LimitReader(cmd.InOrStdin(), config.MaxFileSize))
	for _, q := range questions() {
		if cmd.Flags().Changed(q.flag) {
			continue
		}
		for attempt := 1; ; attempt++ {
			cmd.PrintErrf("%s", q.text)
			if q.fallback != "" {
				cmd.PrintErrf(" [%s]", q.fallback)
			}
			cmd.PrintErr(": ")
			ended := !in.Scan()
			given := q.fallback
			if text := strings.TrimSpace(in.Text()); !ended && text != "" {
				given = text
			}
			if ended {
				cmd.PrintErrln()
			}
			err := q.check(given)
			if err == nil {
				*q.answer(a) = given
				break
			}
			if ended || attempt == maxAttempts {
				return withHint(err, fmt.Sprintf("give it as --%s", q.flag))
			}
			cmd.PrintErrf("  %v\n", err)
		}
	}
	_, err := renderConfig(a)
	return err
}

// check reads the file that would be written if this were the only answer. Only the message is returned: places in a
// file that is not there yet would mislead.
func (q question) check(given string) error {
	a := &answers{Station: "1", Zone: "+03:00", Port: "auto", TokenFile: config.DefaultAgent().API.TokenFile}
	*q.answer(a) = given
	src, err := renderConfig(a)
	if err != nil {
		return err
	}
	_, err = config.ParseAgent("answers", src, nil)
	var problems config.Problems
	if errors.As(err, &problems) {
		if p := problems[0]; p.Hint != "" {
			return fmt.Errorf("%s (%s)", p.Message, p.Hint)
		}
		return errors.New(problems[0].Message)
	}
	return err
}

// firstConfig is the file that init writes. It shows the sections a technician is likely to need next.
var firstConfig = template.Must(template.New("config").Funcs(template.FuncMap{"yaml": yamlText}).Parse(
	`# Configuration of azs-agent. "azs-agent config check" checks it, "azs-agent config schema" describes every key.
# After a change: azs-agent service restart

station:
  number: {{.Station}}
  name: {{yaml .Name}}
  zone: {{yaml .Zone}}
{{if .Ledger}}
ledger:
  path: {{yaml .Ledger}}
{{end}}
{{if eq .Port "none" -}}
# Without a scanner cards are identified by number only. "azs-agent scanner list" shows the ports.
scanners: []
{{else -}}
# "azs-agent scanner list" shows the ports, "azs-agent scanner check" tries the scanner.
scanners:
  - name: scanner1
    counter: 1
    preset: generic
    port: {{yaml .Port}}
{{end}}
# Which numbers are cards of this network: first digits, number of digits, check digit (luhn, ean13, none).
# forms_key is the public key (age1...) that "azs-hq init" prints: without it no cards are issued at the counter.
{{if or .Ranges .FormsKey -}}
cards:
{{- else -}}
# cards:
{{- end}}
{{- if .Ranges}}
  ranges:
{{- range .Ranges}}
    - {prefix: {{yaml .Prefix}}, length: {{.Length}}, check: {{yaml .Check}}}
{{- end}}
{{- else}}
# None are named yet: no number that is scanned is taken for a card.
#   ranges:
#     - {prefix: "7005", length: 16, check: luhn}
{{- end}}
{{- if .FormsKey}}
  forms_key: {{yaml .FormsKey}}
{{- else}}
#   forms_key: age1...
{{- end}}

api:
  token_file: {{yaml .TokenFile}}

{{if .Broker -}}
hq:
  brokers:
    - {{yaml .Broker}}
{{else -}}
# Without a broker the station works alone and keeps its journal.
# hq:
#   brokers:
#     - tls://mqtt.example:8883
{{end -}}
#   cert_file, key_file, ca_file: the station's certificate; username, password_file: where the broker asks for them
`))

// yamlText writes a text as a double-quoted scalar. JSON's strings are YAML's.
func yamlText(s any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// renderConfig writes the answers as a configuration. The station's number goes in as a number or not at all: it is
// the one answer that is not quoted.
func renderConfig(a *answers) ([]byte, error) {
	switch n, err := strconv.ParseUint(a.Station, 10, 32); {
	case a.Station == "":
		return nil, errors.New("the station needs a number")
	case err != nil:
		return nil, fmt.Errorf("%q is not a station number (digits only)", a.Station)
	case n == 0:
		return nil, errors.New("0 is not a station number: the first is 1; headquarters knows this station's")
	}
	if _, err := a.Ranges(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := firstConfig.Execute(&b, a); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// writeFirstConfig writes the token, then the configuration that names it. A token that is there already is kept: the
// cash register may know it.
func writeFirstConfig(cmd *cobra.Command, path string, a *answers) error {
	src, err := renderConfig(a)
	if err != nil {
		return err
	}
	hint := "run it as root, or name a file of your own with --config"
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return withHint(fmt.Errorf("creating the folder of the configuration: %w", err), hint)
	}
	token := "kept"
	if _, err := os.Lstat(a.TokenFile); errors.Is(err, fs.ErrNotExist) {
		secret := make([]byte, 32)
		rand.Read(secret)
		if err := writeNewFile(a.TokenFile, []byte(hex.EncodeToString(secret)+"\n"), 0o640); err != nil {
			return withHint(fmt.Errorf("writing the token: %w", err), hint)
		}
		token = "written"
	}
	if err := writeNewFile(path, src, 0o640); err != nil {
		return withHint(fmt.Errorf("writing the configuration: %w", err), hint)
	}
	cmd.Printf("%s: written\n%s: %s (the cash-register software presents it)\n", path, a.TokenFile, token)
	if a.Cards == "" && a.Port != "none" {
		cmd.PrintErrf("warning: no card numbers are named: nothing that is scanned will be taken for a card. Name them under `cards` in %s\n", path)
	}
	agent := "sudo azs-agent"
	start := "`" + agent + " service install` starts the agent"
	if a.Ledger != "" {
		agent = "azs-agent --config " + path
		start = "`" + agent + " run` starts the agent"
	}
	if a.Port != "none" {
		start = "`" + agent + " scanner check` tries the scanner, " + start
	}
	cmd.Printf("Next: %s.\n", start)
	return nil
}

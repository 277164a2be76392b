// Package config reads the one configuration file of each program: [Agent] for azs-agent at a station and [HQ] for
// azs-hq at headquarters.
//
// It promises:
//
//   - One documented struct per program. Every field says its unit, its default and its bounds; the JSON Schema
//     ([AgentSchema], [HQSchema]) is made from those same comments.
//   - Strictness. An unknown key, a value of the wrong kind or unit, a number out of its range and a contradiction
//     between two keys are all errors, and all of them are reported at once as [Problems], each with file, line,
//     column, the source line and what to write instead.
//   - Bounds. A file above [MaxFileSize] is refused before it is parsed; anchors, aliases and tags are refused, so a
//     small file cannot become a large value. No input makes it panic.
//   - No secret in it. A password, a token or a private key is named by a file ([ReadSecret] reads one); an address
//     with a password inside is refused. So an effective configuration ([Show]) may be printed and mailed.
//
// Every scalar and every list of scalars can be overridden from the environment: the key's path in capitals, joined by
// underscores, after AZS_ (azs-agent) or AZSHQ_ (azs-hq): AZS_STATION_NUMBER=17, AZSHQ_BROKERS=tls://a:8883,tls://b:8883.
// A variable with the prefix that names no key is an error too. The prefixes are apart because the agent has a section hq:
// AZS_HQ_BROKERS is its hq.brokers, and both programs may run with one environment.
//
// It does not open ports, check certificates or touch any file other than the one it was given: `azs-agent doctor` is
// where the world is compared with the configuration.
package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
)

// MaxFileSize is the largest configuration file that is read, in bytes.
const MaxFileSize = 128 << 10

// ErrInvalid is matched (errors.Is) by every error that says the configuration itself is wrong, as opposed to
// unreadable. A daemon that exits with it must not be restarted: nothing changes until somebody edits the file.
var ErrInvalid = errors.New("configuration is not valid")

// LoadAgent reads the file at path, applies the AZS_ variables of environ (as os.Environ gives them) and validates the
// result. The error is [Problems] when the content is wrong, and wraps fs.ErrNotExist when there is no file.
func LoadAgent(path string, environ []string) (Agent, error) {
	src, err := readFile(path)
	if err != nil {
		return Agent{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return ParseAgent(path, src, environ)
}

// ParseAgent is LoadAgent for a file already in memory; name is what its errors call it.
func ParseAgent(name string, src []byte, environ []string) (Agent, error) {
	c := DefaultAgent()
	if err := parse(name, src, environ, "AZS_", &c, c.check); err != nil {
		return Agent{}, err
	}
	return c, nil
}

// LoadHQ reads the file of azs-hq. It differs from LoadAgent only in the struct and in the prefix, AZSHQ_.
func LoadHQ(path string, environ []string) (HQ, error) {
	src, err := readFile(path)
	if err != nil {
		return HQ{}, fmt.Errorf("reading the configuration: %w", err)
	}
	return ParseHQ(path, src, environ)
}

// ParseHQ is LoadHQ for a file already in memory; name is what its errors call it.
func ParseHQ(name string, src []byte, environ []string) (HQ, error) {
	c := DefaultHQ()
	if err := parse(name, src, environ, "AZSHQ_", &c, c.check); err != nil {
		return HQ{}, err
	}
	return c, nil
}

// Validate reports everything wrong with a configuration built in code, as Problems without positions. LoadAgent has
// already called it.
func (a *Agent) Validate() error { return validate(a, a.check).err() }

// Validate reports everything wrong with a configuration built in code, as Problems without positions. LoadHQ has
// already called it.
func (h *HQ) Validate() error { return validate(h, h.check).err() }

// parse fills target, which holds the defaults, from the source and the environment, and validates it. Both are
// always done in full, so that one run shows everything there is to mend.
func parse(name string, src []byte, environ []string, prefix string, target any, check func(*checker)) error {
	d := &decoder{file: name, src: src, at: map[string]place{}}
	d.decode(src, reflect.ValueOf(target).Elem())
	d.environment(environ, prefix, reflect.ValueOf(target).Elem())
	if c, ok := target.(interface{ complete() }); ok {
		c.complete()
	}
	bad := map[string]bool{}
	for _, p := range d.problems {
		bad[p.Key] = true
	}
	for _, p := range validate(target, check) {
		if !bad[p.Key] { // the default that stayed in a refused value's place has nothing more to tell
			d.problems = append(d.problems, d.locate(p))
		}
	}
	d.problems.sort()
	if more := len(d.problems) - maxProblems; more > 0 {
		d.problems = append(d.problems[:maxProblems], Problem{Source: name, Message: fmt.Sprintf("and %d more problems", more)})
	}
	return d.problems.err()
}

// readFile reads at most MaxFileSize bytes of path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read: nothing can be lost
	src, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(src) > MaxFileSize {
		return nil, fmt.Errorf("%w: %s is larger than %d bytes: is it the right file?", ErrInvalid, path, MaxFileSize)
	}
	return src, nil
}

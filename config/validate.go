package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
)

// checker collects what is wrong with values that were understood.
type checker struct{ problems Problems }

func (c *checker) fail(key, message, hint string) {
	c.problems = append(c.problems, Problem{Key: key, Message: message, Hint: hint})
}

// validate holds every field of target (a pointer to a struct) to its tags, then runs the checks that tags cannot say.
func validate(target any, check func(*checker)) Problems {
	c := &checker{}
	c.tags("", reflect.ValueOf(target).Elem())
	check(c)
	return c.problems
}

// tags checks the bounds that stand on the fields: min, max, oneof, pattern. The same tags go into the JSON Schema.
func (c *checker) tags(key string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		path := join(key, fieldName(f))
		switch fv := v.Field(i); {
		case isScalar(f.Type):
			c.scalar(path, f.Tag, fv)
		case fv.Kind() == reflect.Struct:
			c.tags(path, fv)
		case fv.Kind() == reflect.Slice:
			for j := range fv.Len() {
				item := fmt.Sprintf("%s[%d]", path, j)
				if isScalar(f.Type.Elem()) {
					c.scalar(item, "", fv.Index(j))
				} else {
					c.tags(item, fv.Index(j))
				}
			}
		}
	}
}

// maxText is the longest text of a field that does not say otherwise, in characters.
const maxText = 1024

func (c *checker) scalar(key string, tag reflect.StructTag, v reflect.Value) {
	if v.Kind() == reflect.String {
		c.text(key, tag, v.String())
		return
	}
	if allowed, ok := tag.Lookup("oneof"); ok {
		if text := fmt.Sprint(v); !slices.Contains(strings.Fields(allowed), text) {
			c.fail(key, text+" is not one of the values it can have", "it can be: "+strings.Join(strings.Fields(allowed), ", "))
		}
	}
	n, ok := number(v)
	if least, has := tag.Lookup("min"); ok && has && n < bound(v.Type(), least) {
		c.fail(key, fmt.Sprintf("%s is too small", written(v)), "the least is "+writtenBound(v.Type(), least))
	}
	if most, has := tag.Lookup("max"); ok && has && n > bound(v.Type(), most) {
		c.fail(key, fmt.Sprintf("%s is too large", written(v)), "the most is "+writtenBound(v.Type(), most))
	}
}

func (c *checker) text(key string, tag reflect.StructTag, s string) {
	most := int64(maxText)
	if m, ok := tag.Lookup("max"); ok {
		most = bound(reflect.TypeFor[int](), m)
	}
	if int64(utf8.RuneCountInString(s)) > most {
		c.fail(key, fmt.Sprintf("is longer than %d characters", most), "")
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		c.fail(key, "has a control character in it", "check the quotes and the line breaks")
	}
	if s == "" {
		return
	}
	if allowed, ok := tag.Lookup("oneof"); ok && !slices.Contains(strings.Fields(allowed), s) {
		hint := "it can be: " + strings.Join(strings.Fields(allowed), ", ")
		if n := nearest(s, strings.Fields(allowed)); n != "" {
			hint = fmt.Sprintf("did you mean %s? %s", n, hint)
		}
		c.fail(key, excerptValue(key, s)+" is not one of the values it can have", hint)
	}
	if p, ok := tag.Lookup("pattern"); ok && !regexp.MustCompile(p).MatchString(s) {
		c.fail(key, fmt.Sprintf("%s does not have the right form", excerptValue(key, s)), "it must match "+p)
	}
}

// number returns the value of an integer field.
func number(v reflect.Value) (int64, bool) {
	switch {
	case v.CanInt():
		return v.Int(), true
	case v.Kind() == reflect.Uint32:
		return int64(v.Uint()), true
	}
	return 0, false
}

// bound reads a min or max tag: a duration for a duration, a number for everything else. The tags are part of the
// program, and a test reads all of them.
func bound(t reflect.Type, text string) int64 {
	if t == durationType {
		d, _ := time.ParseDuration(text)
		return int64(d)
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// written returns a number as it is written in the file.
func written(v reflect.Value) string {
	if v.Type() == durationType {
		return formatDuration(time.Duration(v.Int()))
	}
	return fmt.Sprint(v)
}

func writtenBound(t reflect.Type, text string) string {
	v := reflect.New(t).Elem()
	if v.CanUint() {
		v.SetUint(uint64(bound(t, text)))
	} else {
		v.SetInt(bound(t, text))
	}
	return written(v)
}

// check holds the rules of the agent's file that span keys or need more than a tag.
func (a *Agent) check(c *checker) {
	if a.Station.Number == 0 {
		c.problems = slices.DeleteFunc(c.problems, func(p Problem) bool { return p.Key == "station.number" })
		c.fail("station.number", "is missing", "give the station's number in the network, or run `azs-agent init`")
	}
	c.required("ledger.path", a.Ledger.Path)
	if a.Ledger.Retain%(24*time.Hour) != 0 {
		c.fail("ledger.retain", formatDuration(a.Ledger.Retain)+" is not whole days", "write it as 90d")
	}
	c.scanners(a.Scanners)
	a.Cards.check(c)
	c.loopback("api.listen", a.API.Listen, true)
	c.required("api.token_file", a.API.TokenFile)
	c.loopback("metrics.listen", a.Metrics.Listen, false)
	if a.API.Listen == a.Metrics.Listen {
		c.fail("metrics.listen", "is the address of api.listen", "give it a port of its own")
	}
	for i, o := range a.API.AllowedOrigins {
		c.origin(fmt.Sprintf("api.allowed_origins[%d]", i), o)
	}
	c.link("hq.", a.HQ)
}

// scanners checks what one scanner says of itself, and that no two of them are the same.
func (c *checker) scanners(list []Scanner) {
	names := map[string]bool{}
	ports := map[string]string{}
	for i, s := range list {
		key := fmt.Sprintf("scanners[%d]", i)
		if names[s.Name] {
			c.fail(key+".name", fmt.Sprintf("%q names another scanner already", s.Name), "give each scanner its own name")
		}
		names[s.Name] = true
		c.scannerPort(key, s, ports)
		if s.GapMS != 0 && s.GapMS < 10 {
			c.fail(key+".gap_ms", fmt.Sprintf("%d is too small", s.GapMS), "the least is 10; 0 takes the preset's")
		}
		if s.Terminator == "none" && s.GapPolicy == "drop" {
			c.fail(key+".gap_policy", "with terminator none no frame would ever end", "write checked, or program a CR suffix and write terminator: cr")
		}
		for j, text := range s.NoRead {
			if text == "" {
				c.fail(fmt.Sprintf("%s.no_read[%d]", key, j), "is empty", "remove it")
			}
		}
		if s.ReopenMS.Min > s.ReopenMS.Max {
			c.fail(key+".reopen_ms.min", "is more than reopen_ms.max", "")
		}
	}
}

// scannerPort refuses two scanners that would open the same port.
func (c *checker) scannerPort(key string, s Scanner, ports map[string]string) {
	id := s.Port
	if s.Port == "auto" {
		id = fmt.Sprint("auto ", s.Match)
	}
	if other, taken := ports[id]; taken {
		hint := "give each scanner its own port"
		if s.Port == "auto" {
			hint = "tell them apart: give each its own port, or match.serial (`azs-agent scanner list` shows both)"
		}
		c.fail(key+".port", fmt.Sprintf("is the port of %s too", other), hint)
	}
	ports[id] = s.Name
	if s.Port != "auto" && s.Match != (Match{}) {
		c.fail(key+".match", "has no effect beside a port", "remove match, or write port: auto")
	}
}

// hostName is a host as a link carries it, in ASCII (xn--... for others).
var hostName = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)

func (r *Cards) check(c *checker) {
	if r.FormsKey != "" {
		c.formsKey("cards.forms_key", r.FormsKey)
	}
	for i, x := range r.Ranges {
		key := fmt.Sprintf("cards.ranges[%d]", i)
		c.required(key+".prefix", x.Prefix)
		if x.Length > 0 && len(x.Prefix) >= x.Length {
			c.fail(key+".prefix", "is as long as the whole number", "")
		}
		for j, y := range r.Ranges[:i] {
			if x.Length == y.Length && (strings.HasPrefix(x.Prefix, y.Prefix) || strings.HasPrefix(y.Prefix, x.Prefix)) {
				c.fail(key+".prefix", fmt.Sprintf("overlaps cards.ranges[%d]", j), "keep one of the two")
			}
		}
	}
	for i, h := range r.URLHosts {
		if !hostName.MatchString(h) {
			c.fail(fmt.Sprintf("cards.url_hosts[%d]", i), excerptValue("", h)+" is not a host name", "write it in Latin letters, without https:// and without a path: club.example")
		}
	}
	if len(r.URLHosts) > 0 {
		c.required("cards.url_param", r.URLParam)
	}
	for i, p := range r.TokenPrefixes {
		switch key := fmt.Sprintf("cards.token_prefixes[%d]", i); {
		case len(p) < 3:
			c.fail(key, "is too short: frames that are no tokens would begin with it", "the least is 3 characters")
		case strings.Trim(p, "0123456789") == "":
			c.fail(key, "is only digits", "numbers are told apart by cards.ranges")
		}
	}
}

// formsKey accepts a public key of age, and never quotes what it is given: it may be the secret half.
func (c *checker) formsKey(key, s string) {
	if strings.HasPrefix(strings.ToUpper(s), "AGE-SECRET-KEY-") {
		c.fail(key, "is the secret half of the key, which no station may have", "write what `age-keygen -y FILE` prints, and make a new key: this one has been seen")
		return
	}
	if _, err := age.ParseX25519Recipient(s); err != nil {
		c.fail(key, "is not a public key of age", "it begins with age1 and has 62 characters; `age-keygen -y FILE` prints it")
	}
}

// link checks what both ends of the way between station and headquarters have in common.
func (c *checker) link(prefix string, l Link) {
	for i, b := range l.Brokers {
		c.broker(fmt.Sprintf("%sbrokers[%d]", prefix, i), b, l.Insecure)
		if slices.Contains(l.Brokers[:i], b) {
			c.fail(fmt.Sprintf("%sbrokers[%d]", prefix, i), "stands in the list twice", "keep one of the two")
		}
	}
	if (l.CertFile == "") != (l.KeyFile == "") {
		c.fail(prefix+"cert_file", "and key_file need each other", "give both, or neither")
	}
	if l.PasswordFile != "" && l.Username == "" {
		c.fail(prefix+"password_file", "needs a username", "give "+prefix+"username too")
	}
}

func (c *checker) broker(key, address string, insecure bool) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "tls" && u.Scheme != "tcp":
		c.fail(key, excerptValue("", address)+" is not the address of a broker", "write tls://host:8883, or tcp://127.0.0.1:1883 for a broker on this machine")
		return
	case u.User != nil:
		c.fail(key, "has a user or a password in it", "use username and password_file")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		c.fail(key, "has something after the port", "write tls://host:8883")
	}
	if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
		c.fail(key, excerptValue("", address)+" has no port", "the usual ones are 8883 for tls:// and 1883 for tcp://")
	}
	if u.Scheme == "tcp" && !isLoopback(u.Hostname()) && !insecure {
		c.fail(key, "would carry everything unencrypted over the network", "use tls://; insecure: true allows it all the same")
	}
}

// loopback accepts host:port on this machine only.
func (c *checker) loopback(key, address string, required bool) {
	if address == "" {
		if required {
			c.required(key, "")
		}
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		c.fail(key, excerptValue("", address)+" is not an address to listen on", "write 127.0.0.1 and a port, as 127.0.0.1:8713")
		return
	}
	if !isLoopback(host) {
		c.fail(key, excerptValue("", address)+" can be reached from other machines", "listen on 127.0.0.1 and put a proxy with TLS before it")
	}
}

func (c *checker) origin(key, origin string) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
		c.fail(key, excerptValue("", origin)+" is not an origin", "write scheme, host and port only: https://pos.example:8443")
	}
}

func (c *checker) required(key, value string) {
	if value == "" {
		c.fail(key, "is missing", "")
	}
}

// check holds the rules of headquarters' file that span keys or need more than a tag.
func (h *HQ) check(c *checker) {
	if len(h.Brokers) == 0 {
		c.fail("brokers", "is missing", "name at least one broker, as tls://host:8883")
	}
	c.link("", Link{
		Brokers: h.Brokers, Insecure: h.Insecure, CertFile: h.CertFile, KeyFile: h.KeyFile,
		Username: h.Username, PasswordFile: h.PasswordFile,
	})
	if h.Shards == 0 {
		c.fail("shards", "is empty", "0-63 is all of them")
	}
	c.required("store.path", h.Store.Path)
	c.loopback("http.listen", h.HTTP.Listen, true)
	c.required("http.token_file", h.HTTP.TokenFile)
	c.loopback("metrics.listen", h.Metrics.Listen, false)
	if h.HTTP.Listen == h.Metrics.Listen {
		c.fail("metrics.listen", "is the address of http.listen", "give it a port of its own")
	}
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

package card

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
)

// json takes the number out of an object's member. Numbers stay text: sixteen digits do not fit a float64.
func (d *Decoder) json(text string, f *frame) Event {
	if d.cfg.JSONKey == "" {
		if !json.Valid([]byte(text)) {
			return reject(BadJSON)
		}
		return f.relay(Unknown)
	}
	raw, err := member(text, d.cfg.JSONKey)
	switch {
	case err != nil:
		return reject(BadJSON)
	case raw == nil:
		return f.relay(Unknown)
	}
	s := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &s) != nil {
		return reject(BadJSON)
	}
	return d.value(s, JSON, f)
}

// member finds the one member of that name in an object; nil, nil if there is none.
func member(text, key string) (found json.RawMessage, err error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("broken JSON")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if name != key {
			continue
		}
		if found != nil {
			return nil, errors.New("the member is there twice")
		}
		found = bytes.TrimSpace(value)
	}
	return found, nil
}

// link takes the number out of a link of ours. The host must be the configured one exactly, with nobody's name before it.
func (d *Decoder) link(text string, f *frame) Event {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil ||
		!slices.Contains(d.cfg.Hosts, strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))) {
		return f.relay(Host)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query[d.cfg.URLParam]) != 1 {
		return reject(URLParam)
	}
	s := query[d.cfg.URLParam][0]
	if !digits(compact(s)) {
		return reject(URLParam)
	}
	return d.value(s, Link, f)
}

// stripe takes the number off a magnetic track, with the sentinels of ISO/IEC 7813 or, as some readers send it,
// without. False means that it is none. What is on a stripe and not ours is a bank's as a rule, and never goes to the
// register.
func (d *Decoder) stripe(text string, f *frame) (Event, bool) {
	if strings.HasPrefix(text, "%") {
		_, second, both := strings.Cut(text, "?;") // both tracks in a frame
		switch {
		case both:
			text = ";" + second
		case strings.HasPrefix(text, "%B"), strings.Contains(text, "^"), strings.HasSuffix(text, "?"):
			return Event{Type: Ignore, Reason: Track1}, true
		default:
			return Event{}, false
		}
	}
	if strings.HasPrefix(text, "+") && strings.HasSuffix(text, "?") {
		return Event{Type: Ignore, Reason: Track3}, true
	}
	track, sentinel := strings.CutPrefix(text, ";")
	number, rest, separated := strings.Cut(track, "=")
	number = strings.TrimSuffix(number, "?")
	rest, _, _ = strings.Cut(rest, "?") // a check character may follow
	if number+rest == "" || !digits(number+strings.ReplaceAll(rest, "=", "")) || !sentinel && !separated {
		return Event{}, false
	}
	if e, ours := d.card(number, f.whole, false); ours {
		if e.Type == Card {
			e.Manner = Track2
		}
		return e, true
	}
	if len(number) >= 12 && len(number) <= 19 {
		return reject(PaymentCard), true
	}
	return reject(Unknown), true
}

// fnc1 is how scanners send the GS1 function character: the group separator.
const fnc1 = "\x1d"

// gs1 reads a GS1 element string: application identifiers and their values.
func (d *Decoder) gs1(s string, f *frame) Event {
	e, bank := f.relay(Unknown), false
	for range 64 { // more elements than any symbol holds
		ai, value, rest, ok := element(s)
		if !ok {
			break
		}
		switch {
		case ai == "8018":
			c, _ := d.card(value, f.whole, true)
			if c.Type == Card {
				c.Manner = GS1
			}
			return c
		case ai == "01" && e.Reason == Unknown && gtin(value):
			e = f.relay(ProductCode)
		case ai == "21" && e.Reason == ProductCode, ai == "00" && e.Reason == Unknown:
			return f.relay(GoodsMark)
		}
		s, bank = rest, bank || holdsPAN(value)
	}
	if bank && e.Reason == Unknown {
		return reject(PaymentCard)
	}
	return e
}

// element cuts the first element off a GS1 element string.
func element(s string) (ai, value, rest string, ok bool) {
	s = strings.TrimLeft(s, fnc1)
	if len(s) < 3 || !digits(s[:2]) {
		return "", "", "", false
	}
	n, fixed := 2, 0
	switch s[:2] {
	case "00":
		fixed = 18
	case "01", "02", "03":
		fixed = 14
	case "04":
		fixed = 16
	case "11", "12", "13", "14", "15", "16", "17", "18", "19":
		fixed = 6
	case "20":
		fixed = 2
	case "31", "32", "33", "34", "35", "36":
		n, fixed = 4, 6
	case "41":
		n, fixed = 3, 13
	case "23", "24", "25", "40", "42", "71":
		n = 3
	case "39", "43", "70", "72", "80", "81", "82":
		n = 4
	}
	if len(s) <= n || len(s) < n+fixed {
		return "", "", "", false
	}
	ai, s = s[:n], s[n:]
	if fixed > 0 {
		return ai, s[:fixed], s[fixed:], true
	}
	value, rest, _ = strings.Cut(s, fnc1)
	return ai, value, rest, true
}

// goodsMark tells a marking code from a scanner that sends neither AIM identifier nor FNC1: an article and a serial
// number as GS1 elements, the shorter form on packs of cigarettes, or the excise marks of alcohol, old and new.
func goodsMark(s string) bool {
	const serial = 6
	switch {
	case len(s) >= 18+serial && strings.HasPrefix(s, "01") && s[16:18] == "21":
		return digits(s[2:16]) && gs1Check(s[2:16])
	case len(s) == 21 || len(s) == 25 || len(s) == 29:
		return digits(s[:14]) && gs1Check(s[:14]) && !digits(s) && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	case len(s) == 68 || len(s) == 150:
		return !digits(s) && strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	}
	return false
}

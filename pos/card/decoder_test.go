package card

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const own = "7005123456789015"

func decoder(t testing.TB, change func(*Config)) *Decoder {
	t.Helper()
	cfg := Example()
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (e Event) summary() string {
	s := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s", e.Type, string(e.Number), e.Kind, e.Reason)), " ")
	if e.Manner != "" {
		s += " by " + string(e.Manner)
	}
	if e.Relay != nil {
		s += " relayed"
	}
	return s
}

func TestDecode(t *testing.T) {
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + ".e30.AAAA"
	for _, tc := range []struct{ in, want string }{
		// cards
		{own, "card 7005123456789015 luhn by plain"},
		{"\x00\x00" + own, "card 7005123456789015 luhn by plain"},
		{"7005-1234-5678-9015", "card 7005123456789015 luhn by plain"},
		{"HTTPS://LOY.EXAMPLE/?c=" + own, "card 7005123456789015 luhn by url"},
		{"http://loy.example.:8080/?c=7005+1234+5678+9015", "card 7005123456789015 luhn by url"},
		{`{"card":{"card":1},"x":"` + own + `"}`, "reject unknown"},
		{`{"x":{"card":1}, "card": "` + own + `"}`, "card 7005123456789015 luhn by json"},
		{"Card No. # " + own, "card 7005123456789015 luhn by label"},
		{";" + own + "?", "card 7005123456789015 luhn by track2"},
		{own + "=25121010000000000", "card 7005123456789015 luhn by track2"},
		{"%B" + own + "^IVANOV^2512?;" + own + "=2512?", "card 7005123456789015 luhn by track2"},
		{"8018460123456789012345", "card 460123456789012345 gsrn by gs1"},
		{"]C18018460123456789012344", "reject check_digit"}, {"]C1801846012345@789012345", "reject unknown"},
		{"\x1d01046004399312@6", "reject unknown relayed"},
		{"]d201046004399312568018460123456789012345", "card 460123456789012345 gsrn by gs1"},
		// ours, but not good
		{"7005", "reject length"}, {own + "0", "reject length"}, {"7777777777777777", "reject trivial"},
		{"card: 7005123456789016", "reject check_digit"},
		{"https://loy.example/?c=7005123456789016", "reject check_digit"},
		{"https://loy.example/?d=" + own, "reject url_param"}, {"https://loy.example/?c=%zz", "reject url_param"},
		{"https://loy.example/?c=FUEL-1", "reject url_param"}, {"https://loy.example/?c=4006381333931", "reject unknown"},
		{`{"card":7.005123456789015e15}`, "reject unknown"}, {`{"card":null}`, "reject unknown"},
		{`{"card":"` + own + `","card":"` + own + `"}`, "reject bad_json"}, {`{"card":"` + own + `"}}`, "reject bad_json"},
		{";7005123456789016=2512?", "reject check_digit"},
		// others'
		{"https://user@loy.example/?c=" + own, "reject host relayed"}, {"ftp://loy.example/?c=" + own, "reject host relayed"},
		{"https://loy.example@evil.example/?c=" + own, "reject host relayed"}, {"see https://loy.example/?c=" + own, "reject host relayed"},
		{`{"sum":12}`, "reject unknown relayed"}, {"t=20260101T1200&s=100.00&fn=9289000100123456&i=1&fp=1&n=1", "reject unknown relayed"},
		{"12345", "reject length relayed"}, {"9000000000000001", "reject unknown relayed"},
		{"]Q1hello", "reject unknown relayed"}, {"]X9hello", "reject unknown relayed"},
		// goods
		{"4006381333931", "reject product_code relayed"}, {"96385074", "reject product_code relayed"}, {"036000291452", "reject product_code relayed"},
		{"]E096385075", "reject product_code relayed"}, {"]I104600439931256", "reject product_code relayed"}, {"04600439931257", "reject length relayed"},
		{"]e00104600439931256", "reject product_code relayed"}, {"\x1d0104600439931256", "reject product_code relayed"},
		{"0104600439931256215abcDEF\x1d93Zz1A", "reject goods_mark relayed"}, {"04600439931256abcDEF8", "reject goods_mark relayed"},
		{"]C100" + "046004399312345674", "reject goods_mark relayed"}, {strings.Repeat("2A4111111111111111", 9)[:150], "reject goods_mark relayed"},
		// bank cards
		{"4111111111111111", "reject payment_card"}, {"4111 1111 1111 1111", "reject payment_card"}, {"2200000000000004", "reject payment_card"},
		{"30569309025904", "reject payment_card"}, {"PAN 4111-1111-1111-1111 x", "reject payment_card"},
		{"https://bank.example/?pan=4111111111111111", "reject payment_card"}, {`{"pan":"4111111111111111"}`, "reject payment_card"},
		{";5555555555554444=2512101?", "reject payment_card"}, {"5555555555554444=2512101", "reject payment_card"},
		{"%B5555555555554444^IVANOV/I^2512?;5555555555554444=2512?5", "reject payment_card"}, {"%B5555555555554444^IVANOV/I^2512?", "ignore track1"},
		{"+015555555555554444==1==?", "ignore track3"}, {";9999=1?", "reject unknown"}, {"=25121010000000000?", "reject unknown"},
		{"https://loy.example/?c=4111111111111111", "reject payment_card"}, {"card: 4111111111111111", "reject payment_card"},
		// tokens
		{"HC1:ABC ", "token hc1 by plain"}, {jwt, "token jwt by plain"}, {jwt + "=", "reject unknown relayed"}, {"eyJ.e30.AA", "reject unknown relayed"},
		// the scanner's own
		{"NOREAD", "noread"}, {"\x15", "ignore protocol"}, {"BEPDFT\x06.", "ignore protocol"}, {"\x16M\r", "ignore protocol"},
		// noise
		{"\x01\x02", "ignore protocol"}, {"a\x08b", "reject garbage"}, {"\xffabc", "reject unknown relayed"}, {"abc\x98", "reject garbage"},
		{"%", "reject unknown relayed"}, {"+7 900 000-00-00", "reject unknown relayed"}, {";", "reject unknown relayed"},
	} {
		e, ok := decoder(t, nil).Decode(Frame{Data: []byte(tc.in), End: EndTerminator}, noon)
		if !ok || e.summary() != tc.want {
			t.Errorf("%q: %s %v, want %s", tc.in, e.summary(), ok, tc.want)
		}
	}
}

func TestOfAPieceOnlyTheProvenIsTaken(t *testing.T) {
	unchecked := func(c *Config) { c.Ranges = append(c.Ranges, Range{Prefix: "88", Length: 10, Check: Unchecked}) }
	for _, tc := range []struct {
		in, gap, whole string
		change         func(*Config)
	}{
		{own, "card 7005123456789015 luhn by plain", "card 7005123456789015 luhn by plain", nil},
		{"8812345678", "reject unterminated", "card 8812345678 none by plain", unchecked},
		{"FUEL-1", "reject unterminated", "token FUEL- by plain", nil},
		{"4006381333931", "reject product_code relayed", "reject product_code relayed", nil},
		{"7005123456782", "reject length", "reject product_code relayed", nil}, // a cut card may look like an article of Norway
	} {
		d := decoder(t, tc.change)
		if e, _ := d.Decode(Frame{Data: []byte(tc.in), End: EndGap}, noon); e.summary() != tc.gap {
			t.Errorf("%s ended by silence: %s, want %s", tc.in, e.summary(), tc.gap)
		}
		d = decoder(t, func(c *Config) {
			if tc.change != nil {
				tc.change(c)
			}
			c.GapsOK = true
		})
		if e, _ := d.Decode(Frame{Data: []byte(tc.in), End: EndGap}, noon); e.summary() != tc.whole {
			t.Errorf("%s ended by silence that is trusted: %s, want %s", tc.in, e.summary(), tc.whole)
		}
	}
}

func TestTheRestOfACutCardIsNotForTheRegister(t *testing.T) {
	d := decoder(t, nil)
	d.Decode(Frame{Data: []byte("700512345678"), End: EndGap}, noon)
	if e, _ := d.Decode(Frame{Data: []byte("9015"), End: EndTerminator}, noon.Add(200*time.Millisecond)); e.Relay != nil {
		t.Error("relayed")
	}
	if e, _ := d.Decode(Frame{Data: []byte("9015"), End: EndTerminator}, noon.Add(time.Second)); e.Relay == nil {
		t.Error("what follows is not relayed")
	}
}

func TestDedupe(t *testing.T) {
	at := func(ms int) time.Time { return noon.Add(time.Duration(ms) * time.Millisecond) }
	type step struct {
		in   string
		at   time.Time
		want Type
	}
	for name, steps := range map[string][]step{
		"repeats":               {{own, at(0), Card}, {own, at(100), Dup}, {own, at(1700), Card}},
		"held in view":          {{own, at(0), Card}, {own, at(1400), Dup}, {own, at(2800), Dup}, {own, at(4300), Card}},
		"another in between":    {{own, at(0), Card}, {"2780000000016", at(100), Card}, {own, at(200), Card}},
		"another manner":        {{own, at(0), Card}, {";" + own + "=1?", at(100), Dup}},
		"tokens":                {{"FUEL-1", at(0), Token}, {"FUEL-1", at(1), Dup}, {"FUEL-2", at(2), Token}},
		"goods are bought twos": {{"4006381333931", at(0), Reject}, {"4006381333931", at(1), Reject}},
		"the clock goes back":   {{own, at(0), Card}, {own, at(-3_600_000), Card}, {own, at(-3_599_999), Dup}},
	} {
		d := decoder(t, nil)
		for i, s := range steps {
			if e, _ := d.Decode(Frame{Data: []byte(s.in), End: EndTerminator}, s.at); e.Type != s.want {
				t.Errorf("%s: step %d: %s, want %s", name, i, e.Type, s.want)
			}
		}
	}
	off := decoder(t, func(c *Config) { c.Dedupe = -1 })
	for range 2 {
		if e, _ := off.Decode(Frame{Data: []byte(own), End: EndTerminator}, noon); e.Type != Card {
			t.Errorf("dedupe off: %s", e.Type)
		}
	}
}

func TestGrant(t *testing.T) {
	b := make([]byte, 86)
	for i := range b {
		b[i] = byte(i + 0x11)
	}
	qr := "71" + new(big.Int).SetBytes(b).String()
	e, _ := decoder(t, nil).Decode(Frame{Data: []byte("]Q1" + qr), End: EndTerminator}, noon)
	if e.summary() != "token grant by plain" || !bytes.Equal(e.Payload, b) {
		t.Errorf("%s %x", e.summary(), e.Payload)
	}
	if e, _ = decoder(t, nil).Decode(Frame{Data: []byte(qr[:150]), End: EndGap}, noon); e.Type != Reject || e.Payload != nil {
		t.Errorf("a cut grant: %s", e.summary())
	}
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Byte(), grantMin, grantMax).Draw(t, "bytes")
		want[0] |= 0x10 // the version is never nothing
		got, ok := grant(grantPrefix + new(big.Int).SetBytes(want).String())
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("got %x %v", got, ok)
		}
	})
}

func TestRelayIsTheWire(t *testing.T) {
	raw := []byte("\x02]E04006381333931\r")
	e, _ := decoder(t, nil).Decode(Frame{Data: raw[1 : len(raw)-1], Raw: raw, End: EndTerminator}, noon)
	if !bytes.Equal(e.Relay, raw) || e.AIM != "]E0" || e.Symbology != "ean" || e.Charset != "ascii" {
		t.Errorf("%q %+v", e.Relay, e)
	}
}

func TestATokenIsItsBytes(t *testing.T) {
	for in, want := range map[string]string{"\r\nHC1:AB \t": "HC1:AB \t", "FUEL-\xff": "FUEL-\xff", `]Q2\000026FUEL-\\1`: `FUEL-\1`} {
		if e, _ := decoder(t, nil).Decode(Frame{Data: []byte(in), End: EndTerminator}, noon); e.Type != Token || string(e.Payload) != want {
			t.Errorf("%q: %s %q, want %q", in, e, e.Payload, want)
		}
	}
}

func TestAIM(t *testing.T) {
	required := decoder(t, func(c *Config) { c.AIM = AIMRequired })
	none := decoder(t, func(c *Config) { c.AIM = AIMNone })
	for _, tc := range []struct {
		d        *Decoder
		in, want string
	}{
		{required, own, "reject aim_id relayed"}, {required, "]C0" + own, "card 7005123456789015 luhn by plain"},
		{required, "4111111111111111", "reject payment_card"}, {none, "]C0" + own, "reject unknown relayed"},
	} {
		if e, _ := tc.d.Decode(Frame{Data: []byte(tc.in), End: EndTerminator}, noon); e.summary() != tc.want {
			t.Errorf("%s: %s, want %s", tc.in, e.summary(), tc.want)
		}
	}
}

func TestCharset(t *testing.T) {
	label, win := "карта: "+own, "\xea\xe0\xf0\xf2\xe0: "+own
	for _, tc := range []struct {
		charset     Charset
		in, as, how string
	}{
		{CharsetAuto, label, "utf-8", "card"}, {CharsetAuto, win, "cp1251", "card"}, {CharsetAuto, own, "ascii", "card"},
		{CharsetUTF8, win, "", "reject"}, {CharsetCP1251, win, "cp1251", "card"}, {CharsetCP1251, label, "", "reject"},
		{CharsetUTF8, `]Q2\000022` + win, "cp1251", "card"}, {CharsetCP1251, `]Q2\000026` + label, "utf-8", "card"},
		{CharsetAuto, `]Q2a\\b\000003c`, "ascii", "reject"},
	} {
		e, _ := decoder(t, func(c *Config) { c.Charset = tc.charset }).Decode(Frame{Data: []byte(tc.in), End: EndTerminator}, noon)
		if e.Charset != tc.as || string(e.Type) != tc.how {
			t.Errorf("%s %q: %s %s, want %s %s", tc.charset, tc.in, e.Type, e.Charset, tc.how, tc.as)
		}
	}
	if len([]rune(cp1251)) != 128 {
		t.Errorf("the upper half has %d characters", len([]rune(cp1251)))
	}
}

func TestBlankIsNothing(t *testing.T) {
	for _, in := range []string{"", " ", "\t\x1d \r\n", "\x00\x00"} {
		if e, ok := decoder(t, nil).Decode(Frame{Data: []byte(in), End: EndGap}, noon); ok || !reflect.DeepEqual(e, Event{}) {
			t.Errorf("%q: %v", in, e)
		}
	}
}

func TestAnEventMayBeLogged(t *testing.T) {
	e, _ := decoder(t, nil).Decode(Frame{Data: []byte(own), End: EndTerminator}, noon)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("scan", "event", e, "number", e.Number)
	for _, s := range []string{log.String(), e.String(), fmt.Sprintf("%v %+v %#v %s", e, e, e, e)} {
		if strings.Contains(s, "12345678") || !strings.Contains(s, "9015") {
			t.Errorf("not masked: %s", s)
		}
	}
}

// A Luhn number of an issuer's range, however it is dressed, leaves no trace in the event or the decoder.
func TestBankCardsLeaveNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pan := rapid.StringMatching(`[4-5][0-9]{14}`).Draw(t, "pan")
		for i := range 10 {
			if c := pan + string(rune('0'+i)); luhn(c) {
				pan = c
				break
			}
		}
		if strings.Trim(pan, pan[:1]) == "" {
			t.Skip("trivial")
		}
		form := rapid.SampledFrom([]string{"%s", ";%s=2512101?", "%%B%s^I/I^2512?", "card: %s", "PAN %s.", `{"card":"%s"}`, "https://loy.example/?c=%s", "x://%s", "]C0%s", "\x1d91%s"}).Draw(t, "form")
		d, err := New(Example())
		if err != nil {
			t.Fatal(err)
		}
		e, _ := d.Decode(Frame{Data: fmt.Appendf(nil, form, pan), End: rapid.SampledFrom([]End{EndTerminator, EndGap}).Draw(t, "end")}, noon)
		if s := fmt.Sprintf("%q %q %q %q %q %q", string(e.Number), e.Kind, e.Payload, e.Relay, e.AIM, e.Symbology); strings.Contains(s, pan[6:]) {
			t.Fatalf("%s gives %s", form, s)
		}
		if d.last != (Decoder{}).last {
			t.Fatal("the decoder remembers it")
		}
	})
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []Config{{}, Example()} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]Config{
		"prefix": {Ranges: []Range{{Length: 16}}}, "letters": {Ranges: []Range{{Prefix: "7x", Length: 16}}},
		"length": {Ranges: []Range{{Prefix: "7005", Length: 4}}}, "long": {Ranges: []Range{{Prefix: "7", Length: 65}}},
		"check": {Ranges: []Range{{Prefix: "7", Length: 16, Check: "verhoeff"}}}, "host": {Hosts: []string{"https://x"}, URLParam: "c"},
		"param": {Hosts: []string{"x"}}, "token": {Tokens: []string{"71"}}, "digits": {Tokens: []string{"7111"}},
		"noread": {NoRead: []string{""}}, "dedupe": {Dedupe: time.Hour}, "charset": {Charset: "koi8-r"}, "aim": {AIM: "on"}, "max": {MaxLen: 1 << 20},
		"many": {NoRead: make([]string, 300)},
	} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
}

// The worst that fits into a frame costs a small multiple of it.
func TestHostileFramesStaySmall(t *testing.T) {
	fill := func(s string) []byte { return []byte(strings.Repeat(s, MaxLen/len(s)+1)[:MaxLen]) }
	for _, in := range [][]byte{
		fill("7"), fill("71"), fill("["), append([]byte(`{"card":`), fill("[")[8:]...), append([]byte(`{"card":"`), fill(`\u0000`)[9:]...),
		append([]byte("https://loy.example/?"), fill("c=1&")[21:]...), append([]byte("\x1d"), fill("91a\x1d")[1:]...), append([]byte("]Q2"), fill(`\000026`)[3:]...),
		fill("4 "), fill("\xe0"), append([]byte("HC1:"), fill("A")[4:]...), append([]byte("eyJ"), fill("A.")[3:]...), fill("{}"), fill("é"),
	} {
		d := decoder(t, nil)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d.Decode(Frame{Data: in, End: EndTerminator}, noon)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 64*MaxLen {
			t.Errorf("%.24q: %d bytes allocated for a frame of %d", in, got, len(in))
		}
	}
}

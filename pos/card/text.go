package card

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cp1251 is the upper half of Windows-1251, from 0x80.
const cp1251 = "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\ufffd™љ›њќћџ" +
	"\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї" +
	"АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя"

// What of the upper half, beside the letters from 0xC0, occurs in texts of these parts. The rest is a sign of noise.
const usual = "ЁёЎўІіЇїЄєҐґ№«»„“”–—…\u00a0"

// decodeText reads bytes as text and says as what; false means that they are none.
func decodeText(b []byte, c Charset) (text, as string, ok bool) {
	if c != CharsetCP1251 && utf8.Valid(b) {
		as = "ascii"
		for _, r := range string(b) {
			if control(r) {
				return "", "", false
			}
			if r >= utf8.RuneSelf {
				as = string(CharsetUTF8)
			}
		}
		return string(b), as, true
	}
	if c == CharsetUTF8 {
		return "", "", false
	}
	upper := []rune(cp1251)
	as = "ascii"
	var s strings.Builder
	for _, c := range b {
		r := rune(c)
		if c >= 0x80 {
			r, as = upper[c-0x80], string(CharsetCP1251)
			if c < 0xc0 && !strings.ContainsRune(usual, r) {
				return "", "", false
			}
		}
		if control(r) {
			return "", "", false
		}
		s.WriteRune(r)
	}
	return s.String(), as, true
}

// control tells the control characters that no code carries as text. GS and its kin, and EOT, are part of some.
func control(r rune) bool {
	return unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\x04\x1c\x1d\x1e\x1f", r)
}

// compact is s without the spaces and hyphens that people put between digits, if digits are all that is left.
func compact(s string) string {
	c := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, s)
	if digits(c) {
		return c
	}
	return s
}

// labelled is what follows a label of a few words: "card: 7005...".
func labelled(text string) (string, bool) {
	const most = 64 // bytes
	i := strings.IndexAny(text, ":=#№")
	if i < 1 || i > most {
		return "", false
	}
	for _, r := range text[:i] {
		if !unicode.IsLetter(r) && r != ' ' && r != '.' {
			return "", false
		}
	}
	return strings.TrimLeft(text[i:], ":=#№ "), true
}

// symbologies names the code characters of AIM identifiers (ISO/IEC 15424).
var symbologies = map[byte]string{
	'A': "code39", 'C': "code128", 'E': ean, 'F': "codabar", 'G': "code93", 'I': "itf", 'J': "dotcode", 'L': "pdf417",
	'Q': "qr", 'd': "datamatrix", 'e': "databar", 'z': "aztec",
}

const ean = "ean"

// cutAIM takes the AIM identifier off: "]", a code character, a modifier.
func (f *frame) cutAIM(b []byte) []byte {
	if len(b) < 3 || b[0] != ']' {
		return b
	}
	name, known := symbologies[b[1]]
	if !known || !strings.ContainsRune("0123456789ABCDEFabcdef", rune(b[2])) {
		return b
	}
	f.aim, f.symbology = string(b[:3]), name
	switch f.aim {
	case "]C1", "]e0", "]d2", "]d5", "]Q3", "]Q4", "]J1", "]z1":
		f.gs1 = true
	}
	return b[3:]
}

// eci tells whether the AIM identifier says that backslashes are escapes of extended channel interpretation.
func (f *frame) eci() bool {
	switch f.aim {
	case "]Q2", "]Q4", "]Q6", "]d4", "]d5", "]d6", "]z3", "]z4", "]z5":
		return true
	}
	return false
}

// unescapeECI takes the escapes out. The first that names a charset we know decides for the whole.
func unescapeECI(b []byte, c Charset) ([]byte, Charset) {
	out := make([]byte, 0, len(b))
	for decided := false; len(b) > 0; {
		switch {
		case b[0] == '\\' && len(b) >= 7 && digits(string(b[1:7])):
			if n := string(b[1:7]); !decided && n == "000026" {
				c, decided = CharsetUTF8, true
			} else if !decided && n == "000022" {
				c, decided = CharsetCP1251, true
			}
			b = b[7:]
		case len(b) >= 2 && b[0] == '\\' && b[1] == '\\':
			out, b = append(out, '\\'), b[2:]
		default:
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out, c
}

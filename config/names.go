package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// fieldName is the key of a struct field.
func fieldName(f reflect.StructField) string { return f.Tag.Get("yaml") }

// fieldsByName returns the fields of a struct by their keys.
func fieldsByName(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		fields[fieldName(v.Type().Field(i))] = v.Field(i)
	}
	return fields
}

// fieldNames returns the keys of a struct in their order.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = fieldName(t.Field(i))
	}
	return names
}

// unknownKeyHint says what an unknown key may have been meant to be: a file instead of a secret, a neighbour that is
// spelled alike, a key of another section, or any of the keys that do belong here.
func unknownKeyHint(name, section string, v reflect.Value) string {
	names := fieldNames(v.Type())
	if file := name + "_file"; looksSecret(name) && slices.Contains(names, file) {
		return fmt.Sprintf("secrets are not written here: put it into a file and name that file in %s", join(section, file))
	}
	if n := nearest(name, names); n != "" {
		return fmt.Sprintf("did you mean %s?", join(section, n))
	}
	if len(names) <= 12 {
		where := "here"
		if section != "" {
			where = "in " + section
		}
		return fmt.Sprintf("the keys %s are: %s", where, strings.Join(names, ", "))
	}
	return "`config schema` lists every key"
}

// keyAndColon finds every key of a line, in flow style too.
var keyAndColon = regexp.MustCompile(`([\w-]+)["']?\s*:`)

// looksSecret reports whether a key names a secret rather than the file that holds one.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	if strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_prefixes") || name == "json_key" {
		return false
	}
	for _, word := range []string{"password", "passwd", "secret", "token", "key"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

var userInfo = regexp.MustCompile(`[^/\s"'@]+@`)

// maskedUserInfo hides the user and password of every address in s, also of one whose scheme was forgotten.
func maskedUserInfo(s string) string { return userInfo.ReplaceAllString(s, "******@") }

// excerptValue is a value as an error message quotes it: short, and never a secret.
func excerptValue(key, text string) string {
	if looksSecret(key[strings.LastIndexByte(key, '.')+1:]) {
		return "the value"
	}
	return fmt.Sprintf("%q", shortened(maskedUserInfo(text), 60))
}

// shortened returns at most n characters of s, and says so where it cut.
func shortened(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "..."
	}
	return s
}

// join appends a key to the path of its section.
func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// parent is the path of what a key stands in: a.b[2].c, a.b[2], a.b, a.
func parent(key string) string { return key[:max(strings.LastIndexAny(key, ".["), 0)] }

package config

import (
	"fmt"
	"reflect"
	"strings"
)

// sourceEnvironment is what problems call the environment, in place of a file.
const sourceEnvironment = "environment"

// otherVariables are the variables with a prefix of ours that are not keys of the configuration: where the file is, and
// what the tests of the project use.
var otherVariables = []string{"AZS_CONFIG", "AZSHQ_CONFIG", "AZS_TEST_"}

// environment applies every variable that begins with prefix. One that names no key is a problem: a misspelled
// override that is silently ignored would be found only at the counter.
func (d *decoder) environment(environ []string, prefix string, target reflect.Value) {
	known := map[string]variable{}
	variables(target, prefix, "", known)
	for _, entry := range environ {
		name, text, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, prefix) || isOtherVariable(name) {
			continue
		}
		v, ok := known[name]
		if !ok {
			var names []string
			for n := range known {
				names = append(names, strings.ToLower(n))
			}
			hint := "lists of sections can be set in the file only; unset the variable if it is not meant for this program"
			if n := nearest(name, names); n != "" {
				hint = fmt.Sprintf("did you mean %s?", strings.ToUpper(n))
			}
			d.problems = append(d.problems, Problem{Source: sourceEnvironment, Message: name + " names no key of the configuration", Hint: hint})
			continue
		}
		d.at[v.key] = place{source: sourceEnvironment}
		if err := setVariable(v.value, text); err != nil {
			d.problems = append(d.problems, Problem{
				Source: sourceEnvironment, Key: v.key,
				Message: fmt.Sprintf("%s: %s %s", name, excerptValue(v.key, text), err), Hint: hintOf(err),
			})
		}
	}
}

// variable is a key that can be set from the environment.
type variable struct {
	key   string
	value reflect.Value
}

// variables collects the keys below v by the names of their variables.
func variables(v reflect.Value, name, key string, into map[string]variable) {
	for i := range v.NumField() {
		word := fieldName(v.Type().Field(i))
		f, n, k := v.Field(i), name+strings.ToUpper(word), join(key, word)
		switch {
		case isScalar(f.Type()) || f.Kind() == reflect.Slice && isScalar(f.Type().Elem()):
			into[n] = variable{k, f}
		case f.Kind() == reflect.Struct:
			variables(f, n+"_", k, into)
		}
	}
}

// setVariable sets a scalar, or a list of scalars separated by commas. An empty variable empties a list.
func setVariable(v reflect.Value, text string) error {
	if v.Kind() != reflect.Slice {
		return setScalar(v, text, false)
	}
	list := reflect.MakeSlice(v.Type(), 0, 4)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if list.Len() == maxListLength {
			return fmt.Errorf("has more than %d items", maxListLength)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := setScalar(item, part, false); err != nil {
			return err
		}
		list = reflect.Append(list, item)
	}
	if list.Len() == 0 {
		v.SetZero()
		return nil
	}
	v.Set(list)
	return nil
}

func isOtherVariable(name string) bool {
	for _, o := range otherVariables {
		if name == o || strings.HasSuffix(o, "_") && strings.HasPrefix(name, o) {
			return true
		}
	}
	return false
}

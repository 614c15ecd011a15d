package ansible

import (
	"cmp"
	"encoding/json"
	"math/big"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// The functions in this file take a decoded JSON value (numbers as json.Number). They return what check_type_str, check_type_int
// and so on in ansible/module_utils/common/validation.py return. ok is false where those functions raise an error.

// Coerce returns the value of an option of this type: bool, int, list, dict, path or str.
func Coerce(kind string, value any, env func(string) (string, bool)) (coerced any, ok bool) {
	switch kind {
	case "bool":
		return Bool(value)
	case "int":
		return Int(value)
	case "list":
		return List(value)
	case "dict":
		return Dict(value)
	case "path":
		return Path(value, env)
	}
	return Str(value)
}

// Str accepts a string, a number or a bool; true becomes "True", as in Python. Unlike Ansible, it refuses lists and dicts.
func Str(value any) (text string, ok bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case nil:
		return "", true
	case bool:
		return map[bool]string{true: "True", false: "False"}[v], true
	case json.Number:
		return pythonNumber(v), true
	}
	return "", false
}

// Bool accepts the strings y, yes, on, 1, true, t, n, no, off, 0, false and f in any case, and the numbers 1, 0, 1.0 and 0.0.
func Bool(value any) (is, ok bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case string:
		switch strip(strings.ToLower(v)) {
		case "y", "yes", "on", "1", "true", "t":
			return true, true
		case "n", "no", "off", "0", "false", "f":
			return false, true
		}
	case json.Number:
		f, err := v.Float64()
		return f == 1, err == nil && (f == 0 || f == 1)
	}
	return false, false
}

// Int accepts whole numbers, including strings and numbers such as 5.0. Unlike Python, it is limited to 64 bits.
func Int(value any) (number int, ok bool) {
	var text string
	switch v := value.(type) {
	case bool:
		return map[bool]int{true: 1, false: 0}[v], true
	case json.Number:
		text = v.String()
	case string:
		text = strings.ReplaceAll(strip(v), "_", "")
	}
	// A four-digit exponent is out of range anyway, and big.Rat would allocate all its digits.
	if !regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`).MatchString(text) {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	return int(exact.Num().Int64()), true
}

// List accepts a list. A string is split at commas, keeping spaces. A number or bool becomes a list of one string.
func List(value any) (list []any, ok bool) {
	switch v := value.(type) {
	case []any:
		return v, true
	case string:
		for part := range strings.SplitSeq(v, ",") {
			list = append(list, part)
		}
		return list, true
	case bool, json.Number:
		text, ok := Str(v)
		return []any{text}, ok
	}
	return nil, false
}

// Dict accepts a dict or a string that contains a JSON object. Unlike Ansible, it refuses key=value pairs and Python literals.
func Dict(value any) (dict map[string]any, ok bool) {
	text, ok := value.(string)
	if !ok || !strings.HasPrefix(text, "{") {
		dict, ok = value.(map[string]any)
		return dict, ok
	}
	dict, err := parse([]byte(text))
	return dict, err == nil
}

// Path accepts what Str accepts and expands variables and a leading ~, as Python's os.path.expandvars and expanduser do.
func Path(value any, env func(string) (string, bool)) (path string, ok bool) {
	text, ok := Str(value)
	text = regexp.MustCompile(`\$(\w+|\{[^}]*\})`).ReplaceAllStringFunc(text, func(found string) string {
		if known, ok := env(strings.Trim(found, "${}")); ok {
			return known
		}
		return found
	})
	if name, _, _ := strings.Cut(text, "/"); strings.HasPrefix(name, "~") {
		if home := homeOf(name[1:], env); home != "" {
			text = cmp.Or(strings.TrimRight(home, "/")+text[len(name):], "/")
		}
	}
	return text, ok
}

// homeOf returns a user's home directory, or the caller's own if name is empty. It returns "" if there is no such user.
func homeOf(name string, env func(string) (string, bool)) string {
	if home, ok := env("HOME"); ok && name == "" {
		return home
	}
	found, err := user.Lookup(name)
	if name == "" {
		found, err = user.Current()
	}
	if err != nil {
		return ""
	}
	return found.HomeDir
}

// strip is Python's str.strip.
func strip(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || (r >= 0x1c && r <= 0x1f) })
}

// pythonNumber formats a number as Python's str() formats what its json module reads: floats below 1e-4, or of 1e16 and more, get
// an exponent.
func pythonNumber(number json.Number) string {
	text := number.String()
	if text == "-0" {
		return "0"
	}
	f, err := number.Float64()
	if err != nil || !strings.ContainsAny(text, ".eE") {
		return text
	}
	short := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, _ := strconv.Atoi(short[strings.IndexByte(short, 'e')+1:])
	if exponent < -4 || exponent >= 16 {
		return short
	}
	text = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

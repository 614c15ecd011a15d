package ansible

import (
	"encoding/json"
	"errors"
	"math"
	"os/user"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// The functions of this file take a value as it comes out of JSON (numbers as json.Number; int and float64 are taken
// too) and give what check_type_str, _int, … of ansible/module_utils/common/validation.py give. Their errors are
// predicates without the value: "is not an int".

// Str takes a string, a number or a bool; True and 1.0 become "True" and "1.0", as in Python. Unlike Ansible's it
// refuses lists and dicts, which Ansible turns into the text of a Python expression.
func Str(value any) (string, error) {
	switch v := plain(value).(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	case bool:
		if v {
			return "True", nil
		}
		return "False", nil
	case json.Number:
		return pythonNumber(v), nil
	}
	return "", errors.New("is not a str")
}

// Bool takes y yes on 1 true t and n no off 0 false f in any case, 1, 0, 1.0 and 0.0.
func Bool(value any) (bool, error) {
	switch v := plain(value).(type) {
	case bool:
		return v, nil
	case string:
		switch strip(strings.ToLower(v)) {
		case "y", "yes", "on", "1", "true", "t":
			return true, nil
		case "n", "no", "off", "0", "false", "f":
			return false, nil
		}
	case json.Number:
		if f, err := v.Float64(); err == nil && (f == 0 || f == 1) {
			return f == 1, nil
		}
	}
	return false, errors.New("is not a bool")
}

// Int takes whole numbers, also as strings and with a fraction of nothing but zeros. Unlike Python's it ends at 64 bits.
func Int(value any) (int, error) {
	switch v := plain(value).(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") {
			return wholeFloat(v)
		}
		return wholeDecimal(string(v))
	case string:
		return wholeDecimal(strings.ReplaceAll(strip(v), "_", ""))
	}
	return 0, errors.New("is not an int")
}

func wholeFloat(number json.Number) (int, error) {
	f, err := number.Float64()
	switch {
	case err != nil || math.Abs(f) >= 1<<63:
		return 0, errors.New("is too large for an int")
	case f != math.Trunc(f):
		return 0, errors.New("is not an int: it has a fraction")
	}
	return int(f), nil
}

// wholeDecimal reads what Python's decimal.Decimal reads, NaN and Infinity left out.
func wholeDecimal(text string) (int, error) {
	parts := regexp.MustCompile(`^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$`).FindStringSubmatch(text)
	if len(parts) == 0 || parts[2]+parts[3] == "" {
		return 0, errors.New("is not an int")
	}
	digits := strings.TrimLeft(parts[2]+parts[3], "0")
	if digits == "" {
		return 0, nil
	}
	exponent := 0
	if parts[4] != "" {
		var err error
		if exponent, err = strconv.Atoi(parts[4]); err != nil {
			return 0, errors.New("is too large for an int")
		}
	}
	exponent -= len(parts[3])
	for exponent < 0 && strings.HasSuffix(digits, "0") {
		digits, exponent = strings.TrimSuffix(digits, "0"), exponent+1
	}
	if exponent < 0 {
		return 0, errors.New("is not an int: it has a fraction")
	}
	if len(digits)+exponent > 19 {
		return 0, errors.New("is too large for an int")
	}
	whole, err := strconv.ParseInt(parts[1]+digits+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, errors.New("is too large for an int")
	}
	return int(whole), nil
}

// Float takes numbers, also as strings. Infinity and NaN, which JSON does not have, are refused.
func Float(value any) (float64, error) {
	switch v := plain(value).(type) {
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case json.Number:
		return finite(string(v))
	case string:
		text := strings.ReplaceAll(strip(v), "_", "")
		if !strings.ContainsAny(text, "xXpP") {
			return finite(text)
		}
	}
	return 0, errors.New("is not a float")
}

func finite(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, errors.New("is not a float")
	}
	return f, nil
}

// List takes a list; a string is split at its commas (blanks stay), a number or bool is a list of one string.
func List(value any) ([]any, error) {
	switch v := plain(value).(type) {
	case []any:
		return v, nil
	case string:
		var list []any
		for part := range strings.SplitSeq(v, ",") {
			list = append(list, part)
		}
		return list, nil
	case bool, json.Number:
		text, err := Str(v)
		return []any{text}, err
	}
	return nil, errors.New("is not a list")
}

// Path takes what Str takes and expands variables and a leading ~ in it, as os.path.expandvars and expanduser do.
func Path(value any, env func(string) (string, bool)) (string, error) {
	text, err := Str(value)
	if err != nil {
		return "", err
	}
	text = regexp.MustCompile(`\$(\w+|\{[^}]*\})`).ReplaceAllStringFunc(text, func(found string) string {
		if known, ok := env(strings.Trim(found, "${}")); ok {
			return known
		}
		return found
	})
	if !strings.HasPrefix(text, "~") {
		return text, nil
	}
	name, rest, _ := strings.Cut(text[1:], "/")
	home, ok := homeOf(name, env)
	if !ok {
		return text, nil
	}
	if len(text) > len(name)+1 {
		home = strings.TrimRight(home, "/") + "/" + rest
	}
	return home, nil
}

func homeOf(name string, env func(string) (string, bool)) (string, bool) {
	if name == "" {
		if home, ok := env("HOME"); ok {
			return home, true
		}
		me, err := user.Current()
		return homeDir(me, err)
	}
	return homeDir(user.Lookup(name))
}

func homeDir(found *user.User, err error) (string, bool) {
	if err != nil {
		return "", false
	}
	return found.HomeDir, true
}

// plain brings Go's own numbers and lists, as tests have them, into JSON's.
func plain(value any) any {
	switch v := value.(type) {
	case int:
		return json.Number(strconv.Itoa(v))
	case float64:
		return json.Number(pythonFloat(v))
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list
	}
	return value
}

// strip is Python's str.strip.
func strip(text string) string {
	return strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || (r >= 0x1c && r <= 0x1f) })
}

// pythonNumber is str() of what Python's json reads: integers as they are, floats in Python's shortest form.
func pythonNumber(number json.Number) string {
	if !strings.ContainsAny(string(number), ".eE") {
		if number == "-0" {
			return "0"
		}
		return string(number)
	}
	f, err := number.Float64()
	if err != nil {
		return string(number)
	}
	return pythonFloat(f)
}

// pythonFloat is repr() of a Python float: the shortest digits, an exponent below 1e-4 and from 1e16 on.
func pythonFloat(f float64) string {
	short := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, err := strconv.Atoi(short[strings.IndexByte(short, 'e')+1:])
	if err != nil || exponent < -4 || exponent >= 16 {
		return short
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

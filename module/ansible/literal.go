package ansible

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

const deepest = 100 // levels of nesting; nobody writes more by hand

// literalDict reads a dict as ast.literal_eval does, as far as its values exist in JSON: no bytes, sets or complex
// numbers; keys are strings.
func literalDict(text string) (map[string]any, bool) {
	l := &literal{rest: text}
	value, err := l.value(0)
	l.blank()
	dict, ok := value.(map[string]any)
	return dict, ok && err == nil && l.rest == ""
}

// literal is a reader of Python literals; its methods take what they read off rest.
type literal struct{ rest string }

func (l *literal) blank() { l.rest = strings.TrimLeft(l.rest, " \t\r\n\f") }

// next takes one token if it comes next.
func (l *literal) next(token string) bool {
	l.blank()
	rest, ok := strings.CutPrefix(l.rest, token)
	l.rest = rest
	return ok
}

func (l *literal) value(depth int) (any, error) {
	if depth > deepest {
		return nil, errors.New("nested too deeply")
	}
	for word, value := range map[string]any{"True": true, "False": false, "None": nil} {
		if l.next(word) {
			return value, nil
		}
	}
	switch {
	case l.next("{"):
		return l.dict(depth)
	case l.next("["):
		list, _, err := l.list("]", depth)
		return list, err
	case l.next("("):
		list, commas, err := l.list(")", depth)
		if err == nil && len(list) == 1 && commas == 0 {
			return list[0], nil // brackets alone make no tuple
		}
		return list, err
	}
	if value, ok, err := l.text(); ok || err != nil {
		return value, err
	}
	return l.number()
}

func (l *literal) dict(depth int) (map[string]any, error) {
	dict := map[string]any{}
	for !l.next("}") {
		l.blank()
		key, ok, err := l.text()
		if err != nil || !ok || !l.next(":") {
			return nil, errors.New("a key is not a string")
		}
		if dict[key], err = l.value(depth + 1); err != nil {
			return nil, err
		}
		if !l.next(",") {
			if !l.next("}") {
				return nil, errors.New("a dict does not end")
			}
			return dict, nil
		}
	}
	return dict, nil
}

func (l *literal) list(end string, depth int) (list []any, commas int, err error) {
	list = []any{}
	for !l.next(end) {
		value, err := l.value(depth + 1)
		if err != nil {
			return nil, commas, err
		}
		list = append(list, value)
		if !l.next(",") {
			if !l.next(end) {
				return nil, commas, errors.New("a list does not end")
			}
			return list, commas, nil
		}
		commas++
	}
	return list, commas, nil
}

func (l *literal) number() (json.Number, error) {
	found := regexp.MustCompile(`^[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?)`).FindString(l.rest)
	l.rest = l.rest[len(found):]
	digits := strings.TrimLeft(found, "+-")
	if whole, err := strconv.ParseInt(found, 0, 64); err == nil && !(len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' && whole != 0) {
		return json.Number(strconv.FormatInt(whole, 10)), nil
	}
	if !strings.ContainsAny(digits, ".eE") {
		return "", errors.New("not a number")
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(found, "_", ""), 64)
	if err != nil {
		return "", errors.New("not a number")
	}
	return json.Number(pythonFloat(f)), nil
}

// text reads a string in single, double or triple quotes, and the strings that follow it: Python joins them.
func (l *literal) text() (text string, ok bool, err error) {
	for {
		l.blank()
		l.rest = strings.TrimPrefix(l.rest, "u")
		quote := ""
		for _, q := range []string{`'''`, `"""`, `'`, `"`} {
			if strings.HasPrefix(l.rest, q) {
				quote = q
				break
			}
		}
		if quote == "" {
			return text, ok, nil
		}
		l.rest = l.rest[len(quote):]
		part, err := l.quoted(quote)
		if err != nil {
			return "", false, err
		}
		text, ok = text+part, true
	}
}

func (l *literal) quoted(quote string) (string, error) {
	var text strings.Builder
	for l.rest != "" {
		if rest, ok := strings.CutPrefix(l.rest, quote); ok {
			l.rest = rest
			return text.String(), nil
		}
		r, size := utf8.DecodeRuneInString(l.rest)
		l.rest = l.rest[size:]
		if r == '\n' && len(quote) == 1 {
			break
		}
		if r != '\\' {
			text.WriteRune(r)
			continue
		}
		part, err := l.escape()
		if err != nil {
			return "", err
		}
		text.WriteString(part)
	}
	return "", errors.New("a string does not end")
}

// escape reads what follows a backslash. An escape that Python does not know keeps its backslash.
func (l *literal) escape() (string, error) {
	if rest, ok := strings.CutPrefix(l.rest, "\n"); ok {
		l.rest = rest
		return "", nil
	}
	form := regexp.MustCompile(`^(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|[abfnrtv'"\\])`).FindString(l.rest)
	if form == "" {
		if l.rest != "" && strings.ContainsAny(l.rest[:1], "xuUN") {
			return "", errors.New("an escape that is cut short")
		}
		return `\`, nil
	}
	l.rest = l.rest[len(form):]
	if at := strings.IndexByte(`abfnrtv'"\`, form[0]); at >= 0 && len(form) == 1 {
		return string("\a\b\f\n\r\t\v'\"\\"[at]), nil
	}
	base := 16
	if form[0] >= '0' && form[0] <= '7' {
		base = 8
	} else {
		form = form[1:]
	}
	point, err := strconv.ParseUint(form, base, 32)
	if err != nil || !utf8.ValidRune(rune(point)) { //nolint:gosec // ParseUint was told 32 bits
		return "", errors.New("an escape that is no character")
	}
	return string(rune(point)), nil //nolint:gosec // as above
}

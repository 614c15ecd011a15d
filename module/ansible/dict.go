package ansible

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// Dict takes a dict, or a string that holds one: JSON, a Python literal ("{'a': True}", which templates write) or
// key=value pairs with commas or blanks between them.
func Dict(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok {
		if dict, ok := value.(map[string]any); ok {
			return dict, nil
		}
		return nil, errors.New("is not a dict")
	}
	switch {
	case strings.HasPrefix(text, "{"):
		if dict, ok := jsonDict(text); ok {
			return dict, nil
		}
		if dict, ok := literalDict(text); ok {
			return dict, nil
		}
		return nil, errors.New("is not a dict: the string is neither JSON nor a Python literal")
	case strings.Contains(text, "="):
		return pairs(text)
	}
	return nil, errors.New("is not a dict: the string is neither JSON nor key=value")
}

func jsonDict(text string) (map[string]any, bool) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var dict map[string]any
	if decoder.Decode(&dict) != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return dict, errors.Is(err, io.EOF)
}

// pairs reads k1=v1, k2='v 2' k3=v\ 3.
func pairs(text string) (map[string]any, error) {
	dict := map[string]any{}
	for _, field := range fieldsOf(strip(text)) {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			return nil, errors.New("is not a dict: a part of the string is not key=value")
		}
		dict[name] = value
	}
	return dict, nil
}

func fieldsOf(text string) []string {
	var fields []string
	var field strings.Builder
	end := func() {
		if field.Len() > 0 {
			fields = append(fields, field.String())
		}
		field.Reset()
	}
	var quote rune
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
			field.WriteRune(r)
		case r == '\\':
			escaped = true
		case quote == 0 && (r == '\'' || r == '"'):
			quote = r
		case quote != 0 && quote == r:
			quote = 0
		case quote == 0 && (r == ',' || r == ' '):
			end()
		default:
			field.WriteRune(r)
		}
	}
	end()
	return fields
}

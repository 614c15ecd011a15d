package options

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
)

// value coerces as Ansible does and checks against the schema. ok is false when a mistake was added.
func (w *walk) value(schema *jsonschema.Schema, path string, raw any) (value any, ok bool) {
	switch schema.Type {
	case "object":
		return w.dict(schema, path, raw)
	case "array":
		return w.list(schema, path, raw)
	}
	value, err := scalar(schema, raw, w.env)
	if path == "rotation_id" && fraction(raw) {
		w.invalid.add(path, fmt.Sprintf("%s must be quoted: YAML reads 2026.10 as the number 2026.1, so that two rotations would have one name; write %q, or what it was meant to be", w.called(path), value))
		return nil, false
	}
	if err == nil && fits(schema, value) {
		return value, true
	}
	if schema.WriteOnly {
		w.invalid.add(path, w.called(path)+" must be "+allowed(schema)+": "+hidden(schema, value, err), word(schema, "x-error-code"))
	} else {
		w.invalid.add(path, w.called(path)+" must be "+allowed(schema)+", not "+show(schema, raw))
	}
	return nil, false
}

func (w *walk) dict(schema *jsonschema.Schema, path string, raw any) (any, bool) {
	if text, ok := raw.(string); ok && word(schema, "x-path-as") != "" && looksLikePath(text) {
		place, err := ansible.Path(text, w.env)
		return map[string]any{word(schema, "x-path-as"): place}, err == nil
	}
	dict, err := ansible.Dict(raw)
	if err != nil {
		// What was given is not quoted: a dict may hold a password.
		w.invalid.add(path, w.called(path)+" must be "+allowed(schema)+": what was given "+err.Error())
		return nil, false
	}
	if schema.Properties == nil {
		return dict, true
	}
	before := len(w.invalid.mistakes)
	values := w.object(schema, path+".", dict)
	return values, len(w.invalid.mistakes) == before
}

// fraction says whether a value is a number with a fraction, as JSON has it.
func fraction(raw any) bool {
	number, ok := raw.(json.Number)
	_, float := raw.(float64)
	return float || ok && strings.ContainsAny(string(number), ".eE")
}

// looksLikePath tells a path from a dict in Ansible's forms, JSON and key=value.
func looksLikePath(text string) bool {
	return strings.HasPrefix(text, "/") || strings.HasPrefix(text, "~") || strings.HasPrefix(text, ".")
}

func (w *walk) list(schema *jsonschema.Schema, path string, raw any) (any, bool) {
	given, err := ansible.List(raw)
	if err != nil {
		w.invalid.add(path, w.called(path)+" must be "+allowed(schema)+", not "+show(schema, raw))
		return nil, false
	}
	if schema.MinItems != nil && uint64(len(given)) < *schema.MinItems {
		w.invalid.add(path, w.called(path)+" is empty: it must be "+allowed(schema))
		return nil, false
	}
	values := make([]any, 0, len(given))
	for _, raw := range given {
		value, err := scalar(schema.Items, raw, w.env)
		if err != nil || !fits(schema.Items, value) {
			w.invalid.add(path, "each element of "+w.called(path)+" must be "+allowed(schema.Items)+", not "+show(schema.Items, raw))
			continue
		}
		values = append(values, value)
	}
	return values, len(values) == len(given)
}

func scalar(schema *jsonschema.Schema, raw any, env Env) (any, error) {
	switch schema.Type {
	case "boolean":
		return ansible.Bool(raw)
	case "integer":
		return ansible.Int(raw)
	case "number":
		return ansible.Float(raw)
	}
	if word(schema, "x-type") == "path" {
		return ansible.Path(raw, env)
	}
	text, err := ansible.Str(raw)
	return strings.TrimRight(text, word(schema, "x-trim")), err
}

// fits checks a coerced value against what the schema allows.
func fits(schema *jsonschema.Schema, value any) bool {
	switch v := value.(type) {
	case int:
		return within(schema.Minimum, schema.Maximum, v)
	case string:
		return len(schema.Enum) == 0 && fitsText(schema, v) || slices.Contains(schema.Enum, any(v))
	}
	return true
}

func within(least, most json.Number, v int) bool {
	low, err := least.Int64()
	if err == nil && int64(v) < low {
		return false
	}
	high, err := most.Int64()
	return err != nil || int64(v) <= high
}

func fitsText(schema *jsonschema.Schema, text string) bool {
	length := uint64(utf8.RuneCountInString(strings.TrimSpace(text))) //nolint:gosec // a count is never negative
	switch {
	case schema.MinLength != nil && length < *schema.MinLength, schema.MaxLength != nil && length > *schema.MaxLength:
		return false
	case schema.Pattern != "" && !regexp.MustCompile(schema.Pattern).MatchString(text):
		return false
	case schema.Format == "date-time":
		_, err := time.Parse(time.RFC3339, text)
		return err == nil
	case schema.Format == "uri":
		parsed, err := url.Parse(text)
		return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
	}
	return true
}

const shown = 40 // characters of a wrong value that are quoted

func quote(text string) string {
	if runes := []rune(text); len(runes) > shown {
		text = string(runes[:shown]) + "…"
	}
	return strconv.Quote(text)
}

// show says what was given, for options that are no secrets. A URL may hold a login.
func show(schema *jsonschema.Schema, raw any) string {
	text, err := ansible.Str(raw)
	switch {
	case err != nil:
		return kind(raw)
	case schema.Format == "uri" && strings.Contains(text, "@"):
		return "the URL given, which holds a login"
	}
	return quote(text) + near(schema, text)
}

// near proposes the choice that was probably meant.
func near(schema *jsonschema.Schema, text string) string {
	var choices []string
	for _, choice := range schema.Enum {
		if name, ok := choice.(string); ok {
			choices = append(choices, name)
		}
	}
	if meant := nearest(text, choices); meant != "" {
		return " (did you mean " + strconv.Quote(meant) + "?)"
	}
	return ""
}

// kind is Ansible's name of a value's type.
func kind(raw any) string {
	switch raw.(type) {
	case map[string]any:
		return "a dict"
	case []any, []string:
		return "a list"
	}
	return "this"
}

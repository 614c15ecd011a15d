package options

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
)

// valid checks a coerced value against the schema.
func (o Option) valid(value any) bool {
	switch v := value.(type) {
	case int:
		return between(v, o.Minimum, o.Maximum)
	case string:
		if o.Enum != nil {
			return slices.Contains(o.Enum, v)
		}
		return between(utf8.RuneCountInString(strings.TrimSpace(v)), o.MinLength, o.MaxLength) &&
			regexp.MustCompile(o.Pattern).MatchString(v) && formatted(o.Format, v)
	}
	return true
}

func between(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}

func formatted(format, text string) bool {
	switch format {
	case "date-time":
		_, err := time.Parse(time.RFC3339, text)
		return err == nil
	case "uri":
		parsed, err := url.Parse(text)
		return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != ""
	}
	return true
}

// allowed describes what the schema allows.
func (o Option) allowed() string {
	switch {
	case o.Restriction() != "":
		return o.Restriction()
	case len(o.Enum) == 1:
		return o.Enum[0]
	case o.Enum != nil:
		return "one of " + strings.Join(o.Enum, ", ")
	case o.Type == "boolean":
		return "a bool (true or false)"
	case o.Type == "array" && o.Items.Enum != nil:
		return "a list of " + o.Items.allowed()
	case o.Type == "array":
		return "a list of str"
	case o.Options != nil:
		names := make([]string, len(o.Options))
		for i, one := range o.Options {
			names[i] = one.Name
		}
		return "a dict of " + strings.Join(names, ", ")
	case o.Type == "string" && o.MinLength != nil:
		return "a str that is not empty"
	}
	return map[string]string{"string": "a str", "integer": "an int", "object": "a dict"}[o.Type]
}

// Restriction describes what is allowed beyond type and choices. It is empty if there is no further restriction.
func (o Option) Restriction() string {
	switch {
	case o.Allowed != "":
		return o.Allowed
	case o.Minimum != nil && o.Maximum != nil:
		return fmt.Sprintf("an int from %d to %d", *o.Minimum, *o.Maximum)
	case o.Minimum != nil:
		return fmt.Sprintf("an int of %d or more", *o.Minimum)
	}
	return ""
}

// show describes a wrong value, for options that are not secret. A URL may contain a login.
func (o Option) show(raw any) string {
	text, ok := ansible.Str(raw)
	if !ok {
		if _, dict := raw.(map[string]any); dict {
			return "a dict"
		}
		return "a list"
	}
	if o.Format == "uri" && strings.Contains(text, "@") {
		return "the given URL, which contains a login"
	}
	if meant := nearest(text, o.Enum); meant != "" {
		return quote(text) + " (did you mean " + strconv.Quote(meant) + "?)"
	}
	return quote(text)
}

// quote quotes at most 40 characters of a wrong value. It hides what could be a key: somebody may give a key instead of its fingerprint.
func quote(text string) string {
	const most = 40
	text = regexp.MustCompile(`[A-Za-z0-9]{25,}`).ReplaceAllStringFunc(text, func(key string) string {
		return fmt.Sprintf("[%d letters and digits]", len(key))
	})
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return strconv.Quote(text)
}

// hidden says what is wrong with a secret value, without anything that helps to guess it.
func (o Option) hidden(text string, isText bool) string {
	length := utf8.RuneCountInString(text)
	said := fmt.Sprintf("it has %d characters", length)
	switch trimmed := strings.TrimSpace(text); {
	case !isText:
		return "the value is not a str"
	case length == 0:
		return "it is empty"
	case regexp.MustCompile(o.Pattern).MatchString(text):
		return said
	case trimmed == text:
		return said + ", and not all of them are allowed"
	case trimmed == strings.TrimRight(text, "\r\n"):
		return said + ", and not all of them are allowed; it ends with a line break"
	}
	return said + ", and not all of them are allowed; it starts or ends with a space or a line break"
}

// nearest returns the known name that differs in the fewest letters: at most two, or a third of them. It returns "" if there is none.
func nearest(wrong string, known []string) string {
	best, least := "", max(2, len(wrong)/3)+1
	for _, name := range known {
		if d := distance(strings.ToLower(wrong), name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	return best
}

// distance is the Levenshtein distance: the number of bytes to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

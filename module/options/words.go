package options

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/invopop/jsonschema"
)

// allowed says in words what the schema allows.
func allowed(schema *jsonschema.Schema) string {
	if text := word(schema, "x-allowed"); text != "" {
		return text
	}
	if len(schema.Enum) > 0 {
		return oneOf(schema.Enum)
	}
	switch schema.Type {
	case "boolean":
		return "a bool (true or false)"
	case "integer":
		return "an int" + span(schema)
	case "array":
		if len(schema.Items.Enum) > 0 {
			return "a list of " + oneOf(schema.Items.Enum)
		}
		return "a list of str"
	case "object":
		return dictOf(schema)
	}
	switch schema.Format {
	case "date-time":
		return "a time with its zone, such as 2026-01-31T22:15:00Z"
	case "uri":
		return "an http or https URL"
	}
	if schema.MinLength != nil {
		return "a str that is not empty"
	}
	return "a str"
}

func oneOf(choices []any) string {
	if len(choices) == 1 {
		return fmt.Sprint(choices[0])
	}
	names := make([]string, len(choices))
	for i, choice := range choices {
		names[i] = fmt.Sprint(choice)
	}
	return "one of " + strings.Join(names, ", ")
}

func span(schema *jsonschema.Schema) string {
	switch {
	case schema.Minimum != "" && schema.Maximum != "":
		return fmt.Sprintf(" from %s to %s", schema.Minimum, schema.Maximum)
	case schema.Minimum != "":
		return fmt.Sprintf(" of %s or more", schema.Minimum)
	}
	return ""
}

func dictOf(schema *jsonschema.Schema) string {
	var names []string
	for name := range properties(schema) {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "a dict"
	}
	return "a dict of " + strings.Join(names, ", ")
}

// hidden says what is wrong with a secret, and nothing that helps to guess it.
func hidden(schema *jsonschema.Schema, value any, wrong error) string {
	text, ok := value.(string)
	if wrong != nil || !ok {
		return "what was given is not a str"
	}
	length := utf8.RuneCountInString(text)
	if length == 0 {
		return "it is empty"
	}
	said := fmt.Sprintf("it has %d characters", length)
	if schema.Pattern == "" || regexp.MustCompile(schema.Pattern).MatchString(text) {
		return said
	}
	said += ", and not all of them are allowed"
	switch strings.TrimSpace(text) {
	case text:
	case strings.TrimRight(text, "\r\n"):
		said += "; it ends with a line break"
	default:
		said += "; there is a blank or a line break around it"
	}
	return said
}

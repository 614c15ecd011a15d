package options

import (
	"encoding/json"
	"slices"

	"github.com/invopop/jsonschema"
)

// Argument is an option in Ansible's words, as documentation and argument specs have it.
type Argument struct {
	Name, Description string
	Type, Elements    string
	Required          bool
	Choices           []any
	Default           any // nil where there is none
	Aliases, Env      []string
	NoLog             bool
	ApplyDefaults     bool
	Allowed           string // in words, where type and choices do not say it
	Options           []Argument
}

// Arguments says in Ansible's words what a schema says, in the order of its struct. It is for module/generate and for
// tests: the module itself walks the schema.
func Arguments(schema *jsonschema.Schema) []Argument {
	types := map[string]string{"string": "str", "integer": "int", "boolean": "bool", "array": "list", "object": "dict"}
	var arguments []Argument
	for name, property := range properties(schema) {
		argument := Argument{
			Name: name, Description: property.Description, Type: types[property.Type],
			Required: slices.Contains(schema.Required, name), Choices: property.Enum, Default: plain(property.Default),
			Aliases: list(property, "x-aliases"), Env: list(property, "x-env"), NoLog: property.WriteOnly,
			ApplyDefaults: property.Extras["x-apply-defaults"] == true, Options: Arguments(property),
		}
		if named := word(property, "x-type"); named != "" {
			argument.Type = named
		}
		if property.Items != nil {
			argument.Elements, argument.Choices = types[property.Items.Type], property.Items.Enum
		}
		if word(property, "x-allowed") != "" || property.Format != "" || span(property) != "" {
			argument.Allowed = allowed(property)
		}
		arguments = append(arguments, argument)
	}
	return arguments
}

// plain makes Go's numbers of the schema's.
func plain(value any) any {
	if number, ok := value.(json.Number); ok {
		whole, _ := number.Int64()
		return int(whole)
	}
	return value
}

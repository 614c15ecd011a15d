package main

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/options"
)

const project = "github.com/seqera-tools/crypto-rotation"

// comments are those of the structs, by package, type and field.
func comments() (map[string]string, error) {
	var reader jsonschema.Reflector
	err := reader.AddGoComments(project, "module/options", jsonschema.WithFullComment())
	return reader.CommentMap, err
}

// module is one of the two, with its options as its documentation has them.
type module struct {
	name    string
	schema  *jsonschema.Schema
	needs   []options.Need
	options []option
}

// option is one as it is documented, of a module or of the role.
type option struct {
	options.Argument
	paragraphs []string
	suboptions []option
}

func modules(comments map[string]string) (rotation, info module) {
	rotation = newModule("seqera_crypto_rotation", reflect.TypeFor[options.Rotation](), options.RotationNeeds(), comments)
	info = newModule("seqera_crypto_rotation_info", reflect.TypeFor[options.Info](), options.InfoNeeds(), comments)
	return rotation, info
}

func newModule(name string, of reflect.Type, needs []options.Need, comments map[string]string) module {
	schema := options.Describe(of, comments)
	arguments := options.Arguments(schema)
	return module{name: name, schema: schema, needs: needs, options: documented(arguments, sentencesOf(needs, arguments))}
}

// documented gives each option its paragraphs: the comment's, then what needs and tags say.
func documented(arguments []options.Argument, sentences func(option string) []string) []option {
	var list []option
	for _, a := range arguments {
		one := option{Argument: a, paragraphs: paragraphs(a.Description)}
		if sentences != nil {
			one.paragraphs = append(one.paragraphs, sentences(a.Name)...)
		}
		one.paragraphs = append(one.paragraphs, told(a)...)
		one.suboptions = documented(a.Options, nil)
		list = append(list, one)
	}
	return list
}

// jsonSchema is the committed schema, which the binary carries for --schema. Its descriptions are without markup.
func (m module) jsonSchema() (string, error) {
	m.schema.Title, m.schema.Description = m.name, ""
	m.schema.Comments = "Made by `make generate` from module/options."
	unmark(m.schema)
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(m.schema)
	return unescape(text.String()), err
}

func unmark(schema *jsonschema.Schema) {
	if schema.Properties == nil {
		return
	}
	for _, property := range schema.Properties.FromOldest() {
		property.Description = plainText(paragraphs(property.Description))
		unmark(property)
	}
}

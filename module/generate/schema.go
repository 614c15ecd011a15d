package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// comments are those of the structs, by package, type and field.
func comments() (map[string]string, error) {
	var reader jsonschema.Reflector
	err := reader.AddGoComments("github.com/seqera-tools/crypto-rotation", "module/options", jsonschema.WithFullComment())
	return reader.CommentMap, err
}

// module is one of the two, with its options as they are documented.
type module struct {
	name, schema string // the schema is committed, and part of the binary; its descriptions are without markup
	marked       options.Option
	needs        []options.Need
	options      list
}

func modules(comments map[string]string) []module {
	plain := map[string]string{}
	for of, comment := range comments {
		plain[of] = plainText(paragraphs(comment))
	}
	all := []module{{name: "seqera_crypto_rotation", needs: options.RotationNeeds()}, {name: "seqera_crypto_rotation_info", needs: options.InfoNeeds()}}
	for i, of := range []reflect.Type{reflect.TypeFor[options.Rotation](), reflect.TypeFor[options.Info]()} {
		m := &all[i]
		m.schema, _ = describe(of, m.name, plain)
		_, m.marked = describe(of, m.name, comments)
		m.options = documented(m.marked, m.needs, false)
	}
	return all
}

// describe makes a JSON Schema of a struct's tags and comments: its text, and what that says. It panics on tags that make no
// schema.
func describe(of reflect.Type, title string, comments map[string]string) (text string, all options.Option) {
	reflector := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, CommentMap: comments,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[secret.Secret]() {
				return &jsonschema.Schema{Type: "string", WriteOnly: true}
			}
			return nil
		},
	}
	schema := reflector.ReflectFromType(of)
	schema.Title, schema.Description, schema.Comments = title, "", "Made by `make generate` from module/options."
	makeLists(schema)
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(schema)
	if err == nil {
		err = json.Unmarshal(written.Bytes(), &all)
	}
	if err != nil {
		panic(err)
	}
	// The library escapes < and > all the same.
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(written.String()), all
}

// makeLists makes lists of the extras that are lists: the reflector knows no list of one.
func makeLists(schema *jsonschema.Schema) {
	for _, name := range []string{"x-aliases", "x-env"} {
		if one, ok := schema.Extras[name].(string); ok {
			schema.Extras[name] = []string{one}
		}
	}
	if schema.Properties != nil {
		for _, property := range schema.Properties.FromOldest() {
			makeLists(property)
		}
	}
}

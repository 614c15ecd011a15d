package options

import (
	"bytes"
	"embed"
	"iter"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// schemas are written by module/generate, which alone has the descriptions: they are comments.
//
//go:embed schema/*.json
var schemas embed.FS

// Schema is the JSON Schema of a module's options. It describes values after Ansible's coercion. Beyond JSON Schema it says:
//
//	x-aliases         other names of the option
//	x-env             environment variables that are asked, in this order, when the option is not given
//	x-type            Ansible's type where JSON Schema has no word for it: path, raw
//	x-path-as         a dict's key: a string that is a path stands for a dict of that key alone
//	x-trim            characters that are dropped from the value's end
//	x-apply-defaults  the suboptions' defaults hold when the option is not given
//	x-allowed         what is allowed, in words
//	x-error-code      the error_code of a value that is not allowed; else invalid_options
func Schema(module string) ([]byte, error) {
	name := "seqera_crypto_rotation"
	if strings.HasSuffix(module, "_info") {
		name += "_info"
	}
	text, err := schemas.ReadFile("schema/" + name + ".json")
	return bytes.TrimSpace(text), err
}

// Describe makes a schema of a struct's tags and, where there are any, its comments by package, type and field.
func Describe(options reflect.Type, comments map[string]string) *jsonschema.Schema {
	reflector := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true, CommentMap: comments,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == reflect.TypeFor[secret.Secret]() {
				return &jsonschema.Schema{Type: "string", WriteOnly: true}
			}
			return nil
		},
	}
	schema := reflector.ReflectFromType(options)
	makeLists(schema)
	return schema
}

// makeLists makes lists of the extras that are lists: the reflector knows no list of one.
func makeLists(schema *jsonschema.Schema) {
	for _, name := range []string{"x-aliases", "x-env"} {
		if one, ok := schema.Extras[name].(string); ok {
			schema.Extras[name] = []string{one}
		}
	}
	for _, property := range properties(schema) {
		makeLists(property)
	}
}

// properties goes through the options of a dict in the order of the struct.
func properties(schema *jsonschema.Schema) iter.Seq2[string, *jsonschema.Schema] {
	if schema.Properties == nil {
		return func(func(string, *jsonschema.Schema) bool) {}
	}
	return schema.Properties.FromOldest()
}

func list(schema *jsonschema.Schema, extra string) []string {
	names, _ := schema.Extras[extra].([]string)
	return names
}

func word(schema *jsonschema.Schema, extra string) string {
	text, _ := schema.Extras[extra].(string)
	return text
}

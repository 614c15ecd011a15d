// Command generate writes what follows from the options' structs: the modules' pages for ansible-doc, the role's argument
// specs and defaults, the JSON Schemas and the tables of docs/. Nothing of it is in the module's binary.
//
//	structs, tags, comments → JSON Schema (schema.go) → options as documented (option.go, variables.go) → files
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func main() {
	if err := generate(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// generate writes into the working directory, which must be the top of the tree.
func generate() error {
	made, err := files()
	for path, text := range made {
		err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644)) //nolint:gosec // a file of the tree
	}
	return err
}

const (
	pageRole  = "roles/seqera_crypto_rotation/"
	fleetRole = "roles/seqera_crypto_fleet/"
	header    = "---\n# Made by `make generate` from module/options; what is changed here is lost.\n"
)

func files() (map[string]string, error) {
	comments, err := comments()
	if err != nil {
		return nil, err
	}
	made, pages, modules := map[string]string{}, map[string]page{}, modules(comments)
	for _, m := range modules {
		if pages[m.name], err = m.page(); err != nil {
			return nil, err
		}
		made["module/options/schema/"+m.name+".json"] = m.schema
		made["library/"+m.name+".yml"] = sidecar(pages[m.name], m.options)
	}
	page, fleet, plays := variables(comments, modules)
	all := slices.Concat(page, fleet, []entry{plays})
	for role, points := range map[string][]entry{pageRole: page, fleetRole: fleet} {
		made[role+"meta/argument_specs.yml"] = argumentSpecs(points)
		made[role+"defaults/main.yml"] = defaults(points)
	}
	made[pageRole+"vars/main/names.yml"] = knownNames(all)
	made["docs/options.md"] = optionsPage(modules, all)
	made["docs/return-values.md"], err = returnsPage(pages)
	return made, err
}

// comments are those of the structs, by package, type and field.
func comments() (map[string]string, error) {
	var reader jsonschema.Reflector
	err := reader.AddGoComments("github.com/seqera-tools/crypto-rotation", "module/options", jsonschema.WithFullComment())
	return reader.CommentMap, err
}

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

// describe makes a JSON Schema of a struct's tags and comments: its text, and what that says. It panics on bad tags.
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

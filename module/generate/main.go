// Command generate writes what follows from the options' structs: the modules' pages for ansible-doc, the role's argument
// specs and defaults, the JSON Schemas and the tables of docs/. Nothing of it is in the module's binary.
//
//	structs, tags, comments → JSON Schema (schema.go) → options as documented (option.go, variables.go) → files
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
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

// files are all that is generated: path and text.
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

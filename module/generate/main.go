// Command generate writes what is made of the options' structs: the modules' pages for ansible-doc, the role's argument
// specs and defaults, the JSON Schemas and the tables of docs/. It is no part of the module and knows nothing of rotations.
package main

import (
	"fmt"
	"os"
	"path/filepath"
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
	if err != nil {
		return err
	}
	for path, text := range made {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a directory of the tree
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a file of the tree
			return err
		}
	}
	return nil
}

const role = "roles/seqera_crypto_rotation/"

// files are all that is generated: path and text.
func files() (map[string]string, error) {
	comments, err := comments()
	if err != nil {
		return nil, err
	}
	made := map[string]string{}
	rotation, info := modules(comments)
	points, plays := variables(comments, rotation, info)
	pages := map[string]page{}
	for _, m := range []module{rotation, info} {
		schema, err := m.jsonSchema()
		if err != nil {
			return nil, err
		}
		page, err := m.page()
		if err != nil {
			return nil, err
		}
		made["module/options/schema/"+m.name+".json"] = schema
		if made["library/"+m.name+".yml"], err = sidecar(page, m.options); err != nil {
			return nil, err
		}
		pages[m.name] = page
	}
	if made[role+"meta/argument_specs.yml"], err = argumentSpecs(points); err != nil {
		return nil, err
	}
	if made[role+"defaults/main.yml"], err = defaults(points); err != nil {
		return nil, err
	}
	if made[role+"vars/main/names.yml"], err = knownNames(append(points, plays)); err != nil {
		return nil, err
	}
	made["docs/options.md"] = optionsPage([]module{rotation, info}, append(points, plays))
	made["docs/return-values.md"], err = returnsPage(pages)
	return made, err
}

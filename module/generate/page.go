package main

import (
	"fmt"
	"os"
	"slices"

	"go.yaml.in/yaml/v4"
)

// page is what is written by hand about a module: its documentation without the options, examples, return values.
type page struct {
	Documentation yaml.Node `yaml:"DOCUMENTATION"`
	Examples      yaml.Node `yaml:"EXAMPLES"`
	Return        yaml.Node `yaml:"RETURN"`
}

// page reads what is written of a module, with what both modules have in common.
func (m module) page() (own page, err error) {
	var shared page
	for name, p := range map[string]*page{m.name: &own, "shared": &shared} {
		written, err := os.ReadFile("module/generate/pages/" + name + ".yml") //nolint:gosec // a file of the tree
		if err != nil {
			return own, err
		}
		if err := yaml.Load(written, p, yaml.WithKnownFields()); err != nil {
			return own, fmt.Errorf("%s.yml: %w", name, err)
		}
	}
	complete(&own.Documentation, &shared.Documentation, false)
	complete(&own.Return, &shared.Return, false)
	return own, nil
}

// complete adds what both modules have under a key: all of it to a key without a value, further entries to a list and to a
// dict. Keys of the whole page that a module does not have stay away.
func complete(own, shared *yaml.Node, inside bool) {
	at := 0
	for i := 0; i+1 < len(shared.Content); i += 2 {
		key, common := shared.Content[i], shared.Content[i+1]
		switch mine := child(own, key.Value); {
		case mine == nil && inside:
			own.Content = slices.Insert(own.Content, at, key, common)
			at += 2
		case mine == nil:
		case mine.Tag == "!!null":
			*mine = *common
		case mine.Kind == yaml.SequenceNode:
			mine.Content = append(mine.Content, common.Content...)
		default:
			complete(mine, common, true)
		}
	}
}

// child is the value of a dict's key; nil if it has none.
func child(tree *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(tree.Content); i += 2 {
		if tree.Content[i].Value == key {
			return tree.Content[i+1]
		}
	}
	return nil
}

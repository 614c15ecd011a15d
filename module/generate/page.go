package main

import (
	"fmt"
	"os"

	"go.yaml.in/yaml/v4"
)

// page is what is written by hand about a module: its documentation without the options, examples, return values.
type page struct {
	Documentation yaml.Node `yaml:"DOCUMENTATION"`
	Examples      yaml.Node `yaml:"EXAMPLES"`
	Return        yaml.Node `yaml:"RETURN"`
}

// page reads what is written of a module, with what both have in common.
func (m module) page() (page, error) {
	own, err := read(m.name)
	if err != nil {
		return own, err
	}
	shared, err := read("shared")
	complete(&own.Documentation, &shared.Documentation)
	complete(&own.Return, &shared.Return)
	return own, err
}

func read(name string) (page, error) {
	var p page
	written, err := os.ReadFile("module/generate/pages/" + name + ".yml") //nolint:gosec // a file of the tree
	if err != nil {
		return p, err
	}
	if err := yaml.Load(written, &p, yaml.WithKnownFields()); err != nil {
		return p, fmt.Errorf("%s.yml: %w", name, err)
	}
	return p, nil
}

// complete gives each key of a page what both modules have there.
func complete(own, shared *yaml.Node) {
	for i := 0; i+1 < len(own.Content); i += 2 {
		if common := child(shared, own.Content[i].Value); common != nil {
			own.Content[i+1] = merged(own.Content[i+1], common)
		}
	}
}

// merged is the shared value where there is no own one; lists follow one another; of dicts both keys are taken.
func merged(own, shared *yaml.Node) *yaml.Node {
	switch {
	case own.Tag == "!!null":
		return shared
	case own.Kind == yaml.SequenceNode && shared.Kind == yaml.SequenceNode:
		own.Content = append(own.Content, shared.Content...)
	case own.Kind == yaml.MappingNode && shared.Kind == yaml.MappingNode:
		both := &yaml.Node{Kind: yaml.MappingNode}
		for i := 0; i+1 < len(shared.Content); i += 2 {
			key, value := shared.Content[i], shared.Content[i+1]
			if one := child(own, key.Value); one != nil {
				value = merged(one, value)
			}
			both.Content = append(both.Content, key, value)
		}
		for i := 0; i+1 < len(own.Content); i += 2 {
			if child(shared, own.Content[i].Value) == nil {
				both.Content = append(both.Content, own.Content[i], own.Content[i+1])
			}
		}
		return both
	}
	return own
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

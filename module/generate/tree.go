package main

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

const header = "---\n# Made by `make generate` from module/options; what is changed here is lost.\n"

// pair is a key and its value; a dict keeps their order.
type (
	pair struct {
		key   string
		value any
	}
	dict []pair
)

// node makes YAML's tree of a dict, a node or a plain value. Short lists stand in one line.
func node(value any) (*yaml.Node, error) {
	switch v := value.(type) {
	case *yaml.Node:
		return v, nil
	case dict:
		tree := &yaml.Node{Kind: yaml.MappingNode}
		for _, p := range v {
			child, err := node(p.value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.key, err)
			}
			tree.Content = append(tree.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: p.key}, child)
		}
		return tree, nil
	case []any, []string:
		list := &yaml.Node{}
		err := list.Encode(v)
		list.Style = yaml.FlowStyle
		return list, err
	case text:
		block := &yaml.Node{}
		err := block.Encode([]string(v))
		return block, err
	}
	plain := &yaml.Node{}
	err := plain.Encode(value)
	return plain, err
}

// text is a list of paragraphs, each in lines of its own.
type text []string

// dump writes what yamllint accepts.
func dump(value any) (string, error) {
	tree, err := node(value)
	if err != nil {
		return "", err
	}
	written, err := yaml.Dump(tree, yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(120))
	return string(written), err
}

// set adds to a dict what is not nil, false, empty text or an empty list of names.
func (d *dict) set(key string, value any) {
	switch v := value.(type) {
	case nil:
		return
	case bool:
		if !v {
			return
		}
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	}
	*d = append(*d, pair{key, value})
}

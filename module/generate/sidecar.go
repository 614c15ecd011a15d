package main

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// sidecar is the file beside the binary that ansible-doc reads.
func sidecar(p page, list []option) (string, error) {
	documentation := p.Documentation
	described, err := node(sidecarOptions(list))
	if err != nil {
		return "", err
	}
	documentation.Content = nil
	for i := 0; i < len(p.Documentation.Content); i += 2 {
		key, value := p.Documentation.Content[i], p.Documentation.Content[i+1]
		documentation.Content = append(documentation.Content, key, value)
		if key.Value == "description" {
			documentation.Content = append(documentation.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "options"}, described)
		}
	}
	parts := []pair{{"DOCUMENTATION", &documentation}, {"EXAMPLES", &p.Examples}, {"RETURN", &p.Return}}
	written := make([]string, len(parts))
	for i, part := range parts {
		if written[i], err = dump(dict{part}); err != nil {
			return "", err
		}
	}
	return header + strings.Join(written, "\n"), nil
}

func sidecarOptions(list []option) dict {
	var all dict
	for _, o := range list {
		one := append(dict{{"description", text(o.paragraphs)}}, typed(o)...)
		one.set("aliases", o.Aliases)
		if len(o.suboptions) > 0 {
			one.set("suboptions", sidecarOptions(o.suboptions))
		}
		all = append(all, pair{o.Name, one})
	}
	return all
}

// typed is what pages and specs say of an option in the same words.
func typed(o option) dict {
	one := dict{{"type", o.Type}}
	one.set("elements", o.Elements)
	one.set("required", o.Required)
	if len(o.Choices) > 0 {
		one.set("choices", o.Choices)
	}
	if o.Default != nil {
		one = append(one, pair{"default", o.Default}) // false and "" are defaults, too
	}
	return one
}

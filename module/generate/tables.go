package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const made = "<!-- Made by `make generate` from module/options and module/generate/pages; what is changed here is lost. -->\n"

func optionsPage(modules []module, entries []entry) string {
	var page strings.Builder
	page.WriteString("# Options\n\n" + made + `
What ` + "`ansible-doc`" + ` shows, on one page: the options of both modules and the variables of the role. An unknown option, a wrong type, a missing requirement: all mistakes are named in one message, nothing is done. Values are taken as Ansible takes them: ` + "`\"yes\"`" + ` is a bool, ` + "`\"5\"`" + ` an int, ` + "`\"a,b\"`" + ` a list, ` + "`null`" + ` is not given. A string for a dict must hold a JSON object. ` + "`library/seqera_crypto_rotation --schema`" + ` prints the options as JSON Schema.
`)
	for i, m := range modules {
		fmt.Fprintf(&page, "\n## %s\n\n", m.name)
		own := m.options
		if i > 0 {
			var same []string
			own, same = split(m.options, modules[0].options)
			fmt.Fprintf(&page, "%s mean the same as in `%s`. Its own:\n\n", code(same), modules[0].name)
		}
		page.WriteString(heads("option", "default") + rows("", own))
	}
	titles := map[string]string{"main": "Variables of the role seqera_crypto_rotation", "plays": "Variables of the playbooks"}
	for _, e := range entries {
		title := titles[e.name]
		if title == "" {
			title = "Variables of the entry point " + e.name
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n", title, markdown(strings.Join(append([]string{e.short + "."}, e.paragraphs...), "\n\n")))
		for _, g := range e.groups {
			if g.heading != "" {
				fmt.Fprintf(&page, "\n### %s\n", g.heading)
			}
			page.WriteString("\n" + heads("variable", "default") + rows("", g.variables))
		}
	}
	return page.String()
}

// split tells a module's own options from those that another has just so.
func split(all, others list) (own list, same []string) {
	for _, o := range all {
		if slices.ContainsFunc(others, func(other option) bool { return other.Name == o.Name && slices.Equal(other.Description, o.Description) }) {
			same = append(same, o.Name)
		} else {
			own = append(own, o)
		}
	}
	return own, same
}

func heads(what, third string) string {
	return fmt.Sprintf("| %s | type | %s | |\n|---|---|---|---|\n", what, third)
}

func row(name, kind, third string, paragraphs []string) string {
	cell := strings.ReplaceAll(markdown(strings.Join(paragraphs, "<br>")), "|", `\|`)
	return "| `" + name + "` | " + strings.Join([]string{kind, third, cell}, " | ") + " |\n"
}

func rows(prefix string, all list) string {
	var made strings.Builder
	for _, o := range all {
		said := o.Description
		if len(o.Aliases) > 0 {
			said = append(slices.Clone(said), "Also called "+code(o.Aliases)+".")
		}
		made.WriteString(row(prefix+o.Name, kind(o), shown(o.Default), said) + rows(prefix+o.Name+".", o.Suboptions))
	}
	return made.String()
}

func kind(o option) string {
	said := o.Type
	if o.Elements != "" {
		said += " of " + o.Elements
	}
	if len(o.Choices) > 0 {
		said += ": " + code(o.Choices)
	}
	if o.Required {
		said += ", required"
	}
	if o.schema.Secret {
		said += ", secret"
	}
	return said
}

func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return "`" + v + "`"
	}
	text, _ := json.Marshal(value)
	return "`" + string(text) + "`"
}

func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

type returned struct {
	Description yaml.Node `yaml:"description"`
	Type        string    `yaml:"type"`
	Elements    string    `yaml:"elements"`
	Returned    string    `yaml:"returned"`
	Sample      any       `yaml:"sample"`
	Contains    yaml.Node `yaml:"contains"`
}

func returnsPage(pages map[string]page) (string, error) {
	var text strings.Builder
	text.WriteString("# Return values\n\n" + made + "\nWhat both modules return beside Ansible's own `changed` and `failed`. No value is a secret.\n")
	for _, name := range []string{"seqera_crypto_rotation", "seqera_crypto_rotation_info"} {
		fmt.Fprintf(&text, "\n## %s\n\n%s", name, heads("value", "returned"))
		tree := pages[name].Return
		if err := returnRows(&text, "", &tree); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

func returnRows(text *strings.Builder, prefix string, tree *yaml.Node) error {
	for i := 0; i+1 < len(tree.Content); i += 2 {
		name := prefix + tree.Content[i].Value
		var value returned
		if err := tree.Content[i+1].Decode(&value); err != nil {
			return fmt.Errorf("return value %s: %w", name, err)
		}
		said := []string{strings.TrimSpace(value.Description.Value)}
		if value.Description.Kind == yaml.SequenceNode {
			said = nil
			for _, paragraph := range value.Description.Content {
				said = append(said, paragraph.Value)
			}
		}
		if value.Sample != nil && shown(value.Sample) != "`[]`" {
			said = append(said, "Such as "+shown(value.Sample)+".")
		}
		text.WriteString(row(name, kind(option{Type: value.Type, Elements: value.Elements}), markdown(value.Returned), said))
		if err := returnRows(text, name+".", &value.Contains); err != nil {
			return err
		}
	}
	return nil
}

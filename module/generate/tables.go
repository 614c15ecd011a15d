package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

const made = "<!-- Made by `make generate` from module/options and module/generate/pages; what is changed here is lost. -->\n"

// optionsPage is docs/options.md.
func optionsPage(modules []module, entries []entry) string {
	var page strings.Builder
	page.WriteString("# Options\n\n" + made + `
What ` + "`ansible-doc`" + ` shows, on one page: the options of both modules and the variables of the role. An unknown option, a wrong type, a missing requirement: all mistakes are named in one message, nothing is done. Values are taken as Ansible takes them: ` + "`\"yes\"`" + ` is a bool, ` + "`\"5\"`" + ` an int, ` + "`\"a,b\"`" + ` a list, ` + "`null`" + ` is not given. ` + "`library/seqera_crypto_rotation --schema`" + ` prints the options as JSON Schema.
`)
	for i, m := range modules {
		fmt.Fprintf(&page, "\n## %s\n\n", m.name)
		list := m.options
		if i > 0 {
			own, same := split(list, modules[0].options)
			fmt.Fprintf(&page, "%s mean the same as in `%s`. Its own:\n\n", strings.Join(same, ", "), modules[0].name)
			list = own
		}
		page.WriteString(table("option", "", list))
	}
	for _, e := range entries {
		fmt.Fprintf(&page, "\n## %s\n", title(e))
		for _, p := range append([]string{e.short + "."}, e.paragraphs...) {
			page.WriteString("\n" + markdown(p) + "\n")
		}
		for _, g := range e.groups {
			if g.heading != "" {
				fmt.Fprintf(&page, "\n### %s\n", g.heading)
			}
			page.WriteString("\n" + table("variable", "", g.variables))
		}
	}
	return page.String()
}

func title(e entry) string {
	switch e.name {
	case "main":
		return "Variables of the role"
	case "plays":
		return "Variables of the playbooks"
	}
	return "Variables of the entry point " + e.name
}

// split tells a module's own options from those that another has just so.
func split(list, others []option) (own []option, same []string) {
	for _, o := range list {
		equal := func(other option) bool { return other.Name == o.Name && slices.Equal(other.paragraphs, o.paragraphs) }
		if slices.ContainsFunc(others, equal) {
			same = append(same, "`"+o.Name+"`")
			continue
		}
		own = append(own, o)
	}
	return own, same
}

func table(what, prefix string, list []option) string {
	var rows strings.Builder
	if prefix == "" {
		fmt.Fprintf(&rows, "| %s | type | default | |\n|---|---|---|---|\n", what)
	}
	for _, o := range list {
		said := o.paragraphs
		if len(o.Aliases) > 0 {
			said = append(slices.Clone(said), "Also called "+code(o.Aliases)+".")
		}
		fmt.Fprintf(&rows, "| `%s%s` | %s | %s | %s |\n", prefix, o.Name, kind(o), shown(standard(o)), cell(said))
		rows.WriteString(table(what, prefix+o.Name+".", o.suboptions))
	}
	return rows.String()
}

func kind(o option) string {
	said := o.Type
	if o.Elements != "" {
		said += " of " + o.Elements
	}
	if len(o.Choices) > 0 {
		names := make([]string, len(o.Choices))
		for i, choice := range o.Choices {
			names[i] = fmt.Sprint(choice)
		}
		said += ": " + code(names)
	}
	if o.Required {
		said += ", required"
	}
	if o.NoLog {
		said += ", secret"
	}
	return said
}

func shown(value any) string {
	switch v := value.(type) {
	case nil, dict:
		return "" // a dict's suboptions show theirs
	case string:
		return "`" + v + "`"
	}
	text, _ := json.Marshal(value)
	return "`" + string(text) + "`"
}

func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

func cell(paragraphs []string) string {
	return strings.ReplaceAll(markdown(strings.Join(paragraphs, "<br>")), "|", `\|`)
}

// returned is a return value as the pages have it.
type returned struct {
	Description yaml.Node `yaml:"description"`
	Type        string    `yaml:"type"`
	Elements    string    `yaml:"elements"`
	Returned    string    `yaml:"returned"`
	Sample      any       `yaml:"sample"`
	Contains    yaml.Node `yaml:"contains"`
}

// returnsPage is docs/return-values.md.
func returnsPage(pages map[string]page) (string, error) {
	var text strings.Builder
	text.WriteString("# Return values\n\n" + made + "\nWhat both modules return beside Ansible's own `changed` and `failed`. No value is a secret.\n")
	for _, name := range []string{"seqera_crypto_rotation", "seqera_crypto_rotation_info"} {
		fmt.Fprintf(&text, "\n## %s\n\n| value | type | returned | |\n|---|---|---|---|\n", name)
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
		said := []string{value.Description.Value}
		if value.Description.Kind == yaml.SequenceNode {
			said = nil
			for _, paragraph := range value.Description.Content {
				said = append(said, paragraph.Value)
			}
		}
		if value.Sample != nil && shown(value.Sample) != "`[]`" {
			said = append(said, "Such as "+shown(value.Sample)+".")
		}
		said[0] = strings.TrimSpace(said[0])
		of := option{}
		of.Type, of.Elements = value.Type, value.Elements
		fmt.Fprintf(text, "| `%s` | %s | %s | %s |\n", name, kind(of), markdown(value.Returned), cell(said))
		if err := returnRows(text, name+".", &value.Contains); err != nil {
			return err
		}
	}
	return nil
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seqera-tools/crypto-rotation/module/options"
)

// dict is a YAML dict that keeps its order.
type (
	pair struct {
		key   string
		value any
	}
	dict []pair
)

// MarshalYAML returns the dict as a node.
func (d dict) MarshalYAML() (any, error) {
	tree := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range d {
		child := &yaml.Node{}
		if err := child.Encode(p.value); err != nil {
			return nil, err
		}
		if _, flat := p.value.([]any); flat {
			child.Style = yaml.FlowStyle
		}
		tree.Content = append(tree.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: p.key}, child)
	}
	return tree, nil
}

type list []option

// MarshalYAML returns a dict of the options by name.
func (l list) MarshalYAML() (any, error) {
	var all dict
	for _, o := range l {
		all = append(all, pair{o.Name, o})
	}
	return all.MarshalYAML()
}

// UnmarshalYAML decodes such a dict.
func (l *list) UnmarshalYAML(tree *yaml.Node) error {
	for i := 0; i+1 < len(tree.Content); i += 2 {
		one := option{Name: tree.Content[i].Value}
		if err := tree.Content[i+1].Load(&one, yaml.WithKnownFields()); err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		*l = append(*l, one)
	}
	return nil
}

// UnmarshalYAML decodes a list of strings, or a single string.
func (t *text) UnmarshalYAML(tree *yaml.Node) error {
	if tree.Kind == yaml.ScalarNode {
		*t = text{strings.TrimSpace(tree.Value)}
		return nil
	}
	return tree.Decode((*[]string)(t))
}

// dump encodes a value as YAML that yamllint accepts. It panics if the value cannot be encoded.
func dump(value any) string {
	written, err := yaml.Dump(value, yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(120))
	if err != nil {
		panic(err)
	}
	return string(written)
}

// argumentSpecs returns a role's meta/argument_specs.yml, which Ansible checks before each entry point.
func argumentSpecs(entries []entry) string {
	var specs dict
	for _, e := range entries {
		specs = append(specs, pair{e.Name, dict{{"short_description", e.Short}, {"description", e.Description}, {"options", e.variables()}}})
	}
	made := header + dump(dict{{"argument_specs", specs}})
	if entries[0].Name == "main" {
		// A fleet uses the entry point due, which takes the same variables as main.
		made = strings.Replace(made, "    options:", "    options: &main", 1) +
			"  due:\n    short_description: Checks whether a rotation is due" +
			"\n    description: Reads SSM and, with adopt, the records. Writes nothing.\n    options: *main\n"
	}
	return made
}

func defaults(entries []entry) string {
	made, seen, lines := header, map[string]bool{}, regexp.MustCompile(`(.{1,118})(?: |$)`)
	for _, e := range entries {
		for _, g := range e.Groups {
			heading := "\n# == " + cmp.Or(g.Heading, "Entry point "+e.Name) + "\n"
			for _, o := range g.Variables {
				value := o.defaultValue()
				if value == nil || seen[o.Name] {
					continue
				}
				seen[o.Name] = true
				made += heading + "\n" + lines.ReplaceAllString(markdown(o.Description[0]), "# $1\n") + dump(dict{{o.Name, value}})
				heading = ""
			}
		}
	}
	return made
}

// knownNames returns the role's vars/main/names.yml: the name of every variable, and the advice for each withdrawn one.
func knownNames(entries []entry) string {
	var names []string
	for _, e := range entries {
		for _, o := range e.variables() {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	instead := map[string]string{}
	for name, advice := range options.Withdrawn() {
		if !strings.Contains(name, "=") { // only the modules refuse a withdrawn value
			instead[prefix+name] = advice
		}
	}
	return header + dump(dict{{prefix + "_names", slices.Compact(names)}, {prefix + "_withdrawn", instead}})
}

// docs is a module's documentation, as the file next to the binary has it. ansible-doc reads that.
type docs struct {
	Documentation yaml.Node `yaml:"DOCUMENTATION"`
	Examples      yaml.Node `yaml:"EXAMPLES"`
	Return        yaml.Node `yaml:"RETURN"`
}

// load reads the handwritten part of the module's documentation, and completes it with the part that both modules share and with the
// options.
func (m *module) load() error {
	var shared docs
	var all yaml.Node
	if err := errors.Join(load(m.Name, &m.page), load("shared", &shared), all.Encode(m.Options)); err != nil {
		return err
	}
	shared.Documentation.Content = append(shared.Documentation.Content, &yaml.Node{Value: "options"}, &all)
	complete(&m.page.Documentation, &shared.Documentation, false)
	complete(&m.page.Return, &shared.Return, false)
	return m.page.Return.Load(&m.Returns, yaml.WithKnownFields())
}

func (d docs) String() string {
	return header + strings.NewReplacer("\nEXAMPLES:", "\n\nEXAMPLES:", "\nRETURN:", "\n\nRETURN:").Replace(dump(d))
}

func load(page string, into any) error {
	written, err := os.ReadFile("module/generate/pages/" + page + ".yml") //nolint:gosec // a file of the repository
	if err == nil {
		err = yaml.Load(written, into, yaml.WithKnownFields())
	}
	if err != nil {
		return fmt.Errorf("%s.yml: %w", page, err)
	}
	return nil
}

// complete merges the shared part into a module's own page. At the top level, it only fills in keys that the module's page has.
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

func child(tree *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(tree.Content); i += 2 {
		if tree.Content[i].Value == key {
			return tree.Content[i+1]
		}
	}
	return nil
}

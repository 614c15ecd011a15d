package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/seqera-tools/crypto-rotation/module/options"
	contract "github.com/seqera-tools/crypto-rotation/module/options/role"
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
func (d dict) MarshalYAML() (any, error) { return d.node() }

func (d dict) node() (*yaml.Node, error) {
	tree := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range d {
		var err error
		child := &yaml.Node{}
		switch value := p.value.(type) {
		case *yaml.Node: // unchanged: an alias has no meaning without its anchor
			child = value
		case dict:
			child, err = value.node()
		default:
			err = child.Encode(value)
		}
		if err != nil {
			return nil, err
		}
		if _, flat := p.value.([]any); flat {
			child.Style = yaml.FlowStyle
		}
		tree.Content = append(tree.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: p.key}, child)
	}
	return tree, nil
}

// dump encodes a value as YAML that yamllint accepts. It panics if the value cannot be encoded.
func dump(value any) string {
	written, err := yaml.Dump(value, yaml.WithIndent(2), yaml.WithCompactSeqIndent(false), yaml.WithLineWidth(120))
	if err != nil {
		panic(err)
	}
	return string(written)
}

// sidecar returns the documentation file next to the binary, which ansible-doc reads.
func sidecar(p page, all list) string {
	var documented dict
	for i := 0; i < len(p.Documentation.Content); i += 2 {
		key, value := p.Documentation.Content[i].Value, p.Documentation.Content[i+1]
		documented = append(documented, pair{key, value})
		if key == "description" {
			documented = append(documented, pair{"options", all})
		}
	}
	return header + dump(dict{{"DOCUMENTATION", documented}}) + "\n" + dump(dict{{"EXAMPLES", &p.Examples}}) + "\n" + dump(dict{{"RETURN", &p.Return}})
}

// argumentSpecs returns a role's meta/argument_specs.yml, which Ansible checks before each entry point.
func argumentSpecs(entries []entry) string {
	var specs dict
	for _, e := range entries {
		options := &yaml.Node{}
		if err := options.Encode(spec(e.variables())); err != nil {
			panic(err)
		}
		if e.name == "main" {
			options.Anchor = e.name
		}
		specs = append(specs, pair{e.name, dict{{"short_description", e.short}, {"description", e.paragraphs}, {"options", options}}})
	}
	if entries[0].name == "main" {
		// A fleet uses the entry point due, which takes the same variables as main.
		specs = append(specs, pair{"due", dict{{"short_description", strings.Replace(entries[0].short, "Rotates", "Asks whether to rotate", 1)}, {"description", "Reads SSM and, with adopt, the records. Writes nothing."}, {"options", &yaml.Node{Kind: yaml.AliasNode, Value: "main"}}}})
	}
	return header + dump(dict{{"argument_specs", specs}})
}

func spec(documented list) list {
	all := slices.Clone(documented)
	for i, o := range all {
		all[i].NoLog, all[i].Options, all[i].Suboptions = o.schema.Secret, spec(o.Suboptions), nil
	}
	return all
}

func defaults(entries []entry) string {
	made, seen := header, map[string]bool{}
	for _, e := range entries {
		for _, g := range e.groups {
			heading := "\n# == " + cmp.Or(g.heading, "Entry point "+e.name) + "\n"
			for _, o := range g.variables {
				value := o.defaultValue()
				if value == nil || seen[o.Name] {
					continue
				}
				seen[o.Name] = true
				made += heading + "\n" + wrapped("# ", markdown(o.Description[0])) + dump(dict{{o.Name, value}})
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
	var instead dict
	withdrawn := options.Withdrawn()
	for _, name := range slices.Sorted(maps.Keys(withdrawn)) {
		if strings.Contains(name, "=") {
			continue // a withdrawn value, which the modules refuse
		}
		instead = append(instead, pair{contract.Prefix + name, withdrawn[name]})
	}
	return header + dump(dict{{contract.Prefix + "_names", slices.Compact(names)}, {contract.Prefix + "_withdrawn", instead}})
}

// wrapped formats words as a comment, in lines of at most 120 characters.
func wrapped(mark, words string) string {
	var made strings.Builder
	line := mark
	for word := range strings.FieldsSeq(words) {
		if len(line)+len(word) > 120 {
			made.WriteString(strings.TrimRight(line, " ") + "\n")
			line = mark
		}
		line += word + " "
	}
	return made.String() + strings.TrimRight(line, " ") + "\n"
}

// page is the handwritten part of a module's documentation: everything except the options.
type page struct {
	Documentation yaml.Node `yaml:"DOCUMENTATION"`
	Examples      yaml.Node `yaml:"EXAMPLES"`
	Return        yaml.Node `yaml:"RETURN"`
}

// page reads the handwritten part of the module's documentation, and merges the part that both modules share.
func (m module) page() (own page, err error) {
	var shared page
	for name, p := range map[string]*page{m.name: &own, "shared": &shared} {
		written, err := os.ReadFile("module/generate/pages/" + name + ".yml") //nolint:gosec // a file of the repository
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

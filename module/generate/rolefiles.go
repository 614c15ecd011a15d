package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
	contract "github.com/seqera-tools/crypto-rotation/module/options/role"
)

// argumentSpecs is the role's meta/argument_specs.yml: what Ansible checks before each entry point.
func argumentSpecs(entries []entry) (string, error) {
	var specs dict
	for _, e := range entries {
		var all dict
		for _, g := range e.groups {
			all = append(all, specOptions(g.variables)...)
		}
		specs = append(specs, pair{e.name, dict{{"short_description", e.short}, {"description", text(e.paragraphs)}, {"options", all}}})
	}
	written, err := dump(dict{{"argument_specs", specs}})
	return header + written, err
}

func specOptions(list []option) dict {
	var all dict
	for _, o := range list {
		one := typed(o)
		one.set("no_log", o.NoLog)
		one = append(one, pair{"description", text(o.paragraphs)})
		if len(o.suboptions) > 0 {
			one.set("options", specOptions(o.suboptions))
		}
		all = append(all, pair{o.Name, one})
	}
	return all
}

// defaults is the role's defaults/main.yml.
func defaults(entries []entry) (string, error) {
	made := header
	seen := map[string]bool{}
	for _, e := range entries {
		for _, g := range e.groups {
			written, err := defaultsOf(g, seen)
			if err != nil {
				return "", err
			}
			if written != "" {
				made += "\n# == " + cmp.Or(g.heading, "Entry point "+e.name) + "\n" + written
			}
		}
	}
	return made, nil
}

func defaultsOf(g group, seen map[string]bool) (string, error) {
	var made string
	for _, o := range g.variables {
		value := standard(o)
		if value == nil || seen[o.Name] {
			continue
		}
		seen[o.Name] = true
		written, err := dump(dict{{o.Name, value}})
		if err != nil {
			return "", err
		}
		made += "\n" + wrapped("# ", markdown(o.paragraphs[0])) + written
	}
	return made, nil
}

// knownNames is the role's vars/main/names.yml: every variable that there is, so that a mistyped one is found.
func knownNames(entries []entry) (string, error) {
	var all []string
	for _, e := range entries {
		for _, g := range e.groups {
			for _, o := range g.variables {
				all = append(all, o.Name)
			}
		}
	}
	slices.Sort(all)
	made := header + contract.Prefix + "_names:\n  - " + strings.Join(slices.Compact(all), "\n  - ") + "\n"
	var instead dict
	withdrawn := options.Withdrawn()
	for _, name := range slices.Sorted(maps.Keys(withdrawn)) {
		instead = append(instead, pair{contract.Prefix + name, withdrawn[name]})
	}
	written, err := dump(dict{{contract.Prefix + "_withdrawn", instead}})
	return made + "\n# What to write instead of a variable of an earlier version.\n" + written, err
}

// standard is the value of a variable that nobody set; nil where it is to be undefined.
func standard(o option) any {
	if !o.ApplyDefaults {
		return o.Default
	}
	var values dict
	for _, sub := range o.suboptions {
		if sub.Default != nil {
			values = append(values, pair{sub.Name, sub.Default})
		}
	}
	return values
}

// wrapped is a comment in lines of at most 120 characters.
func wrapped(mark, words string) string {
	var made strings.Builder
	line := mark
	for _, word := range strings.Fields(words) {
		if len(line)+len(word) > 120 {
			made.WriteString(strings.TrimRight(line, " ") + "\n")
			line = mark
		}
		line += word + " "
	}
	return made.String() + strings.TrimRight(line, " ") + "\n"
}

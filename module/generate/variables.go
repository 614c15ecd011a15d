package main

import (
	"regexp"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/options"
)

const prefix = "seqera_crypto_rotation_" // of the name of every variable

// entry is an entry point of a role, or the plays, with its variables under their headings.
type entry struct {
	Name, Role, Title string
	Short             string `yaml:"short_description"`
	Description       text
	Groups            []struct {
		Heading   string
		Variables list
	}
}

func (e entry) variables() list {
	var all list
	for _, g := range e.Groups {
		all = append(all, g.Variables...)
	}
	return all
}

// variables returns the entry points of variables.yml. It completes their variables from the modules' options.
func variables(modules []module) (entries []entry, err error) {
	err = load("variables", &entries)
	known, theirs := map[string]bool{}, map[string]option{}
	for _, e := range entries {
		for _, o := range e.variables() {
			known[o.Name] = true
		}
	}
	// mark replaces the names of options with the names of the variables. An option that the role does not have becomes code.
	option := regexp.MustCompile(`O\(([a-z_]+)([^)]*)\)`)
	mark := func(said string) string {
		return option.ReplaceAllStringFunc(said, func(found string) string {
			parts := option.FindStringSubmatch(found)
			if known[parts[1]] {
				return "O(" + prefix + parts[1] + parts[2] + ")"
			}
			return "C(" + parts[1] + parts[2] + ")"
		})
	}
	for _, m := range slices.Backward(modules) { // of two descriptions, the role takes the first module's
		needs := slices.DeleteFunc(slices.Clone(m.needs), func(n options.Need) bool {
			name, _ := n.Condition()
			return name != "" && !known[name] || slices.ContainsFunc(n.Of, func(name string) bool { return !known[name] })
		})
		for _, o := range documented(m.described, needs, mark) {
			theirs[o.Name] = o
		}
	}
	for _, e := range entries {
		e.Description.each(mark)
		for _, g := range e.Groups {
			g.Variables.complete(theirs, prefix, mark)
		}
	}
	return entries, err
}

// complete replaces each variable without a type with the modules' option of that name, and appends the variable's own description.
func (l list) complete(theirs map[string]option, prefix string, mark func(string) string) {
	for i, own := range l {
		o := &l[i]
		own.Description.each(mark)
		if own.Type == "" {
			*o = theirs[own.Name]
			if o.Name == "" {
				panic("no module has the option " + own.Name + ", and variables.yml says no type")
			}
			o.Required, o.Description, o.Aliases = o.Required || own.Required, slices.Concat(o.Description, own.Description), nil
		} else {
			own.Options.complete(theirs, "", mark)
		}
		switch {
		case prefix == "":
			o.Default = nil // the modules fill it in; a default here would override the environment
		case o.Type == "list" && o.Default == nil:
			o.Default = []any{} // a list variable is never undefined
		}
		o.Name = prefix + o.Name
	}
}

package main

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
	contract "github.com/seqera-tools/crypto-rotation/module/options/role"
)

// entry is an entry point of a role, or the plays, with its variables under their headings.
type entry struct {
	name, short string
	paragraphs  []string
	groups      []group
}

type group struct {
	heading   string
	variables list
}

func (e entry) variables() list {
	var all list
	for _, g := range e.groups {
		all = append(all, g.variables...)
	}
	return all
}

// variables returns the variables of both roles' entry points, main first, and of the plays.
func variables(comments map[string]string, modules []module) (page, fleet []entry, plays entry) {
	m := maker{comments: comments, options: map[string]option{}, known: map[string]bool{}}
	for _, of := range []reflect.Type{reflect.TypeFor[contract.Main](), reflect.TypeFor[contract.Rotate](), reflect.TypeFor[contract.Report]()} {
		_, own := describe(of, "", nil)
		for _, o := range own.Options {
			m.known[o.Name] = true
		}
	}
	for _, module := range modules {
		for _, one := range documented(module.marked, m.roles(module.needs), true) {
			if _, ok := m.options[one.Name]; !ok {
				m.options[one.Name] = one
			}
		}
	}
	page = []entry{
		m.entry("main", reflect.TypeFor[contract.Main]()),
		m.entry("abort", reflect.TypeFor[contract.Abort]()),
	}
	fleet = []entry{
		m.entry("rotate", reflect.TypeFor[contract.Rotate]()),
		m.entry("report", reflect.TypeFor[contract.Report]()),
		m.entry("drill", reflect.TypeFor[contract.Drill]()),
		m.entry("status", reflect.TypeFor[contract.Status]()),
		m.entry("status_report", reflect.TypeFor[contract.StatusReport]()),
	}
	return page, fleet, m.entry("plays", reflect.TypeFor[contract.Plays]())
}

// maker makes the roles' variables from the structs in package role and from the modules' options.
type maker struct {
	comments map[string]string
	options  map[string]option // the modules' options, as documented for the role
	known    map[string]bool   // the names of the variables
}

// roles returns the requirements whose options are all variables of the role.
func (m maker) roles(needs []options.Need) []options.Need {
	return slices.DeleteFunc(slices.Clone(needs), func(need options.Need) bool {
		option, _ := need.Condition()
		return option != "" && !m.known[option] || slices.ContainsFunc(need.Of, func(name string) bool { return !m.known[name] })
	})
}

func (m maker) entry(name string, of reflect.Type) entry {
	said := paragraphs(m.comments[of.PkgPath()+"."+of.Name()])
	short := strings.TrimPrefix(said[0], of.Name()+" ")
	made := entry{name: name, short: strings.TrimSuffix(strings.ToUpper(short[:1])+short[1:], "."), paragraphs: m.marked(said[1:])}
	for _, field := range reflect.VisibleFields(of) {
		if field.Anonymous {
			made.groups = append(made.groups, group{field.Tag.Get("group"), m.variables(field.Type)})
		}
	}
	if len(made.groups) == 0 {
		made.groups = []group{{"", m.variables(of)}}
	}
	return made
}

// variables returns the variables of a struct. It replaces each Same with the modules' option of that name, and appends the role's
// own description.
func (m maker) variables(of reflect.Type) list {
	same, inner := map[string]bool{}, map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(of) {
		name := field.Tag.Get("json")
		same[name] = field.Type == reflect.TypeFor[contract.Same]()
		if field.Type.Kind() == reflect.Struct && !same[name] && !field.Anonymous {
			inner[name] = field.Type
		}
	}
	_, own := describe(of, "", m.comments)
	all := documented(own, nil, true)
	for i, own := range all {
		one := &all[i]
		if same[own.Name] {
			theirs, ok := m.options[own.Name]
			if !ok {
				panic("no module has the option " + own.Name + " that a variable of the role says it is")
			}
			*one = theirs
			one.Required = one.Required || own.Required
			one.Description = slices.Concat(one.Description, own.Description)
		}
		if of, ok := inner[own.Name]; ok {
			one.Suboptions = m.variables(of)
			for j := range one.Suboptions {
				one.Suboptions[j].Name = strings.TrimPrefix(one.Suboptions[j].Name, contract.Prefix)
				one.Suboptions[j].Default = nil // the modules fill it in; a default here would override the environment
			}
		}
		if one.Type == "list" && one.Default == nil {
			one.Default = []any{} // a list variable is never undefined
		}
		one.Name, one.Description, one.Aliases = contract.Prefix+one.Name, m.marked(one.Description), nil
		one.Suboptions = slices.Clone(one.Suboptions)
		for j := range one.Suboptions {
			one.Suboptions[j].Description = m.marked(one.Suboptions[j].Description)
		}
	}
	return all
}

// marked replaces the names of options with the names of the role's variables. An option that the role does not have becomes code.
func (m maker) marked(paragraphs []string) []string {
	option := regexp.MustCompile(`O\(([a-z_]+)([^)]*)\)`)
	all := make([]string, len(paragraphs))
	for i, text := range paragraphs {
		all[i] = option.ReplaceAllStringFunc(text, func(found string) string {
			parts := option.FindStringSubmatch(found)
			if m.known[parts[1]] {
				return "O(" + contract.Prefix + parts[1] + parts[2] + ")"
			}
			return "C(" + parts[1] + parts[2] + ")"
		})
	}
	return all
}

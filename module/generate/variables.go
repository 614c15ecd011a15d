package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
	contract "github.com/seqera-tools/crypto-rotation/module/options/role"
)

// entry is an entry point of the role, or the plays, with variables under their headings.
type entry struct {
	name, short string
	paragraphs  []string
	groups      []group
}

type group struct {
	heading   string
	variables []option
}

// variables are those of the role's entry points, main first, and those of the plays.
func variables(comments map[string]string, modules ...module) (points []entry, plays entry) {
	maker := newMaker(comments, modules)
	return []entry{
		maker.entry("main", reflect.TypeFor[contract.Main]()),
		maker.entry("abort", reflect.TypeFor[contract.Abort]()),
		maker.entry("drill", reflect.TypeFor[contract.Drill]()),
		maker.entry("status", reflect.TypeFor[contract.Status]()),
		maker.entry("status_report", reflect.TypeFor[contract.StatusReport]()),
	}, maker.entry("plays", reflect.TypeFor[contract.Plays]())
}

// maker makes the role's variables of its structs and of the modules' options.
type maker struct {
	comments map[string]string
	options  map[string]option // of the modules, as they are documented for the role
	baked    map[string]any    // defaults that are made of app_name: the modules know what to put in
	known    map[string]bool   // names of variables
}

func newMaker(comments map[string]string, modules []module) maker {
	m := maker{comments: comments, options: map[string]option{}, baked: map[string]any{}, known: map[string]bool{}}
	for _, argument := range options.Arguments(options.Describe(reflect.TypeFor[contract.Main](), nil)) {
		m.known[argument.Name] = true
	}
	for _, module := range modules {
		arguments := options.Arguments(module.schema)
		for i, a := range arguments {
			if byName(a.Default) {
				m.baked[a.Name], arguments[i].Default = a.Default, nil
			}
		}
		for _, one := range documented(arguments, sentencesOf(m.roles(module.needs), arguments)) {
			if _, ok := m.options[one.Name]; !ok {
				m.options[one.Name] = one
			}
		}
	}
	return m
}

// roles are the needs of which the role's user sees every option.
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

// variables are a struct's, each Same replaced by the option that it is.
func (m maker) variables(of reflect.Type) []option {
	same := map[string]bool{}
	for _, field := range reflect.VisibleFields(of) {
		same[field.Tag.Get("json")] = field.Type == reflect.TypeFor[contract.Same]()
	}
	var list []option
	for _, one := range documented(options.Arguments(options.Describe(of, m.comments)), nil) {
		if same[one.Name] {
			one = m.sameAs(one)
		}
		if one.Type == "list" && one.Default == nil {
			one.Default = []any{} // a list is never undefined
		}
		one.Name, one.paragraphs = contract.Prefix+one.Name, m.marked(one.paragraphs)
		for i := range one.suboptions {
			one.suboptions[i].paragraphs = m.marked(one.suboptions[i].paragraphs)
		}
		list = append(list, one)
	}
	return list
}

// sameAs is the modules' option, with what the role says besides.
func (m maker) sameAs(variable option) option {
	one, ok := m.options[variable.Name]
	if !ok {
		panic("no module has the option " + variable.Name + " that a variable of the role says it is")
	}
	one.Required = one.Required || variable.Required
	one.Aliases = nil
	one.paragraphs = slices.Concat(one.paragraphs, variable.paragraphs)
	if value := m.baked[one.Name]; value != nil {
		one.paragraphs = append(one.paragraphs, fmt.Sprintf("Left out: C(%s).", value))
	}
	one.suboptions = slices.Clone(one.suboptions)
	return one
}

// marked names options as the role does; one that the role does not have is the modules' own.
func (m maker) marked(paragraphs []string) []string {
	option := regexp.MustCompile(`O\(([a-z_]+)([^)]*)\)`)
	list := make([]string, len(paragraphs))
	for i, text := range paragraphs {
		list[i] = option.ReplaceAllStringFunc(text, func(found string) string {
			parts := option.FindStringSubmatch(found)
			if m.known[parts[1]] {
				return "O(" + contract.Prefix + parts[1] + parts[2] + ")"
			}
			return "C(" + parts[1] + parts[2] + ")"
		})
	}
	return list
}

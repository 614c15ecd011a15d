package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
)

// option is an option of a module, a variable of a role or a return value, as it appears in documentation and argument specs.
type option struct {
	Name        string `yaml:"-"`
	Description text   `yaml:"description"`
	Type        string `yaml:"type"`
	Elements    string `yaml:"elements,omitempty"`
	Required    bool   `yaml:"required,omitempty"`
	Choices     text   `yaml:"choices,omitempty,flow"`
	Default     any    `yaml:"default,omitempty,flow"`
	Aliases     text   `yaml:"aliases,omitempty,flow"`
	NoLog       bool   `yaml:"no_log,omitempty"`     // only in argument specs
	Options     list   `yaml:"options,omitempty"`    // only in argument specs
	Suboptions  list   `yaml:"suboptions,omitempty"` // only in documentation
	Returned    string `yaml:"returned,omitempty"`   // this and the rest: only of return values
	Sample      any    `yaml:"sample,omitempty"`
	Contains    list   `yaml:"contains,omitempty"`

	schema options.Option
}

// documented adds the generated paragraphs to each option. mark translates them for the role, and is nil for a module. The role has no
// default that contains app_name: the modules fill it in.
func documented(of options.Option, needs []options.Need, mark func(string) string) list {
	var all list
	for _, o := range of.Options {
		one := option{
			Name: o.Name, Description: append(paragraphs(o.Description), sentences(of, needs, o.Name)...), Type: o.AnsibleType(),
			Required: slices.Contains(of.Required, o.Name), Choices: o.Enum, Default: o.Default, Aliases: o.Aliases,
			Suboptions: documented(o, nil, mark), schema: o,
		}
		if o.Items != nil {
			one.Elements, one.Choices = o.Items.AnsibleType(), o.Items.Enum
		}
		if allowed := o.Restriction(); allowed != "" {
			one.say("Allowed: %s", allowed)
		}
		switch text, _ := o.Default.(string); {
		case !strings.Contains(text, "<app_name>"):
		case mark == nil:
			one.say("C(<app_name>) in the default stands for the value of O(app_name).")
		default:
			one.Default = nil
			one.say("The default is C(%s).", text)
		}
		switch variables := these("E", o.Env, "or"); {
		case len(o.Env) == 1:
			one.say("The environment variable %s may also be used.", variables)
		case len(o.Env) > 1:
			one.say("The environment variables %s may also be used, in this order of preference.", variables)
		}
		if mark != nil {
			one.Description.each(mark)
			one.NoLog, one.Options, one.Suboptions = o.Secret, one.Suboptions, nil
		}
		all = append(all, one)
	}
	return all
}

func (o *option) say(format string, about ...any) {
	o.Description = append(o.Description, fmt.Sprintf(format, about...))
}

// defaultValue returns the default of a variable, or nil if the variable has none.
func (o option) defaultValue() any {
	if !o.schema.ApplyDefaults {
		return o.Default
	}
	var values dict
	for _, sub := range o.Options {
		if sub.Default != nil {
			values = append(values, pair{sub.Name, sub.Default})
		}
	}
	return values
}

// sentences describes the requirements that involve an option.
func sentences(of options.Option, needs []options.Need, name string) []string {
	var states, said []string
	for _, n := range needs {
		option, value := n.Condition()
		others := slices.DeleteFunc(slices.Clone(n.Of), func(other string) bool { return other == name })
		switch among := len(others) < len(n.Of); {
		case !among && (option != name || value != ""):
		case n.Kind == options.Together:
			said = append(said, "Requires "+these("O", others, "and")+".")
		case n.Kind == options.Any:
			said = append(said, fmt.Sprintf("For O(%s), at least one of %s is required%s.", n.When, these("O", n.Of, "and"), n.Why))
		case n.Kind == options.None && among:
			said = append(said, "Cannot be used together with O("+option+").")
		case n.Kind == options.None:
			said = append(said, "Cannot be used together with "+these("O", n.Of, "or")+".")
		case !among:
			said = append(said, "Requires "+these("O", n.Of, "and")+n.Why+".")
		case value == "":
			said = append(said, "Required if O("+option+") is given.")
		case slices.ContainsFunc(of.Options, func(o options.Option) bool { return o.Name == option && o.Type == "array" }):
			said = append(said, fmt.Sprintf("Required if O(%s) contains V(%s).", option, value))
		default:
			states = append(states, n.When)
		}
	}
	if states != nil {
		said = slices.Insert(said, 0, "Required for "+these("O", states, "and")+".")
	}
	return said
}

// these joins names with ansible-doc's markup: O(a), O(b) and O(c).
func these(markup string, names []string, and string) string {
	text := markup + "(" + strings.Join(names, "), "+markup+"(") + ")"
	if last := strings.LastIndex(text, ", "); last > 0 {
		text = text[:last] + " " + and + text[last+1:]
	}
	return text
}

// text is paragraphs, or other strings.
type text []string

func paragraphs(comment string) text {
	var all text
	for text := range strings.SplitSeq(comment, "\n\n") {
		if line := strings.Join(strings.Fields(text), " "); line != "" {
			all = append(all, line)
		}
	}
	return all
}

func (t text) each(change func(string) string) {
	for i := range t {
		t[i] = change(t[i])
	}
}

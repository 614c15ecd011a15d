package options

import (
	"fmt"
	"slices"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
)

// walk goes along a schema and what was given for it, coerces and checks the values and collects every mistake.
type walk struct {
	env     Env
	invalid *Invalid
	from    map[string]string // option → the name it was given by: its own, an alias, or "$" and an environment variable
	spoilt  map[string]bool   // options that were given, but wrongly: the rules must not call them missing
}

func newWalk(env Env) *walk {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &walk{env: env, invalid: &Invalid{}, from: map[string]string{}, spoilt: map[string]bool{}}
}

// object gives a dict's values by the options' own names, defaults filled in; what is wrong or absent is left out.
// prefix is where the dict is, such as "database.".
func (w *walk) object(schema *jsonschema.Schema, prefix string, given map[string]any) map[string]any {
	values := map[string]any{}
	named := w.names(schema, prefix, given)
	for name, property := range properties(schema) {
		path := prefix + name
		raw, ok := w.raw(property, path, name, named)
		switch {
		case ok:
			if value, fine := w.value(property, path, raw); fine {
				values[name] = value
			} else {
				w.spoilt[path] = true
			}
		case property.Default != nil:
			values[name] = w.standard(property, values)
		case property.Extras["x-apply-defaults"] == true:
			values[name] = w.object(property, path+".", nil)
		case slices.Contains(schema.Required, name):
			w.invalid.add(path, fmt.Sprintf("%s is required: %s", path, allowed(property)))
			w.spoilt[path] = true
		}
	}
	return values
}

// names sorts what was given by the options' own names. null means unset.
func (w *walk) names(schema *jsonschema.Schema, prefix string, given map[string]any) map[string]any {
	own := map[string]string{}
	var accepted, known []string
	for name, property := range properties(schema) {
		accepted = append(accepted, name)
		for _, called := range append([]string{name}, list(property, "x-aliases")...) {
			own[called] = name
			known = append(known, called)
		}
	}
	named, instead := map[string]any{}, Withdrawn()
	var unknown []string
	for _, called := range sorted(given) {
		name, ok := own[called]
		earlier, twice := w.from[prefix+name]
		switch {
		case given[called] == nil:
		case !ok && instead[prefix+called] != "":
			w.invalid.add(prefix+called, fmt.Sprintf("%s is withdrawn: %s", prefix+called, instead[prefix+called]))
		case !ok:
			unknown = append(unknown, called)
		case twice && fmt.Sprint(named[name]) != fmt.Sprint(given[called]):
			w.invalid.add(prefix+name, fmt.Sprintf("%s and %s are the same option: give one of them", prefix+earlier, prefix+called))
		default:
			named[name], w.from[prefix+name] = given[called], called
		}
	}
	for i, called := range unknown {
		text := fmt.Sprintf("unknown option %s", quote(prefix+called))
		if meant := nearest(called, known); meant != "" {
			text += fmt.Sprintf(": did you mean %q?", prefix+meant)
		}
		if i == len(unknown)-1 {
			text += " (accepted: " + strings.Join(accepted, ", ") + ")"
		}
		w.invalid.add(prefix+called, text)
	}
	return named
}

// raw is what was given for an option, or what the environment says. An option that was given as "" asks the
// environment to be left aside, as in amazon.aws.
func (w *walk) raw(property *jsonschema.Schema, path, name string, named map[string]any) (any, bool) {
	variables := list(property, "x-env")
	if value, ok := named[name]; ok {
		return value, len(variables) == 0 || value != ""
	}
	for _, variable := range variables {
		if value, ok := w.env(variable); ok && value != "" {
			w.from[path] = "$" + variable
			return value, true
		}
	}
	return nil, false
}

// called is an option's name for a message, with where its value came from if that is not the name.
func (w *walk) called(path string) string {
	from := w.from[path]
	switch {
	case strings.HasPrefix(from, "$"):
		return path + " (from the environment variable " + from[1:] + ")"
	case from != "" && !strings.HasSuffix("."+path, "."+from):
		return path + " (given as " + from + ")"
	}
	return path
}

// standard is a default; those of the prefixes are made of app_name, which comes before them in the structs, and a path is
// expanded as a given one is.
func (w *walk) standard(schema *jsonschema.Schema, values map[string]any) any {
	text, ok := schema.Default.(string)
	if !ok {
		return schema.Default
	}
	app, _ := values["app_name"].(string)
	text = strings.ReplaceAll(text, "<app_name>", app)
	if word(schema, "x-type") == "path" {
		text, _ = ansible.Path(text, w.env)
	}
	return text
}

func sorted(given map[string]any) []string {
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

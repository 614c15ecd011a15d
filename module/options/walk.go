package options

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
)

// walk checks the given options against the schema, coerces them as Ansible does, and collects every mistake.
type walk struct {
	env          Env
	invalid      *Invalid
	from         map[string]string // option → where its value came from: the option's name, an alias, or "$" and an environment variable
	invalidValue map[string]bool   // options with a wrong value, which must not be reported as missing as well

	withdrawn map[string]string
}

func newWalk(env Env) *walk {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	return &walk{env: env, invalid: &Invalid{}, from: map[string]string{}, invalidValue: map[string]bool{}, withdrawn: Withdrawn()}
}

// dict returns the values with defaults, by option name. prefix is the path to the dict, such as "database.".
func (w *walk) dict(of Option, prefix string, given map[string]any) map[string]any {
	values, named := map[string]any{}, w.names(of, prefix, given)
	for _, o := range of.Options {
		path := prefix + o.Name
		raw, ok := w.raw(o, path, named)
		switch {
		case ok:
			if value, fine := w.value(o, path, w.called(path), raw); fine {
				values[o.Name] = value
			} else {
				w.invalidValue[path] = true
			}
		case o.Default != nil:
			values[o.Name] = w.defaultOf(o, values)
		case o.ApplyDefaults:
			values[o.Name] = w.dict(o, path+".", nil)
		case slices.Contains(of.Required, o.Name):
			w.invalid.add(path, path+" is required: "+o.allowed())
			w.invalidValue[path] = true
		}
	}
	return values
}

// names returns the given values by option name, resolving aliases. null means unset.
func (w *walk) names(of Option, prefix string, given map[string]any) map[string]any {
	own, named := map[string]string{}, map[string]any{}
	var accepted, known, unknown []string
	for _, o := range of.Options {
		accepted = append(accepted, o.Name)
		for _, called := range append([]string{o.Name}, o.Aliases...) {
			own[called] = o.Name
			known = append(known, called)
		}
	}
	for _, called := range slices.Sorted(maps.Keys(given)) {
		name, ok := own[called]
		earlier, twice := w.from[prefix+name]
		switch instead := w.withdrawn[prefix+called]; {
		case given[called] == nil:
		case !ok && instead != "":
			w.invalid.add(prefix+called, fmt.Sprintf("%s is withdrawn: %s", prefix+called, instead))
		case !ok:
			unknown = append(unknown, called)
		case twice && fmt.Sprint(named[name]) != fmt.Sprint(given[called]):
			w.invalid.add(prefix+name, fmt.Sprintf("%s and %s are the same option: give one of them", prefix+earlier, prefix+called))
		default:
			named[name], w.from[prefix+name] = given[called], called
		}
	}
	for i, called := range unknown {
		text := "unknown option " + quote(prefix+called)
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

// raw returns the value that was given for an option, or its value in the environment. With "" the environment is ignored, as in
// amazon.aws.
func (w *walk) raw(o Option, path string, named map[string]any) (any, bool) {
	if value, ok := named[o.Name]; ok {
		return value, len(o.Env) == 0 || value != ""
	}
	for _, variable := range o.Env {
		if value, ok := w.env(variable); ok && value != "" {
			w.from[path] = "$" + variable
			return value, true
		}
	}
	return nil, false
}

// defaultOf returns the default of an option. It replaces <app_name>, the option that comes first in the structs, with its value.
func (w *walk) defaultOf(o Option, values map[string]any) any {
	text, ok := o.Default.(string)
	if !ok {
		return o.Default
	}
	app, _ := values["app_name"].(string)
	text = strings.ReplaceAll(text, "<app_name>", app)
	if o.Ansible == "path" {
		text, _ = ansible.Path(text, w.env)
	}
	return text
}

// value coerces a value as Ansible does and checks it against the schema. ok is false if it recorded a mistake, in which the value is
// called so.
func (w *walk) value(o Option, path, called string, raw any) (value any, ok bool) {
	if text, _ := raw.(string); o.PathAs != "" && regexp.MustCompile("^[/~.]").MatchString(text) {
		place, ok := ansible.Path(text, w.env)
		return map[string]any{o.PathAs: place}, ok
	}
	kind := o.AnsibleType()
	if o.Type == "object" {
		kind = "dict"
	}
	value, fits := ansible.Coerce(kind, raw, w.env)
	text, isText := value.(string)
	if isText {
		value = strings.TrimRight(text, o.Trim)
	}
	number, _ := raw.(json.Number)
	list, _ := value.([]any)
	instead := w.withdrawn[path+"="+text]
	before := len(w.invalid.mistakes)
	wrong := func(said string) { w.invalid.add(path, said, o.ErrorCode) }
	switch {
	case !fits && o.Type == "object":
		// Do not quote the value: a dict may contain a password.
		wrong(called + " must be " + o.allowed() + ": the value is neither a dict nor a string with a JSON object")
	case path == "rotation_id" && strings.ContainsAny(number.String(), ".eE"):
		wrong(fmt.Sprintf("%s must be quoted: YAML reads 2026.10 as the number 2026.1, so two rotations could get the same name; write %q, or the name that you meant", called, value))
	case instead != "":
		wrong(w.called(path) + ": " + text + " is withdrawn: " + instead)
	case fits && !between(len(list), o.MinItems, nil):
		wrong(called + " is empty: it must be " + o.allowed())
	case o.Secret && !(fits && o.valid(value)):
		wrong(called + " must be " + o.allowed() + ": " + o.hidden(text, fits))
	case !fits || !o.valid(value):
		wrong(called + " must be " + o.allowed() + ", not " + o.show(raw))
	case o.Type == "array":
		list = slices.Clone(list)
		for i := range list {
			list[i], _ = w.value(*o.Items, path, "each element of "+called, list[i])
		}
		value = list
	case o.Options != nil:
		dict, _ := value.(map[string]any)
		value = w.dict(o, path+".", dict)
	}
	return value, len(w.invalid.mistakes) == before
}

// called returns an option's name for a message. If the value came from an alias or the environment, it says so.
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

package options

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Env looks an environment variable up, as os.LookupEnv does.
type Env = func(name string) (value string, ok bool)

// ParseRotation returns the options of seqera_crypto_rotation. An error is an *Invalid, which lists every mistake.
func ParseRotation(params map[string]any, env Env) (Rotation, error) {
	return parse("seqera_crypto_rotation", params, env, RotationNeeds(), rotationRules)
}

// ParseInfo returns the options of seqera_crypto_rotation_info. An error is an *Invalid, which lists every mistake.
func ParseInfo(params map[string]any, env Env) (Info, error) {
	return parse("seqera_crypto_rotation_info", params, env, InfoNeeds(), func(i Info, w *walk) { placeRules(i.AppName, i.Places, w) })
}

// parse checks the options one by one, then needs and rules check them together.
func parse[T any](module string, params map[string]any, env Env, needs []Need, rules func(T, *walk)) (T, error) {
	var options, none T
	var all Option
	w := newWalk(env)
	schema, err := Schema(module)
	if err == nil {
		err = json.Unmarshal(schema, &all)
	}
	values := w.dict(all, "", params)
	text, wrong := json.Marshal(values)
	defer clear(text)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // numbers inside proof and baseline stay what they are
	if err != nil || wrong != nil || decoder.Decode(&options) != nil {
		// The schema is part of the binary, and the values have the fields' own types. The error may quote one: it stays unsaid.
		w.invalid.add("", "the options could not be read")
		return none, w.invalid
	}
	w.check(needs, values)
	rules(options, w)
	if len(w.invalid.mistakes) > 0 {
		return none, w.invalid
	}
	return options, nil
}

// Invalid lists every mistake in the options, with what is allowed. It holds no value of a secret option.
type Invalid struct{ mistakes []mistake }

type mistake struct{ option, text, code string }

// add takes a mistake, and its code if that is not invalid_options.
func (i *Invalid) add(option, text string, code ...string) {
	i.mistakes = append(i.mistakes, mistake{option, text, strings.Join(code, "")})
}

// Error lists the mistakes.
func (i *Invalid) Error() string {
	texts := make([]string, len(i.mistakes))
	for n, m := range i.mistakes {
		texts[n] = m.text
	}
	said := "The options have a mistake: "
	if len(texts) > 1 {
		said = fmt.Sprintf("The options have %d mistakes: ", len(texts))
	}
	return said + strings.Join(texts, "; ") + ". Nothing was done."
}

// ErrorCode is invalid_key if the new key is all that is wrong, else invalid_options.
func (i *Invalid) ErrorCode() string {
	code := i.mistakes[0].code
	for _, m := range i.mistakes {
		if m.code != code || code == "" {
			return "invalid_options"
		}
	}
	return code
}

// schemas are written by module/generate from the structs of this package: their tags and comments.
//
//go:embed schema/*.json
var schemas embed.FS

// Schema is the JSON Schema of a module's options. It describes values after Ansible's coercion.
func Schema(module string) ([]byte, error) {
	name := "seqera_crypto_rotation"
	if strings.HasSuffix(module, "_info") {
		name += "_info"
	}
	text, err := schemas.ReadFile("schema/" + name + ".json")
	return bytes.TrimSpace(text), err
}

// Option is one option, or the dict of them all, as its JSON Schema says. Words that JSON Schema lacks begin with x-.
type Option struct {
	Name        string `json:"-"`
	Description string
	Type        string
	Items       *Option
	Options     []Option `json:"-"` // the properties, in the order of the struct
	Required    []string // names of those that must be given
	Enum        []string
	Default     any
	Secret      bool `json:"writeOnly"`

	Pattern, Format                                  string
	MinLength, MaxLength, MinItems, Minimum, Maximum *int

	Aliases       []string `json:"x-aliases"`        // other names of the option
	Env           []string `json:"x-env"`            // environment variables to use, in this order, if it is not given
	Ansible       string   `json:"x-type"`           // Ansible's type where JSON Schema has no word for it: path, raw
	PathAs        string   `json:"x-path-as"`        // a string that is a path stands for a dict with this key alone
	Trim          string   `json:"x-trim"`           // characters to drop from the value's end
	ApplyDefaults bool     `json:"x-apply-defaults"` // the suboptions' defaults hold if it is not given
	Allowed       string   `json:"x-allowed"`        // what is allowed, in words
	ErrorCode     string   `json:"x-error-code"`     // of a value that is not allowed; else invalid_options
}

// UnmarshalJSON keeps the order of the properties, and whole numbers as int.
func (o *Option) UnmarshalJSON(text []byte) error {
	type plain Option
	with := struct {
		*plain
		Properties json.RawMessage
	}{plain: (*plain)(o)}
	if err := json.Unmarshal(text, &with); err != nil {
		return err
	}
	if number, ok := o.Default.(float64); ok {
		o.Default = int(number)
	}
	decoder := json.NewDecoder(bytes.NewReader(with.Properties))
	_, _ = decoder.Token() // {
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		one := Option{}
		if err := decoder.Decode(&one); err != nil {
			return err
		}
		one.Name, _ = name.(string)
		o.Options = append(o.Options, one)
	}
	return nil
}

// AnsibleType is the type as documentation and argument specs have it.
func (o Option) AnsibleType() string {
	if o.Ansible != "" {
		return o.Ansible
	}
	return map[string]string{"string": "str", "integer": "int", "boolean": "bool", "array": "list", "object": "dict"}[o.Type]
}

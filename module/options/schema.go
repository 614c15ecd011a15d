package options

import (
	"bytes"
	"embed"
	"encoding/json"
	"strings"
)

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

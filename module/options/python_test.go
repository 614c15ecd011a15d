package options

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheOptionsBecomeWhatTheTableSays(t *testing.T) {
	require.GreaterOrEqual(t, len(table()), 150)
	for _, r := range table() {
		t.Run(r.name(), func(t *testing.T) {
			values, err := r.taken(t)
			if r.want == "" {
				require.Error(t, err, "%v", values)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, decoded(t, r.want), values[r.option])
		})
	}
}

func TestTheTableIsWhatAPythonModuleWithTheSameArgumentSpecDoes(t *testing.T) {
	version, answers := python(t)
	for i, r := range table() {
		t.Run(r.name(), func(t *testing.T) {
			values, err := r.taken(t)
			theirs := answers[i]
			same := err != nil && theirs.Refused != nil || err == nil && theirs.Refused == nil && assert.ObjectsAreEqual(values, theirs.Values)
			if (r.ours == "") == (version >= r.since) {
				assert.True(t, same, "we say %v (%v), Ansible %v %v", values[r.option], err, theirs.Values[r.option], theirs.Refused)
				return
			}
			assert.False(t, same, "ansible-core 2.%d does the same", version)
		})
	}
}

func (r row) name() string {
	return strings.TrimSpace(r.module+" "+r.option) + "=" + r.given + r.options
}

// taken is what the module makes of a row: all of its options' values.
func (r row) taken(t *testing.T) (map[string]any, error) {
	t.Helper()
	variables := maps.Clone(r.env)
	if variables == nil {
		variables = map[string]string{}
	}
	maps.Copy(variables, surroundings())
	env := environment(variables)
	all := described(t, "seqera_crypto_rotation")
	_, err := ParseRotation(r.params(t), env)
	if r.module == "info" {
		all = described(t, "seqera_crypto_rotation_info")
		_, err = ParseInfo(r.params(t), env)
	}
	text, wrong := json.Marshal(newWalk(env).dict(all, "", r.params(t)))
	require.NoError(t, wrong)
	return decoded(t, string(text)).(map[string]any), err
}

func surroundings() map[string]string {
	return map[string]string{"HOME": "/home/op", "PLACE": "here"}
}

// params are options that pass, with those of the row; omit takes one away.
func (r row) params(t *testing.T) map[string]any {
	t.Helper()
	params := map[string]any{"app_name": "tower", "config_prefix": "/config/tower", "custody_prefix": "/custody"}
	if r.module != "info" {
		maps.Copy(params, map[string]any{"state": "prepared", "omnibus_parameter": "/o", "rotation_id": "r", "backups": []any{"b"}})
	}
	if r.options == "" {
		params[r.option] = numbered(t, r.given)
		return params
	}
	maps.Copy(params, numbered(t, r.options).(map[string]any))
	maps.DeleteFunc(params, func(_ string, value any) bool { return value == "{{ omit }}" })
	return params
}

// numbered keeps numbers as they are written, as the module reads them.
func numbered(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	require.NoError(t, decoder.Decode(&value), text)
	return value
}

// decoded does not tell 5 from 5.0.
func decoded(t *testing.T, text string) any {
	t.Helper()
	var value any
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

type answer struct {
	Values  map[string]any `json:"values"`
	Refused []string       `json:"refused"`
}

// python asks ansible-core, whose version is 2.<minor>, once for the whole table.
func python(t *testing.T) (minor int, answers []answer) {
	t.Helper()
	interpreter := os.Getenv("ANSIBLE_PYTHON")
	if interpreter == "" {
		t.Skip("ANSIBLE_PYTHON does not name a Python that has ansible-core")
	}
	rows := make([]map[string]any, len(table()))
	for i, r := range table() {
		env := surroundings()
		maps.Copy(env, r.env)
		module := "rotation"
		if r.module != "" {
			module = r.module
		}
		rows[i] = map[string]any{"module": module, "given": r.params(t), "env": env}
	}
	question, err := json.Marshal(map[string]any{"rows": rows, "modules": map[string]any{
		"rotation": map[string]any{"options": spec(described(t, "seqera_crypto_rotation")), "needs": requirements(RotationNeeds())},
		"info":     map[string]any{"options": spec(described(t, "seqera_crypto_rotation_info")), "needs": requirements(InfoNeeds())},
	}})
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), interpreter, "testdata/argument_spec.py")
	var complaint strings.Builder
	command.Stdin, command.Stderr = bytes.NewReader(question), &complaint
	said, err := command.Output()
	require.NoError(t, err, complaint.String())
	var whole struct {
		Version string   `json:"version"`
		Answers []answer `json:"answers"`
	}
	require.NoError(t, json.Unmarshal(said, &whole))
	require.Len(t, whole.Answers, len(rows))
	minor, err = strconv.Atoi(strings.Split(whole.Version, ".")[1])
	require.NoError(t, err)
	return minor, whole.Answers
}

// described is what the schema says of a module's options.
func described(t *testing.T, module string) (all Option) {
	t.Helper()
	text, err := Schema(module)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all.Options)
	return all
}

// spec is a Python module's argument_spec, as JSON.
func spec(of Option) map[string]any {
	options := map[string]any{}
	for _, o := range of.Options {
		option := map[string]any{"type": o.AnsibleType(), "required": slices.Contains(of.Required, o.Name), "no_log": o.Secret, "apply_defaults": o.ApplyDefaults}
		choices := o.Enum
		if o.Items != nil {
			option["elements"], choices = o.Items.AnsibleType(), o.Items.Enum
		}
		for key, value := range map[string]any{"choices": choices, "default": o.Default, "aliases": o.Aliases, "env": o.Env} {
			if value != nil && !reflect.ValueOf(value).IsZero() || value == false {
				option[key] = value
			}
		}
		if o.Options != nil {
			option["options"] = spec(o)
		}
		options[o.Name] = option
	}
	return options
}

// requirements are the needs as arguments of a Python module.
func requirements(needs []Need) map[string]any {
	var exclusive, together, conditional [][]any
	by := map[string][]string{}
	for _, n := range needs {
		option, value := n.Condition()
		switch {
		case n.Kind == Together:
			together = append(together, anys(n.Of))
		case n.Kind == None:
			for _, other := range n.Of {
				exclusive = append(exclusive, []any{option, other})
			}
		case value == "":
			by[option] = append(by[option], n.Of...)
		default:
			conditional = append(conditional, []any{option, value, n.Of, n.Kind == Any})
		}
	}
	return map[string]any{"mutually_exclusive": exclusive, "required_together": together, "required_if": conditional, "required_by": by}
}

func anys(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}

package options

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func modules() map[string]reflect.Type {
	return map[string]reflect.Type{"seqera_crypto_rotation": reflect.TypeFor[Rotation](), "seqera_crypto_rotation_info": reflect.TypeFor[Info]()}
}

// fields are a struct's fields by option name, those of embedded structs included.
func fields(of reflect.Type) map[string]reflect.Type {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	found := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(of) {
		if !field.Anonymous {
			found[field.Tag.Get("json")] = field.Type
		}
	}
	return found
}

func TestTheSchemaHasEveryFieldWithItsType(t *testing.T) {
	for module, options := range modules() {
		all := described(t, module)
		agree(t, fields(options), all)
		for _, o := range all.Options {
			if o.Options != nil {
				agree(t, fields(fields(options)[o.Name]), o)
			}
		}
	}
}

func agree(t *testing.T, fields map[string]reflect.Type, of Option) {
	t.Helper()
	for _, o := range of.Options {
		field, ok := fields[o.Name]
		require.True(t, ok, o.Name)
		delete(fields, o.Name)
		assert.Equal(t, field == reflect.TypeFor[secret.Secret](), o.Secret, "%s: what is secret is writeOnly", o.Name)
		assert.Equal(t, field == reflect.TypeFor[secret.Secret](), o.Type == "string" && field.Kind() == reflect.Struct, o.Name)
		want := map[string][]reflect.Kind{
			"string": {reflect.String, reflect.Struct}, "integer": {reflect.Int, reflect.Pointer}, "boolean": {reflect.Bool},
			"array": {reflect.Slice}, "object": {reflect.Map, reflect.Struct, reflect.Pointer},
		}[o.Type]
		assert.Contains(t, want, field.Kind(), o.Name)
	}
	assert.Empty(t, fields)
}

func TestEveryDefaultIsAllowed(t *testing.T) {
	for module := range modules() {
		for _, o := range described(t, module).Options {
			if o.Default == nil {
				continue
			}
			w := newWalk(nil)
			value := asJSON(map[string]any{"default": w.defaultOf(o, map[string]any{"app_name": "a"})})
			_, ok := w.value(o, o.Name, o.Name, value["default"])
			assert.True(t, ok, "%s: %v", o.Name, w.invalid.mistakes)
		}
	}
}

func TestOptionsOfBothModulesAllowTheSame(t *testing.T) {
	info := map[string]Option{}
	for _, o := range described(t, "seqera_crypto_rotation_info").Options {
		info[o.Name] = o
	}
	// Options that only seqera_crypto_rotation_info has.
	own := []string{"gather", "key_from_escrow", "compose_dir", "compose_files", "compose_env_files", "compose_profiles", "allow_drift", "last_records", "ready_timeout", "backend_health_url"}
	shared := 0
	for _, o := range described(t, "seqera_crypto_rotation").Options {
		if other, ok := info[o.Name]; ok {
			shared++
			o.Description = other.Description // platform is for another purpose in each
			assert.Equal(t, other, o, o.Name)
		}
	}
	assert.Equal(t, len(info)-len(own), shared)
	for _, name := range own {
		assert.Contains(t, info, name)
	}
}

func TestNothingButTheOptionsIsAllowed(t *testing.T) {
	for module := range modules() {
		text, err := Schema(module)
		require.NoError(t, err)
		assert.Equal(t, strings.Count(string(text), `"properties": {`), strings.Count(string(text), `"additionalProperties": false`))
	}
}

func TestAWithdrawnOptionIsRefusedWithWhatToWriteInstead(t *testing.T) {
	w := newWalk(nil)
	w.withdrawn = map[string]string{"forced": "write max_age_days: 0", "database.place": "write database.host"}
	w.dict(described(t, "seqera_crypto_rotation"), "", prepared(map[string]any{"forced": true, "database": map[string]any{"host": "h", "place": "x"}}))
	_, options := wrong(t, w.invalid)
	assert.Equal(t, []string{"forced", "database.place"}, options)
	assert.ErrorContains(t, w.invalid, "forced is withdrawn: write max_age_days: 0; database.place is withdrawn: write database.host.")
	for module := range modules() {
		for _, o := range described(t, module).Options {
			assert.NotContains(t, Withdrawn(), o.Name)
		}
	}
}

func TestTheSchemaIsJSONThatPeopleCanRead(t *testing.T) {
	text, err := Schema("seqera_crypto_rotation")
	require.NoError(t, err)
	assert.Contains(t, string(text), `"default": "/config/<app_name>"`)
	assert.Contains(t, string(text), `"title": "seqera_crypto_rotation"`)
	assert.True(t, json.Valid(text))

	text, err = Schema("seqera_crypto_rotation_info")
	require.NoError(t, err)
	assert.Contains(t, string(text), `"gather"`)
	assert.NotContains(t, string(text), `"new_secret"`)
}

func TestTheExamplesAreTasksWhoseOptionsPass(t *testing.T) {
	for module, options := range modules() {
		text, err := os.ReadFile("../../library/" + module + ".yml")
		require.NoError(t, err)
		var sidecar struct {
			Examples string `yaml:"EXAMPLES"`
		}
		require.NoError(t, yaml.Unmarshal(text, &sidecar))
		examples(t, module, options, sidecar.Examples)
	}
}

// examples are tasks whose options pass.
func examples(t *testing.T, module string, options reflect.Type, text string) {
	t.Helper()
	var tasks []map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &tasks))
	tried := 0
	for _, task := range tasks {
		given, ok := task[module].(map[string]any)
		if !ok {
			continue
		}
		tried++
		for name, value := range given {
			if text, ok := value.(string); ok && strings.HasPrefix(text, "{{") {
				given[name] = map[string]any{"proof": map[string]any{}, "backups": "b1"}[name]
			}
		}
		var err error
		if options == reflect.TypeFor[Info]() {
			_, err = ParseInfo(asJSON(given), nil)
		} else {
			_, err = ParseRotation(asJSON(given), nil)
		}
		assert.NoError(t, err, task["name"])
	}
	assert.Positive(t, tried)
}

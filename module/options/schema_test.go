package options

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
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
	for _, options := range modules() {
		schema := Describe(options, nil)
		agree(t, fields(options), schema)
		for _, dict := range []string{"database", "services"} {
			agree(t, fields(fields(options)[dict]), schema.Properties.Value(dict))
		}
	}
}

func agree(t *testing.T, fields map[string]reflect.Type, schema *jsonschema.Schema) {
	t.Helper()
	assert.Same(t, jsonschema.FalseSchema, schema.AdditionalProperties, "nothing else is accepted")
	for name, property := range properties(schema) {
		field, ok := fields[name]
		require.True(t, ok, name)
		delete(fields, name)
		assert.Equal(t, field == reflect.TypeFor[secret.Secret](), property.WriteOnly, "%s: what is secret is writeOnly", name)
		assert.Equal(t, field == reflect.TypeFor[secret.Secret](), property.Type == "string" && field.Kind() == reflect.Struct, name)
		want := map[string][]reflect.Kind{
			"string": {reflect.String, reflect.Struct}, "integer": {reflect.Int, reflect.Pointer}, "boolean": {reflect.Bool},
			"array": {reflect.Slice}, "object": {reflect.Map, reflect.Struct, reflect.Pointer},
		}[property.Type]
		assert.Contains(t, want, field.Kind(), name)
	}
	assert.Empty(t, fields)
}

func TestEveryDefaultIsAllowed(t *testing.T) {
	for _, options := range modules() {
		for name, property := range properties(Describe(options, nil)) {
			if property.Default == nil {
				continue
			}
			w := newWalk(nil)
			_, ok := w.value(property, name, w.standard(property, map[string]any{"app_name": "a"}))
			assert.True(t, ok, "%s: %v", name, w.invalid.mistakes)
		}
	}
}

func TestOptionsOfBothModulesAllowTheSame(t *testing.T) {
	info := map[string]*jsonschema.Schema{}
	for name, property := range properties(Describe(reflect.TypeFor[Info](), nil)) {
		info[name] = property
	}
	// What only a look has, and what the two say of one name for their own ends.
	own := []string{"gather", "key_from_escrow", "compose_dir", "compose_files", "compose_env_files", "compose_profiles", "allow_drift", "last_records", "ready_timeout", "backend_health_url"}
	shared := 0
	for name, property := range properties(Describe(reflect.TypeFor[Rotation](), nil)) {
		if other, ok := info[name]; ok {
			shared++
			assert.Equal(t, other, property, name)
		}
	}
	assert.Equal(t, len(info)-len(own), shared)
	for _, name := range own {
		assert.Contains(t, info, name)
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
			_, err = ParseInfo(given, nil)
		} else {
			_, err = ParseRotation(given, nil)
		}
		assert.NoError(t, err, task["name"])
	}
	assert.Positive(t, tried)
}

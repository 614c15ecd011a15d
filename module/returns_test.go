package main

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// documentedValue is a return value as the page has it.
type documentedValue struct {
	Type     string                     `yaml:"type"`
	Elements string                     `yaml:"elements"`
	Contains map[string]documentedValue `yaml:"contains"`
}

func TestTheDocumentedReturnValuesAreThoseThatAreReturned(t *testing.T) {
	// They have the shape of another one, which their description names.
	opaque := []string{"untouched", "then"}
	for module, of := range map[string]reflect.Type{"seqera_crypto_rotation": reflect.TypeFor[result](), "seqera_crypto_rotation_info": reflect.TypeFor[info]()} {
		text, err := os.ReadFile("../library/" + module + ".yml")
		require.NoError(t, err)
		var page struct {
			Return map[string]documentedValue `yaml:"RETURN"`
		}
		require.NoError(t, yaml.Unmarshal(text, &page))
		// Ansible documents changed itself, and the protocol adds error_code.
		assert.Equal(t, "str", page.Return["error_code"].Type)
		delete(page.Return, "error_code")
		page.Return["changed"] = documentedValue{Type: "bool"}
		sameValues(t, module, of, page.Return, opaque)
	}
}

func sameValues(t *testing.T, where string, of reflect.Type, documented map[string]documentedValue, opaque []string) {
	t.Helper()
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || field.Anonymous || !field.IsExported() {
			continue
		}
		value, ok := documented[name]
		if !assert.True(t, ok, "%s.%s is returned and not documented", where, name) {
			continue
		}
		delete(documented, name)
		kind, elements, inner := ansibleType(field.Type)
		assert.Equal(t, []string{kind, elements}, []string{value.Type, value.Elements}, "%s.%s", where, name)
		if inner != nil && !slices.Contains(opaque, name) {
			sameValues(t, where+"."+name, inner, value.Contains, opaque)
		}
	}
	for name := range documented {
		assert.Fail(t, "documented and not returned", "%s.%s", where, name)
	}
}

// ansibleType is Ansible's word for a type, of a list's elements, and the struct that is in it.
func ansibleType(of reflect.Type) (kind, elements string, inner reflect.Type) {
	switch of.Kind() {
	case reflect.Pointer:
		return ansibleType(of.Elem())
	case reflect.Map:
		return "dict", "", nil
	case reflect.Slice:
		if of == reflect.TypeFor[json.RawMessage]() {
			return "dict", "", nil
		}
		elements, _, inner = ansibleType(of.Elem())
		return "list", elements, inner
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return "str", "", nil
		}
		return "dict", "", of
	case reflect.Bool:
		return "bool", "", nil
	case reflect.Int, reflect.Int64:
		return "int", "", nil
	case reflect.Float64:
		return "float", "", nil
	case reflect.String:
		return "str", "", nil
	default:
		return of.String(), "", nil
	}
}

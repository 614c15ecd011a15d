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

	"github.com/seqera-tools/crypto-rotation/module/control"
	"github.com/seqera-tools/crypto-rotation/module/info"
	"github.com/seqera-tools/crypto-rotation/module/vm"
)

// documentedValue is a return value as the page has it.
type documentedValue struct {
	Type     string                     `yaml:"type"`
	Elements string                     `yaml:"elements"`
	Contains map[string]documentedValue `yaml:"contains"`
}

func TestTheDocumentedReturnValuesAreThoseThatAreReturned(t *testing.T) {
	// They have the shape of another one, which their description names.
	opaque := []string{"untouched", "explained", "then"}
	for module, of := range map[string][]reflect.Type{
		"seqera_crypto_rotation":      {reflect.TypeFor[control.Result](), reflect.TypeFor[vm.Result]()},
		"seqera_crypto_rotation_info": {reflect.TypeFor[info.Result]()},
	} {
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
		sameValues(t, module, page.Return, opaque, of...)
	}
}

func sameValues(t *testing.T, where string, documented map[string]documentedValue, opaque []string, of ...reflect.Type) {
	t.Helper()
	var fields []reflect.StructField
	for _, one := range of {
		fields = append(fields, reflect.VisibleFields(one)...)
	}
	returned := map[string]bool{}
	for _, field := range fields {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || field.Anonymous || !field.IsExported() {
			continue
		}
		value, ok := documented[name]
		if !assert.True(t, ok, "%s.%s is returned and not documented", where, name) {
			continue
		}
		returned[name] = true
		kind, elements, inner := ansibleType(field.Type)
		assert.Equal(t, []string{kind, elements}, []string{value.Type, value.Elements}, "%s.%s", where, name)
		if inner != nil && !slices.Contains(opaque, name) {
			sameValues(t, where+"."+name, value.Contains, opaque, inner)
		}
	}
	for name := range documented {
		assert.True(t, returned[name], "%s.%s is documented and not returned", where, name)
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

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// properties are settings by canonical name. Sources are added from the weakest to the strongest: the last one wins.
type properties map[string]string

// canonical is Micronaut's form of a name: tower/crypto/secretKey, tower.crypto.secretKey and tower.crypto.secret-key are one.
func canonical(name string) string {
	var out strings.Builder
	before := '.'
	for _, letter := range strings.ReplaceAll(name, "/", ".") {
		if unicode.IsUpper(letter) && unicode.IsLower(before) {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(letter))
		before = letter
	}
	return out.String()
}

func (p properties) get(name string) string { return p[canonical(name)] }

// set ignores an empty value: it leaves what a weaker source says.
func (p properties) set(name, value string) {
	if value != "" {
		p[canonical(name)] = value
	}
}

// localProperties are those that need no SSM: of tower.yml, then of the environment.
func localProperties(env func(string) string, towerYML string) (properties, error) {
	p := properties{}
	content, err := os.ReadFile(towerYML) //nolint:gosec // the container's own file
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EISDIR): // Docker makes a directory of a file that is not there
	case err != nil:
		return nil, fmt.Errorf("read tower.yml: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("read %s: %w", towerYML, err)
	}
	p.addYAML("", &document)
	for variable, name := range map[string]string{
		"MICRONAUT_APPLICATION_NAME":         "micronaut.application.name",
		"TOWER_CRYPTO_SECRETKEY":             "tower.crypto.secretKey",
		"TOWER_SECRET_ROTATION_ENABLED":      "tower.secret-rotation.enabled",
		"TOWER_SECRET_ROTATION_PREVIOUS_KEY": "tower.secret-rotation.previous-key",
		"TOWER_SECRET_ROTATION_CHUNK_SIZE":   "tower.secret-rotation.chunk-size",
		"TOWER_DB_URL":                       "datasources.default.url",
		"TOWER_DB_USER":                      "datasources.default.username",
		"TOWER_DB_PASSWORD":                  "datasources.default.password",
	} {
		p.set(name, env(variable))
	}
	return p, nil
}

// addYAML adds the scalars below a node, as they are written: a key of digits stays text.
func (p properties) addYAML(prefix string, node *yaml.Node) {
	switch node.Kind {
	case yaml.DocumentNode:
		p.addYAML(prefix, node.Content[0])
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			p.addYAML(prefix+"."+node.Content[i].Value, node.Content[i+1])
		}
	case yaml.AliasNode:
		p.addYAML(prefix, node.Alias)
	case yaml.ScalarNode:
		p.set(strings.TrimPrefix(prefix, "."), node.Value)
	default: // nothing that is read is a list
	}
}

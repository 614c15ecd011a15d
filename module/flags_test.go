package main

import (
	"bytes"
	"encoding/json"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheBinarySaysItsVersionAndItsPlatform(t *testing.T) {
	t.Cleanup(func(before string) func() { return func() { version = before } }(version))
	for linked, want := range map[string]string{"1.0.0+abc-dirty": "1.0.0 (commit abc-dirty, ", "dev": "dev (commit unknown, "} {
		version = linked
		var out bytes.Buffer
		told, code := flags([]string{"library/seqera_crypto_rotation_info", "--version"}, &out)
		assert.True(t, told)
		assert.Zero(t, code)
		assert.Equal(t, "seqera_crypto_rotation_info "+want+runtime.Version()+", "+runtime.GOOS+"/"+runtime.GOARCH+")\n", out.String())
	}
}

func TestTheSchemaIsThatOfTheNameWhateverThePlatform(t *testing.T) {
	for _, name := range []string{"seqera_crypto_rotation", "seqera_crypto_rotation_info"} {
		var out bytes.Buffer
		told, code := flags([]string{"/tmp/" + name + "_" + runtime.GOOS + "_" + runtime.GOARCH, "--schema"}, &out)
		assert.True(t, told)
		assert.Zero(t, code)
		var schema map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &schema))
		assert.Equal(t, name, schema["title"])
		_, writes := schema["properties"].(map[string]any)["state"]
		assert.Equal(t, name == "seqera_crypto_rotation", writes)
	}
}

func TestWhatAnsiblePassesIsNoQuestion(t *testing.T) {
	for _, args := range [][]string{{"m"}, {"m", "/tmp/args"}, {"m", "--version", "x"}} {
		var out bytes.Buffer
		told, _ := flags(args, &out)
		assert.False(t, told)
		assert.Empty(t, out.String())
	}
}

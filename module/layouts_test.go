package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// The documents of module/omnibus/testdata: the installer's shape in some twenty layouts, before and after step 2.1.
const (
	retiring = "InventedRetiringKey0123456789"
	coming   = "InventedComingKey9876543210abcdef"
)

func TestEachLayoutIsPreparedAsThePageSaysAndGivenBackByteForByteButForTheKey(t *testing.T) {
	goldens, err := filepath.Glob("omnibus/testdata/*.prepared.json")
	require.NoError(t, err)
	require.Greater(t, len(goldens), 10)
	for _, golden := range goldens {
		layout := strings.TrimSuffix(filepath.Base(golden), ".prepared.json")
		t.Run(layout, func(t *testing.T) {
			before := file(t, layout+".json")
			server := moto.Start(t)
			server.Put(t, name, before)
			server.Put(t, "/config/tower-example/tower/crypto/secretKey", retiring)
			example := args{"app_name": "tower-example", "new_secret": coming, "allow_advanced_tier": "yes"} // three of them outgrow 4096 bytes
			a := call(t, server, "seqera_crypto_rotation", prepare(example))
			require.False(t, a.Failed, a.Msg)
			assert.NotContains(t, a.text, retiring)
			assert.NotContains(t, a.text, coming)
			assert.Equal(t, file(t, layout+".prepared.json"), value(t, server, name))

			a = call(t, server, "seqera_crypto_rotation", finalize(args{"app_name": "tower-example", "proof": proofFor(t, a, coming)}))
			require.False(t, a.Failed, a.Msg)
			assert.Equal(t, "finalized", a.Phase)
			old := retiring
			if layout == "unicode-escapes" {
				old = `\u0049nventedRetiringKey0123456789`
			}
			assert.Equal(t, strings.Replace(before, old, coming, 1), value(t, server, name))

			all := server.All(t)
			a = call(t, server, "seqera_crypto_rotation", finalize(args{"app_name": "tower-example"}))
			require.False(t, a.Failed, a.Msg)
			assert.False(t, a.Changed, "a second run changes nothing")
			assert.Equal(t, all, server.All(t))
		})
	}
}

// proofFor is a proof as rotating makes it on the VM, where the new key is in use.
func proofFor(t *testing.T, prepared answer, newKey string) map[string]any {
	t.Helper()
	return proofOf(t, "tower-example", prepared, newKey, proof.Complete)
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("omnibus", "testdata", name))
	require.NoError(t, err)
	return string(text)
}

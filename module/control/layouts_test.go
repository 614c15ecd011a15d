package control

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/fakessm"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// The documents of module/omnibus/testdata: the installer's shape in some twenty layouts, before and after step 2.1.
const (
	retiring = "InventedRetiringKey0123456789"
	coming   = "InventedComingKey9876543210abcdef"
)

func TestEachLayoutIsPreparedAsThePageSaysAndGivenBackByteForByteButForTheKey(t *testing.T) {
	goldens, err := filepath.Glob("../omnibus/testdata/*.prepared.json")
	require.NoError(t, err)
	require.Greater(t, len(goldens), 10)
	for _, golden := range goldens {
		layout := strings.TrimSuffix(filepath.Base(golden), ".prepared.json")
		t.Run(layout, func(t *testing.T) {
			before := file(t, layout+".json")
			server := fakessm.New()
			server.Put(name, before)
			server.Put("/config/tower-example/tower/crypto/secretKey", retiring)
			example := args{"app_name": "tower-example", "new_secret": coming, "allow_advanced_tier": "yes"} // three of them outgrow 4096 bytes
			out, f := ask(t.Context(), t, server, prepare(example))
			require.Nil(t, f)
			text, err := json.Marshal(out)
			require.NoError(t, err)
			assert.NotContains(t, string(text), retiring)
			assert.NotContains(t, string(text), coming)
			assert.Equal(t, file(t, layout+".prepared.json"), server.All()[name])

			out, f = ask(t.Context(), t, server, finalize(args{"app_name": "tower-example", "proof": proofFor(t, out)}))
			require.Nil(t, f)
			assert.Equal(t, rotation.PhaseFinalized, out.Phase)
			old := retiring
			if layout == "unicode-escapes" {
				old = `\u0049nventedRetiringKey0123456789`
			}
			assert.Equal(t, strings.Replace(before, old, coming, 1), server.All()[name])

			all := fmt.Sprint(server.All())
			out, f = ask(t.Context(), t, server, finalize(args{"app_name": "tower-example"}))
			require.Nil(t, f)
			assert.False(t, out.Changed, "a second run changes nothing")
			assert.Equal(t, all, fmt.Sprint(server.All()))
		})
	}
}

// proofFor is a proof as rotating makes it on the VM, where the new key is in use.
func proofFor(t *testing.T, prepared Result) map[string]any {
	t.Helper()
	made := proof.Proof{
		Format: proof.Format, App: "tower-example", RotationID: prepared.RotationID, Previous: prepared.Fingerprints.Previous, Current: prepared.Fingerprints.Current,
		Verify: []proof.Verify{proof.VerifyDatabase}, Total: 3, Proved: 3, MadeAt: time.Now().UTC(),
	}
	made.Sign(secret.NewFingerprinter("tower-example", 1), secret.New(coming))
	text, err := json.Marshal(made)
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	return document
}

func file(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "omnibus", "testdata", name))
	require.NoError(t, err)
	return string(text)
}

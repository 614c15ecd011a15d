package proof

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func FuzzAProofThatNobodySignedDoesNotFit(f *testing.F) {
	for _, text := range []string{`{}`, `{"format": 1, "kind": "untouched", "total": "3"}`, `{"format": "1", "rotation_id": "r1", "verify": ["database"], "mac": "00", "made_at": "2026-01-02T03:04:05Z"}`, `{"format": 1.5}`} {
		f.Add([]byte(text))
	}
	prints := secret.NewFingerprinter("tower", 1)
	f.Fuzz(func(t *testing.T, text []byte) {
		var document map[string]any
		if json.Unmarshal(text, &document) != nil || len(document) == 0 {
			t.Skip("not a dict")
		}
		proof, err := Parse(document)
		if err != nil {
			var told *fault.Fault
			require.ErrorAs(t, err, &told)
			return
		}
		if proof != nil {
			assert.NotEqual(t, proof.MAC, proof.mac(prints, secret.New("invented")))
		}
	})
}

package rotation

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Only a new key is held to letters and digits. The key in use may hold anything that somebody once typed, and comes back from
// escrow as it was.
func TestKeysInUse_mayHoldSymbols(t *testing.T) {
	for _, odd := range []string{"test_crypto_secret_32_chars_long", `p"a\s{s}: $w0rd$ <&> é`} {
		inJSON, err := json.Marshal(odd)
		require.NoError(t, err)
		s := idle()
		s.put("/omnibus", strings.Replace(document, `"`+oldKey+`"`, string(inJSON), 1))
		s.put(names().Current, odd)
		s.run(t, desiredFor(StatePrepared))
		assert.Equal(t, odd, s.get(names().Previous).Value.Reveal())

		end := desiredFor(StateFinalized)
		end.Proof.Previous = printOf(odd)
		end.Proof.Sign(quick{}, secret.New(newKeyed))
		s.run(t, end)

		back := desiredFor(StatePrepared)
		back.RotationID, back.FromEscrow = "r2", printOf(odd)
		s.run(t, back)
		assert.Equal(t, odd, s.get(names().Current).Value.Reveal())
		var entries map[string]struct{ Value string }
		require.NoError(t, json.Unmarshal([]byte(s.get("/omnibus").Value.Reveal()), &entries))
		assert.Equal(t, odd, entries[EntryCurrent].Value)
	}
}

package info

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/fixture"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func TestAKeyOfEscrowIsFoundByItsFingerprintOrByOneBackup(t *testing.T) {
	one, other := secret.Fingerprint("0000000000000001"), secret.Fingerprint("0000000000000002")
	inventory := custody.Inventory{Escrow: []custody.EscrowedKey{
		{Fingerprint: one, Held: true, Key: secret.New(fixture.OldKey), Backups: []string{"first", "both"}},
		{Fingerprint: other, Held: true, Key: secret.New(fixture.NewKey), BackupRefs: []custody.BackupRef{{Backups: []string{"later", "both"}}}},
		{Fingerprint: "0000000000000003", BackupRefs: []custody.BackupRef{{Backups: []string{"of a key that is gone"}}}},
	}}
	for which, want := range map[string]secret.Fingerprint{string(one): one, "backup:first": one, "backup:later": other} {
		found, err := findKey(inventory, which)
		require.NoError(t, err)
		assert.Equal(t, want, found.Fingerprint, which)
	}
	for which, words := range map[string]string{
		"0000000000000009": "no key", "0000000000000003": "no key", "backup:none": "tied to the backup", "backup:both": "tied to 2 keys", "backup:of a key that is gone": "tied to the backup",
	} {
		_, err := findKey(inventory, which)
		var f *fault.Fault
		require.ErrorAs(t, err, &f)
		assert.Equal(t, fault.CodeEscrowMissing, f.Code)
		assert.ErrorContains(t, err, words, which)
	}
}

func TestLedger_showsNoKeyInAChunkSize(t *testing.T) {
	key := fixture.OldKey
	inventory := custody.Inventory{Ledger: []custody.Entry{{RotationID: "r1", ChunkSize: &custody.ChunkSize{Standalone: &key}}}}
	text, err := json.Marshal(ledger(inventory))
	require.NoError(t, err)
	assert.NotContains(t, string(text), fixture.OldKey)
	assert.Equal(t, fixture.OldKey, *inventory.Ledger[0].ChunkSize.Standalone)
}

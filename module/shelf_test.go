package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func TestAKeyOfEscrowIsFoundByItsFingerprintOrByOneBackup(t *testing.T) {
	one, other := secret.Fingerprint("0000000000000001"), secret.Fingerprint("0000000000000002")
	shelf := custody.Shelf{Escrow: []custody.Deposit{
		{Fingerprint: one, Held: true, Key: secret.New(oldKey), Backups: []string{"first", "both"}},
		{Fingerprint: other, Held: true, Key: secret.New(newKey), Ties: []custody.Tie{{Backups: []string{"later", "both"}}}},
		{Fingerprint: "0000000000000003", Ties: []custody.Tie{{Backups: []string{"of a key that is gone"}}}},
	}}
	for which, want := range map[string]secret.Fingerprint{string(one): one, "backup:first": one, "backup:later": other} {
		found, err := take(shelf, which)
		require.NoError(t, err)
		assert.Equal(t, want, found.Fingerprint, which)
	}
	for which, words := range map[string]string{
		"0000000000000009": "no key", "0000000000000003": "no key", "backup:none": "tied to the backup", "backup:both": "tied to 2 keys", "backup:of a key that is gone": "tied to the backup",
	} {
		_, err := take(shelf, which)
		var fault *rotation.Fault
		require.ErrorAs(t, err, &fault)
		assert.Equal(t, rotation.CodeEscrowMissing, fault.Code)
		assert.ErrorContains(t, err, words, which)
	}
}

func TestAKeyOfEscrowIsTriedOnADatabaseThatIsNamed(t *testing.T) {
	server := installation(t)
	asked := args{"app_name": "tower-template", "gather": "records", "key_from_escrow": "backup:none", "region": "us-east-1", "access_key": "testing", "secret_key": "testing"}
	a := call(t, server, "seqera_crypto_rotation_info", asked)
	assert.Equal(t, "invalid_options", a.ErrorCode, a.Msg)
	asked["database"] = args{"host": "127.0.0.1", "port": 1}
	a = call(t, server, "seqera_crypto_rotation_info", asked)
	assert.Equal(t, "escrow_missing", a.ErrorCode, a.Msg)
}

func TestLedger_showsNoKeyInAChunkSize(t *testing.T) {
	key := oldKey
	shelf := custody.Shelf{Ledger: []custody.Entry{{RotationID: "r1", ChunkSize: &custody.ChunkSize{Standalone: &key}}}}
	text, err := json.Marshal(ledger(shelf))
	require.NoError(t, err)
	assert.NotContains(t, string(text), oldKey)
	assert.Equal(t, oldKey, *shelf.Ledger[0].ChunkSize.Standalone)
}

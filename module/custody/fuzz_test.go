package custody

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func FuzzAddReadsADocumentOrSaysThatItIsDamaged(f *testing.F) {
	const prefix = "/custody/tower"
	for _, document := range [][2]string{
		{"escrow/0011223344556677", `{"format":1,"body":{"app_name":"tower","fingerprint":"0011223344556677","key":"invented","origin":"made","rotation_id":"r1"}}`},
		{"escrow/0011223344556677/backups/r1.1", `{"format":1,"body":{"fingerprint":"0011223344556677","backups":["b"]}}`},
		{"ledger/r1", `{"format":1,"body":{"rotation_id":"r1","stage":"open","chunk_size":{}}}`},
		{"lock/7", `{"format":1,"body":{"holder":{"pid":1}}}`},
		{"lock/07", `{}`},
		{"escrow/x", `{"format":2}`},
		{"other", ``},
	} {
		f.Add(document[0], document[1])
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		var inventory Inventory
		err := inventory.Add(prefix, prefix+"/"+name, secret.New(text), 1, time.Time{})
		if err != nil {
			require.ErrorIs(t, err, ErrDamaged)
			return
		}
		for _, held := range inventory.Escrow {
			if !held.Held {
				continue
			}
			var again Inventory
			require.NoError(t, again.Add(prefix, EscrowName(prefix, held.Fingerprint), Encode(held), 1, time.Time{}))
			found, ok := again.Find(held.Fingerprint)
			require.True(t, ok)
			assert.True(t, found.Key.Equal(held.Key), "what is written into escrow is read from it")
		}
		assert.NoError(t, errors.Join(inventory.Replace(prefix, prefix+"/"+name, false, secret.Secret{}, 0)))
		assert.NotContains(t, fmt.Sprintf("%+v", inventory.Escrow), "invented")
	})
}

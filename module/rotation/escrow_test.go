package rotation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// A key that nobody told us of, in a parameter that a rotation removes or overwrites, is in escrow first.
func TestEscrow_everyKey(t *testing.T) {
	third := custody.EscrowName("/custody/app", printOf(thirdKey))
	legacy := names().LegacyPrevious
	previous := names().Previous
	finish := func(t *testing.T, s store) {
		t.Helper()
		s.run(t, wishFor(StatePrepared))
		s.run(t, wishFor(StateFinalized))
	}
	for name, test := range map[string]struct {
		where string
		from  func(*testing.T) store
		run   func(*testing.T, store)
	}{
		"the legacy name, finalized": {legacy, func(*testing.T) store { return idle() }, finish},
		"the legacy name, aborted": {legacy, func(*testing.T) store { return idle() }, func(t *testing.T, s store) {
			t.Helper()
			s.run(t, wishFor(StatePrepared))
			s.run(t, abortWish(spared(t)))
		}},
		"the legacy name, finalized again":  {legacy, finalized, func(t *testing.T, s store) { t.Helper(); s.run(t, wishFor(StateFinalized)) }},
		"a leftover previous key, prepared": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) { t.Helper(); s.run(t, wishFor(StatePrepared)) }},
		"a leftover previous key, captured": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) { t.Helper(); s.run(t, captureWish()) }},
		"a leftover previous key, standalone: delete": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) {
			t.Helper()
			wish := wishFor(StatePrepared)
			wish.Standalone = StandaloneDelete
			s.run(t, wish)
			s.put(previous, oldKey) // terraform
		}},
		"a foreign previous key, finalized":        {previous, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, wishFor(StateFinalized)) }},
		"a foreign previous key, aborted":          {previous, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, abortWish(spared(t))) }},
		"a foreign standalone key, prepared again": {names().Current, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, wishFor(StatePrepared)) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.from(t)
			s.put(test.where, thirdKey)
			test.run(t, s)
			assert.Contains(t, s.holding(thirdKey), third)
			shelf := s.world(t).Custody
			deposit, ok := shelf.Find(printOf(thirdKey))
			require.True(t, ok)
			assert.Equal(t, [2]string{test.where, "captured"}, [2]string{deposit.Source, string(deposit.Origin)})
		})
	}
}

// Escrow that somebody emptied during a rotation is filled again before the other copies go.
func TestEscrow_emptiedMeanwhile(t *testing.T) {
	s := prepared(t)
	for _, key := range []string{oldKey, newKeyed} {
		delete(s, custody.EscrowName("/custody/app", printOf(key)))
	}
	s.run(t, wishFor(StateFinalized))
	shelf := s.world(t).Custody
	deposit, ok := shelf.Find(printOf(oldKey))
	require.True(t, ok)
	assert.Equal(t, []string{"snap-1"}, deposit.Backups)
	_, ok = shelf.Find(printOf(newKeyed))
	assert.True(t, ok)
}

// A text that contains a key is no copy of it.
func TestCheck_keysAreParsed(t *testing.T) {
	s := idle()
	s.put(names().Current, "tower")
	s.put("/omnibus", `{"TOWER_CRYPTO_SECRET": {"ssm_key": "/config/app/tower/crypto/secretKey", "value": "tower", "description": "the tower of"}}`)
	lose := Plan{Steps: []Step{{Action: ActDeleteCurrent, Write: remove(names().Current)}}}
	require.ErrorContains(t, lose.Check(s.world(t), wishFor(StatePrepared)), "not in escrow")
	s.run(t, wishFor(StatePrepared))
	again := Plan{Steps: []Step{{Action: ActEscrowFound, Write: &Write{Kind: Put, Name: custody.EscrowName("/custody/app", printOf("tower")), Value: secret.New("{}")}}}}
	require.ErrorContains(t, again.Check(s.world(t), wishFor(StatePrepared)), "never overwritten")
}

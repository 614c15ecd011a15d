package rotation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// An unknown key in a parameter that a rotation removes or overwrites is put into escrow first.
func TestEscrow_everyKey(t *testing.T) {
	third := custody.EscrowName("/custody/app", printOf(thirdKey))
	legacy := names().LegacyPrevious
	previous := names().Previous
	finish := func(t *testing.T, s store) {
		t.Helper()
		s.run(t, desiredFor(StatePrepared))
		s.run(t, desiredFor(StateFinalized))
	}
	for name, test := range map[string]struct {
		where string
		from  func(*testing.T) store
		run   func(*testing.T, store)
	}{
		"the legacy name, finalized": {legacy, func(*testing.T) store { return idle() }, finish},
		"the legacy name, aborted": {legacy, func(*testing.T) store { return idle() }, func(t *testing.T, s store) {
			t.Helper()
			s.run(t, desiredFor(StatePrepared))
			s.run(t, toAbort(spared(t)))
		}},
		"the legacy name, finalized again":  {legacy, finalized, func(t *testing.T, s store) { t.Helper(); s.run(t, desiredFor(StateFinalized)) }},
		"a leftover previous key, prepared": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) { t.Helper(); s.run(t, desiredFor(StatePrepared)) }},
		"a leftover previous key, captured": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) { t.Helper(); s.run(t, toCapture()) }},
		"a leftover previous key, standalone: delete": {previous, func(*testing.T) store { return idle() }, func(t *testing.T, s store) {
			t.Helper()
			desired := desiredFor(StatePrepared)
			desired.Standalone = StandaloneDelete
			s.run(t, desired)
			s.put(previous, oldKey) // terraform
		}},
		"a foreign previous key, finalized":        {previous, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, desiredFor(StateFinalized)) }},
		"a foreign previous key, aborted":          {previous, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, toAbort(spared(t))) }},
		"a foreign standalone key, prepared again": {names().Current, prepared, func(t *testing.T, s store) { t.Helper(); s.run(t, desiredFor(StatePrepared)) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.from(t)
			s.put(test.where, thirdKey)
			test.run(t, s)
			assert.Contains(t, s.holding(thirdKey), third)
			inventory := s.observed(t).Custody
			kept, ok := inventory.Find(printOf(thirdKey))
			require.True(t, ok)
			assert.Equal(t, [2]string{test.where, "captured"}, [2]string{kept.Source, string(kept.Origin)})
		})
	}
}

// Escrow that somebody emptied during a rotation is filled again before the other copies go.
func TestEscrow_emptiedMeanwhile(t *testing.T) {
	s := prepared(t)
	for _, key := range []string{oldKey, newKeyed} {
		delete(s, custody.EscrowName("/custody/app", printOf(key)))
	}
	s.run(t, desiredFor(StateFinalized))
	inventory := s.observed(t).Custody
	kept, ok := inventory.Find(printOf(oldKey))
	require.True(t, ok)
	assert.Equal(t, []string{"snap-1"}, kept.Backups)
	_, ok = inventory.Find(printOf(newKeyed))
	assert.True(t, ok)
}

// A text that contains a key is no copy of it.
func TestCheck_keysAreParsed(t *testing.T) {
	s := idle()
	s.put(names().Current, "tower")
	s.put("/omnibus", `{"TOWER_CRYPTO_SECRET": {"ssm_key": "/config/app/tower/crypto/secretKey", "value": "tower", "description": "the tower of"}}`)
	lose := Plan{Steps: []Step{{Action: ActDeleteCurrent, Write: remove(idle().get(names().Current))}}}
	require.ErrorContains(t, lose.Check(s.observed(t), desiredFor(StatePrepared)), "not in escrow")
	s.run(t, desiredFor(StatePrepared))
	again := Plan{Steps: []Step{{Action: ActEscrowFound, Write: &Write{Kind: Put, Name: custody.EscrowName("/custody/app", printOf("tower")), Value: secret.New("{}")}}}}
	require.ErrorContains(t, again.Check(s.observed(t), desiredFor(StatePrepared)), "never overwritten")
}

func TestARunThatNamesNoRotationGoesOnWithTheKeyThatACutOffRunMade(t *testing.T) {
	days := 1
	byAge := desiredFor(StatePrepared)
	byAge.RotationID, byAge.NewKey, byAge.MaxAgeDays = "", secret.Secret{}, &days
	byAge.MadeID, byAge.MadeKey = "first", secret.New(newKeyed)
	s := idle()
	s.runUntil(t, byAge, ActEscrowNew)

	again := byAge
	again.MadeID, again.MadeKey = "second", secret.New("another new key of forty characters 1234")
	late := s.observed(t)
	late.Now = noon.Add(25 * time.Hour)
	plan, err := Make(late, again, quick{})
	require.NoError(t, err)
	assert.Equal(t, "second", plan.RotationID, "the age of the first key counts from its escrow, so it would soon be due again")
	plan = s.run(t, again)
	assert.Equal(t, "first", plan.RotationID)
	assert.Equal(t, newKeyed, s.get(names().Current).Value.Reveal(), "and not another key")
	assert.Empty(t, s.holding("another new key"))
}

package rotation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// spared is what a look found in which no record was under the new key.
func spared(t *testing.T) *Proof {
	t.Helper()
	wish := wishFor(StateRotating)
	w := prepared(t).world(t)
	w.Platform, w.Records = stopped(), &Records{Exact: true, Database: "db", Total: 3, Previous: 3}
	proof, why := Untouched(w, wish, quick{})
	require.NotNil(t, proof, why)
	return proof
}

func stopped() *Platform {
	return &Platform{Project: "p", Services: []Service{{Name: "backend", Role: RoleBackend, Container: "b", State: "exited"}, {Name: "cron", Role: RoleCron, Container: "c", State: "created"}}}
}

func abortWish(proof *Proof) Wish {
	wish := wishFor(StateAborted)
	wish.Proof = proof
	return wish
}

func TestAbortedGivesBackWhatWasThereWhereverItIsCut(t *testing.T) {
	before := idle()
	proof := spared(t)
	whole, err := Make(prepared(t).world(t), abortWish(proof), quick{})
	require.NoError(t, err)
	assert.Equal(t, PhaseAborted, whole.Phase)
	assert.Greater(t, len(whole.Steps), 6)
	for cut := range len(whole.Steps) + 1 {
		s := prepared(t)
		plan, err := Make(s.world(t), abortWish(proof), quick{})
		require.NoError(t, err)
		for _, step := range plan.Steps[:cut] {
			s.carry(t, step)
			needsNoKeyThatIsGone(t, s)
		}
		wish := abortWish(proof)
		if cut > 2 {
			wish.Proof = nil // once it is in the ledger it need not be handed on again
		}
		again, err := Make(s.world(t), wish, quick{})
		require.NoError(t, err, "cut after %d steps", cut)
		for _, step := range again.Steps {
			s.carry(t, step)
			needsNoKeyThatIsGone(t, s)
		}
		for _, name := range []string{names().Omnibus, names().Current} {
			assert.Equal(t, before.get(name).Value.Reveal(), s.get(name).Value.Reveal(), "cut after %d steps: %s", cut, name)
		}
		for _, name := range []string{names().Previous, names().Switch, names().ChunkSize} {
			assert.False(t, s.get(name).Exists, "cut after %d steps: %s", cut, name)
		}
		last, err := Make(s.world(t), abortWish(nil), quick{})
		require.NoError(t, err)
		assert.False(t, last.Writes())
		assert.Equal(t, PhaseAborted, last.Phase)
		redone, err := Make(s.world(t), wishFor(StatePrepared), quick{})
		require.NoError(t, err)
		assert.False(t, redone.Writes(), "an aborted rotation is not done again under its name")
		assert.Equal(t, PhaseAborted, redone.Phase)
		_, err = Make(s.world(t), wishFor(StateFinalized), quick{})
		require.NoError(t, err)
	}
}

// needsNoKeyThatIsGone: promise 1, for the keys of these tests.
func needsNoKeyThatIsGone(t *testing.T, s store) {
	t.Helper()
	for _, key := range []string{oldKey, newKeyed} {
		require.NotEmpty(t, s.holding(key), "key %.3s is nowhere", key)
	}
	if s.get(names().Switch).Exists {
		require.True(t, s.get(names().Previous).Exists, "the switch is on without its key")
	}
}

func TestAbortedIsRefusedWithoutAFittingProof(t *testing.T) {
	key := secret.New(oldKey)
	for name, test := range map[string]struct {
		proof func(*Proof) *Proof
		code  Code
		words string
	}{
		"none":                      {func(*Proof) *Proof { return nil }, CodeProofMissing, "no proof"},
		"of completion":             {func(*Proof) *Proof { return proofOf() }, CodeProofMismatch, "every record"},
		"of another rotation":       {func(p *Proof) *Proof { p.RotationID = "r0"; p.Sign(quick{}, key); return p }, CodeProofMismatch, `"r0"`},
		"edited":                    {func(p *Proof) *Proof { p.Proved++; return p }, CodeProofMismatch, "mac"},
		"made with the new key":     {func(p *Proof) *Proof { p.Sign(quick{}, secret.New(newKeyed)); return p }, CodeProofMismatch, "mac"},
		"of more than a quarter of": {func(p *Proof) *Proof { p.MadeAt = noon.Add(-16 * time.Minute); p.Sign(quick{}, key); return p }, CodeProofTooOld, "longer than 15m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepared(t)
			_, err := Make(s.world(t), abortWish(test.proof(spared(t))), quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, codeOf(err))
			assert.ErrorContains(t, err, test.words)
		})
	}
	entry, _ := func() (custody.Entry, bool) { w := prepared(t).world(t); return w.Custody.Entry("r1") }()
	assert.ErrorContains(t, spared(t).fits(noon, wishFor(StateFinalized), entry, quick{}, secret.New(newKeyed)), "not that every one is", "nor does it finalize")
}

func TestARotationThatIsProvedOrFinishedIsNotAborted(t *testing.T) {
	proved := prepared(t)
	proved.runUntil(t, wishFor(StateFinalized), ActRecordProof)
	for name, s := range map[string]store{"proved": proved, "finished": finalized(t)} {
		t.Run(name, func(t *testing.T) {
			_, err := Make(s.world(t), abortWish(spared(t)), quick{})
			require.Equal(t, CodeTooLateToAbort, codeOf(err))
			assert.ErrorContains(t, err, "new_secret_from_escrow: "+string(printOf(oldKey)), "and says the way back")
		})
	}
}

func TestARotationThatNeverTouchedAParameterIsAbortedWithoutAProof(t *testing.T) {
	s := idle()
	plan, err := Make(s.world(t), wishFor(StatePrepared), quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break
		}
		s.carry(t, step)
	}
	plan, err = Make(s.world(t), abortWish(nil), quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		assert.NotContains(t, []Action{ActPutOmnibus, ActPutCurrent}, step.Action)
	}
	nothingToDo, err := Make(idle().world(t), abortWish(nil), quick{})
	require.NoError(t, err)
	assert.False(t, nothingToDo.Writes())
}

func TestNothingProvesThatRecordsAreUntouchedThatMayNotBe(t *testing.T) {
	before := &Before{Digest: "d", Total: 3}
	for name, test := range map[string]struct {
		records Records
		why     string
	}{
		"one under the new key":          {Records{Exact: true, Total: 3, Previous: 2, Current: 1}, "1 of 3 records are under the new key"},
		"not of one instant":             {Records{Total: 3, Previous: 3}, "changed while"},
		"none at all":                    {Records{Exact: true, Database: "db:3306/tower"}, "db:3306/tower has no encrypted records"},
		"few of those of before":         {Records{Exact: true, Total: 1, Previous: 1, Before: before}, "fewer than half of the 3"},
		"one of nobody, no baseline":     {Records{Exact: true, Total: 3, Previous: 2, Orphaned: 1}, "without the baseline"},
		"one of nobody, rewritten":       {Records{Exact: true, Total: 3, Previous: 2, Orphaned: 1, Rewritten: 1, Before: before}, "re-encrypted or created"},
		"unreadable, was not before":     {Records{Exact: true, Total: 3, Previous: 2, Unreadable: 1, Unread: []Unread{{ID: "a"}}, Before: before}, "1 unreadable"},
		"unreadable before, but changed": {Records{Exact: true, Total: 3, Previous: 2, Unreadable: 1, Unread: []Unread{{ID: "a", Before: true, Changed: true}}, Before: before}, "1 unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			w := prepared(t).world(t)
			w.Records = &test.records
			proof, why := Untouched(w, wishFor(StateRotating), quick{})
			assert.Nil(t, proof)
			assert.Contains(t, why, test.why)
		})
	}
	w := prepared(t).world(t)
	w.Platform, w.Records = stopped(), &Records{Exact: true, Total: 3, Previous: 1, Orphaned: 1, Unreadable: 1, Unread: []Unread{{ID: "a", Before: true}}, Before: before}
	proof, why := Untouched(w, wishFor(StateRotating), quick{})
	assert.NotNil(t, proof, why)
}

func TestAProofOverNoRecordsSparesNothing(t *testing.T) {
	proof := spared(t)
	proof.Total, proof.Proved = 0, 0
	proof.Sign(quick{}, secret.New(oldKey))
	_, err := Make(prepared(t).world(t), abortWish(proof), quick{})
	assert.Equal(t, CodeProofIncomplete, codeOf(err))
	assert.ErrorContains(t, err, "database db had none")
}

func TestARotationGoesBackToAKeyOfEscrowAndOnWithItAfterACut(t *testing.T) {
	s := prepared(t)
	finish, err := Make(s.world(t), wishFor(StateFinalized), quick{})
	require.NoError(t, err)
	for _, step := range finish.Steps {
		s.carry(t, step)
	}
	wish := wishFor(StatePrepared)
	wish.RotationID, wish.FromEscrow = "r2", printOf(oldKey)
	plan, err := Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break
		}
		s.carry(t, step)
	}
	wish.FromEscrow = "" // a run that goes on need not be told again
	plan, err = Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	assert.Equal(t, oldKey, s.get(names().Current).Value.Reveal())
	assert.Equal(t, newKeyed, s.get(names().Previous).Value.Reveal())

	wish = wishFor(StatePrepared)
	wish.RotationID, wish.FromEscrow = "r3", "0123456789abcdef"
	_, err = Make(idle().world(t), wish, quick{})
	assert.Equal(t, CodeEscrowMissing, codeOf(err))
	wish.RotationID, wish.FromEscrow = "", printOf(oldKey)
	same, err := Make(idle().world(t), wish, quick{})
	require.NoError(t, err)
	assert.False(t, same.Writes(), "the key is in use already")
}

func TestABackupThatTurnsUpLaterIsTiedToTheKeyThatWasRetired(t *testing.T) {
	s := prepared(t)
	finish, err := Make(s.world(t), wishFor(StateFinalized), quick{})
	require.NoError(t, err)
	for _, step := range finish.Steps {
		s.carry(t, step)
	}
	wish := wishFor(StatePrepared)
	wish.Backups = []string{"snap-1", "found in a drawer"}
	plan, err := Make(s.world(t), wish, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	w := s.world(t)
	retired, _ := w.Custody.Find(printOf(oldKey))
	assert.Empty(t, retired.Untied(wish.Backups))
	assert.Equal(t, []string{"found in a drawer"}, retired.Ties[0].Backups)
	again, err := Make(w, wish, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
	assert.Equal(t, PhaseFinalized, again.Phase)
}

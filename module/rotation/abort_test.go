package rotation

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// spared is what a look found in which no record was under the new key.
func spared(t *testing.T) *proof.Proof {
	t.Helper()
	o := prepared(t).observed(t)
	made, why := proof.ProveUntouched(proof.Observed{
		Now: noon, Parameters: o.SSM.Standalone(), Records: &proof.Records{Exact: true, Database: "db", Total: 3, Previous: 3},
		Platform: &proof.Platform{Services: []proof.Service{{Role: proof.RoleBackend, State: "exited"}, {Role: proof.RoleCron, State: "created"}}},
	}, proof.Asked{App: "app", RotationID: "r1"}, quick{})
	require.NotNil(t, made, why)
	return made
}

func toAbort(made *proof.Proof) Desired {
	desired := desiredFor(StateAborted)
	desired.Proof = made
	return desired
}

func TestAbortedGivesBackWhatWasThereWhereverItIsCut(t *testing.T) {
	before := idle()
	made := spared(t)
	whole, err := Make(prepared(t).observed(t), toAbort(made), quick{})
	require.NoError(t, err)
	assert.Equal(t, PhaseAborted, whole.Phase)
	assert.Greater(t, len(whole.Steps), 6)
	for cut := range len(whole.Steps) + 1 {
		s := prepared(t)
		plan, err := Make(s.observed(t), toAbort(made), quick{})
		require.NoError(t, err)
		for _, step := range plan.Steps[:cut] {
			s.carry(t, step)
			needsNoKeyThatIsGone(t, s)
		}
		desired := toAbort(made)
		if s.get(names().Current).Value.Reveal() == oldKey {
			desired.Proof = nil // nothing can be written under the new key any more
		}
		again, err := Make(s.observed(t), desired, quick{})
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
		last, err := Make(s.observed(t), toAbort(nil), quick{})
		require.NoError(t, err)
		assert.False(t, last.Writes())
		assert.Equal(t, PhaseAborted, last.Phase)
		redone, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
		require.NoError(t, err)
		assert.False(t, redone.Writes(), "an aborted rotation is not done again under its name")
		assert.Equal(t, PhaseAborted, redone.Phase)
		assert.Zero(t, redone.EndedAt, "no key changed")
		_, err = Make(s.observed(t), desiredFor(StateFinalized), quick{})
		require.NoError(t, err)
	}
}

// After an abort that was interrupted before the old key was back, somebody may have started the Platform, and it re-encrypts.
func TestAnInterruptedAbortNeedsANewProofOrReverses(t *testing.T) {
	cut := func() store {
		s := prepared(t)
		s.runUntil(t, toAbort(spared(t)), ActRecordProof)
		return s
	}
	_, err := Make(cut().observed(t), toAbort(nil), quick{})
	assert.Equal(t, fault.CodeProofMissing, fault.CodeOf(err))
	whole, err := Make(cut().observed(t), reversal(), quick{})
	require.NoError(t, err)
	for at := range len(whole.Steps) + 1 {
		s := cut()
		for _, step := range whole.Steps[:at] {
			s.carry(t, step)
			needsNoKeyThatIsGone(t, s)
		}
		assert.Equal(t, PhasePrepared, s.run(t, reversal()).Phase, "cut after %d steps", at)
		assert.Equal(t, []string{oldKey, newKeyed, "true"}, []string{s.get(names().Current).Value.Reveal(), s.get(names().Previous).Value.Reveal(), s.get(names().Switch).Value.Reveal()})
		end := desiredFor(StateFinalized)
		end.Proof = back()
		assert.Equal(t, PhaseAborted, s.run(t, end).Phase)
	}
}

// Once the abort has put the old key back, the Platform re-encrypts nothing, unless terraform writes the new key again: the omnibus
// still has it.
func TestAnAbortThatPutTheOldKeyBackNeedsNoNewProofUnlessTerraformRuns(t *testing.T) {
	s := prepared(t)
	s.runUntil(t, toAbort(spared(t)), ActPutCurrent)
	assert.Equal(t, oldKey, s.get(names().Current).Value.Reveal())
	applied := maps.Clone(s)
	applied.put(names().Current, newKeyed)
	_, err := Make(applied.observed(t), toAbort(nil), quick{})
	assert.Equal(t, fault.CodeProofMissing, fault.CodeOf(err))
	assert.Equal(t, PhaseAborted, s.run(t, toAbort(nil)).Phase)
}

// Both keys were in use, and then somebody put the old one back by hand, or the old omnibus.
func TestAnAbortNeedsAProofIfSomebodyElsePutTheOldKeyBack(t *testing.T) {
	s := idle()
	s.runUntil(t, desiredFor(StatePrepared), ActPutSwitch)
	s.put(names().Switch, "false")
	current := s.get(names().Current)
	current.Value, current.Modified = secret.New(oldKey), noon.Add(time.Hour)
	s[names().Current] = current
	_, err := Make(s.observed(t), toAbort(nil), quick{})
	assert.Equal(t, fault.CodeProofMissing, fault.CodeOf(err))

	s = prepared(t)
	s.put(names().Omnibus, document)
	_, err = Make(s.observed(t), reversal(), quick{})
	assert.Equal(t, fault.CodeInconsistent, fault.CodeOf(err), "the keys cannot change places")
}

func TestAnAbortNeedsNoProofBeforeTheNewKeyIsInUse(t *testing.T) {
	for _, off := range []bool{false, true} {
		begin := func() store {
			s := idle()
			if off {
				s.put(names().Switch, "false")
			}
			return s
		}
		whole, err := Make(begin().observed(t), desiredFor(StatePrepared), quick{})
		require.NoError(t, err)
		opened := slices.Index(actions(whole), ActOpenLedger)
		used := slices.Index(actions(whole), ActPutCurrent)
		require.Greater(t, used, opened)
		for cut := opened + 1; cut <= used; cut++ {
			for _, desired := range []Desired{toAbort(nil), reversal()} {
				s := begin()
				for _, step := range whole.Steps[:cut] {
					s.carry(t, step)
				}
				assert.Equal(t, PhaseAborted, s.run(t, desired).Phase, "cut after %s, reverse: %t", whole.Steps[cut-1].Action, desired.Reverse)
				assert.Equal(t, []string{oldKey, idle().get(names().Omnibus).Value.Reveal()}, []string{s.get(names().Current).Value.Reveal(), s.get(names().Omnibus).Value.Reveal()})
				assert.False(t, s.get(names().Previous).Exists)
			}
		}
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
		proof func(*proof.Proof) *proof.Proof
		code  fault.Code
		words string
	}{
		"none":                  {func(*proof.Proof) *proof.Proof { return nil }, fault.CodeProofMissing, "no proof"},
		"of completion":         {func(*proof.Proof) *proof.Proof { return proofOf() }, fault.CodeProofMismatch, "not a proof that no record"},
		"of another rotation":   {func(p *proof.Proof) *proof.Proof { p.RotationID = "r0"; p.Sign(quick{}, key); return p }, fault.CodeProofMismatch, `"r0"`},
		"edited":                {func(p *proof.Proof) *proof.Proof { p.Proved++; return p }, fault.CodeProofMismatch, "mac"},
		"made with the new key": {func(p *proof.Proof) *proof.Proof { p.Sign(quick{}, secret.New(newKeyed)); return p }, fault.CodeProofMismatch, "mac"},
		"of more than a quarter of": {func(p *proof.Proof) *proof.Proof {
			p.MadeAt = noon.Add(-16 * time.Minute)
			p.Sign(quick{}, key)
			return p
		}, fault.CodeProofTooOld, "more than 15m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepared(t)
			_, err := Make(s.observed(t), toAbort(test.proof(spared(t))), quick{})
			require.Error(t, err)
			assert.Equal(t, test.code, fault.CodeOf(err))
			assert.ErrorContains(t, err, test.words)
		})
	}
	entry, _ := func() (custody.Entry, bool) { o := prepared(t).observed(t); return o.Custody.Entry("r1") }()
	assert.ErrorContains(t, spared(t).ValidateComplete(noon, "app", entry, quick{}, secret.New(newKeyed)), "not that every one is", "nor does it finalize")
}

func TestARotationThatIsProvedOrFinishedIsNotAborted(t *testing.T) {
	proved := prepared(t)
	proved.runUntil(t, desiredFor(StateFinalized), ActRecordProof)
	for name, s := range map[string]store{"proved": proved, "finished": finalized(t)} {
		t.Run(name, func(t *testing.T) {
			_, err := Make(s.observed(t), toAbort(spared(t)), quick{})
			require.Equal(t, fault.CodeTooLateToAbort, fault.CodeOf(err))
			assert.ErrorContains(t, err, "new_secret_from_escrow: "+string(printOf(oldKey)), "and says the way back")
		})
	}
}

func TestARotationThatNeverTouchedAParameterIsAbortedWithoutAProof(t *testing.T) {
	s := idle()
	plan, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break
		}
		s.carry(t, step)
	}
	plan, err = Make(s.observed(t), toAbort(nil), quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		assert.NotContains(t, []Action{ActPutOmnibus, ActPutCurrent}, step.Action)
	}
	nothingToDo, err := Make(idle().observed(t), toAbort(nil), quick{})
	require.NoError(t, err)
	assert.False(t, nothingToDo.Writes())
}

func TestAProofOverNoRecordsSparesNothing(t *testing.T) {
	made := spared(t)
	made.Total, made.Proved = 0, 0
	made.Sign(quick{}, secret.New(oldKey))
	_, err := Make(prepared(t).observed(t), toAbort(made), quick{})
	assert.Equal(t, fault.CodeProofIncomplete, fault.CodeOf(err))
	assert.ErrorContains(t, err, "database db had none")
}

func TestARotationGoesBackToAKeyOfEscrowAndOnWithItAfterACut(t *testing.T) {
	s := prepared(t)
	finish, err := Make(s.observed(t), desiredFor(StateFinalized), quick{})
	require.NoError(t, err)
	for _, step := range finish.Steps {
		s.carry(t, step)
	}
	desired := desiredFor(StatePrepared)
	desired.RotationID, desired.FromEscrow = "r2", printOf(oldKey)
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		if step.Action == ActPutOmnibus {
			break
		}
		s.carry(t, step)
	}
	desired.FromEscrow = "" // a run that continues need not be told again
	plan, err = Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	assert.Equal(t, oldKey, s.get(names().Current).Value.Reveal())
	assert.Equal(t, newKeyed, s.get(names().Previous).Value.Reveal())

	desired = desiredFor(StatePrepared)
	desired.RotationID, desired.FromEscrow = "r3", "0123456789abcdef"
	_, err = Make(idle().observed(t), desired, quick{})
	assert.Equal(t, fault.CodeEscrowMissing, fault.CodeOf(err))
	desired.RotationID, desired.FromEscrow = "", printOf(oldKey)
	same, err := Make(idle().observed(t), desired, quick{})
	require.NoError(t, err)
	assert.False(t, same.Writes(), "the key is in use already")
}

func TestABackupThatTurnsUpLaterIsTiedToTheKeyThatWasRetired(t *testing.T) {
	s := prepared(t)
	finish, err := Make(s.observed(t), desiredFor(StateFinalized), quick{})
	require.NoError(t, err)
	for _, step := range finish.Steps {
		s.carry(t, step)
	}
	desired := desiredFor(StatePrepared)
	desired.Backups = []string{"snap-1", "found in a drawer"}
	plan, err := Make(s.observed(t), desired, quick{})
	require.NoError(t, err)
	for _, step := range plan.Steps {
		s.carry(t, step)
	}
	o := s.observed(t)
	retired, _ := o.Custody.Find(printOf(oldKey))
	assert.Empty(t, retired.Unlinked(desired.Backups))
	assert.Equal(t, []string{"found in a drawer"}, retired.BackupRefs[0].Backups)
	again, err := Make(o, desired, quick{})
	require.NoError(t, err)
	assert.False(t, again.Writes())
	assert.Equal(t, PhaseFinalized, again.Phase)
}

func TestUntouched_whileAContainerRan(t *testing.T) {
	made := spared(t)
	made.Stopped = false
	made.Sign(quick{}, secret.New(oldKey))
	_, err := Make(prepared(t).observed(t), toAbort(made), quick{})
	assert.Equal(t, fault.CodeProofMismatch, fault.CodeOf(err))
	assert.ErrorContains(t, err, "stopped")
}

package rotation

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func reversal() Desired {
	desired := desiredFor(StateAborted)
	desired.Reverse = true
	return desired
}

// back is the proof that every record is under the old key again.
func back() *proof.Proof {
	made := proofOf()
	made.Previous, made.Current = printOf(newKeyed), printOf(oldKey)
	made.Sign(quick{}, secret.New(oldKey))
	return made
}

func TestARotationIsReversedWhereverItIsCut(t *testing.T) {
	before := idle()
	whole, err := Make(prepared(t).observed(t), reversal(), quick{})
	require.NoError(t, err)
	assert.Equal(t, []Action{ActLock, ActRecordReversed, ActPutOmnibus, ActPutPrevious, ActPutCurrent, ActRecordPrepared, ActUnlock}, actions(whole))
	assert.Equal(t, PhasePrepared, whole.Phase)
	for cut := range len(whole.Steps) + 1 {
		s := prepared(t)
		for _, step := range whole.Steps[:cut] {
			s.carry(t, step)
			needsNoKeyThatIsGone(t, s)
		}
		if entry, _ := inventoryOf(t, s).Entry("r1"); entry.GoingBack() {
			for _, state := range []State{StatePrepared, StateFinalized} {
				_, err := Make(s.observed(t), desiredFor(state), quick{})
				assert.Equal(t, fault.CodeRotationOpen, fault.CodeOf(err), "%s, cut after %d steps: %v", state, cut, err)
				assert.ErrorContains(t, err, "state aborted again")
			}
		}
		s.run(t, reversal())
		again, err := Make(s.observed(t), reversal(), quick{})
		require.NoError(t, err)
		assert.False(t, again.Writes(), "cut after %d steps: a second run writes %v", cut, actions(again))
		assert.Equal(t, PhasePrepared, again.Phase)
		assert.Equal(t, []string{oldKey, newKeyed, "true"}, []string{s.get(names().Current).Value.Reveal(), s.get(names().Previous).Value.Reveal(), s.get(names().Switch).Value.Reveal()})
		resumed, err := Make(s.observed(t), desiredFor(StatePrepared), quick{})
		require.NoError(t, err)
		assert.False(t, resumed.Writes(), "prepared finds both keys in place")

		_, err = Make(s.observed(t), desiredFor(StateFinalized), quick{})
		assert.Equal(t, fault.CodeProofMismatch, fault.CodeOf(err), "a proof of the way there is none of the way back")
		end := desiredFor(StateFinalized)
		end.Proof = back()
		plan := s.run(t, end)
		needsNoKeyThatIsGone(t, s)
		assert.Equal(t, PhaseAborted, plan.Phase)
		for _, name := range []string{names().Omnibus, names().Current} {
			assert.Equal(t, before.get(name).Value.Reveal(), s.get(name).Value.Reveal(), "cut after %d steps: %s", cut, name)
		}
		for _, name := range []string{names().Previous, names().Switch, names().ChunkSize} {
			assert.False(t, s.get(name).Exists, "cut after %d steps: %s", cut, name)
		}
		entry, _ := inventoryOf(t, s).Entry("r1")
		assert.Equal(t, custody.StageAborted, entry.Stage)
		for _, state := range []State{StatePrepared, StateFinalized, StateAborted} {
			over, err := Make(s.observed(t), desiredFor(state), quick{})
			require.NoError(t, err)
			assert.False(t, over.Writes())
			assert.Equal(t, PhaseAborted, over.Phase)
		}
		next := desiredFor(StatePrepared)
		next.RotationID = "r2"
		assert.Equal(t, PhasePrepared, s.run(t, next).Phase, "the next rotation begins from the old key")
	}
}

func TestARotationIsReversedFromEveryStageThatStillHasBothKeys(t *testing.T) {
	proved := prepared(t)
	proved.runUntil(t, desiredFor(StateFinalized), ActRecordProof)
	assert.Equal(t, PhasePrepared, proved.run(t, reversal()).Phase)

	removed := prepared(t)
	removed.runUntil(t, desiredFor(StateFinalized), ActPutOmnibus)
	_, err := Make(removed.observed(t), reversal(), quick{})
	assert.Equal(t, fault.CodeTooLateToAbort, fault.CodeOf(err))

	// With the proof that no record is under the new key there is nothing to re-encrypt.
	direct := reversal()
	direct.Proof = spared(t)
	s := prepared(t)
	assert.Equal(t, PhaseAborted, s.run(t, direct).Phase)

	// Back once more is a rotation of its own: while this one goes back, it continues.
	s = prepared(t)
	s.run(t, reversal())
	end := desiredFor(StateFinalized)
	end.Proof = back()
	s.runUntil(t, end, ActRecordProof)
	plan := s.run(t, reversal())
	assert.False(t, plan.Writes())
	assert.Equal(t, PhaseRotated, plan.Phase)
}

func TestTheLedgerNamesTheBaselineThatWasTakenLastBeforeThePlatformReEncryptsBack(t *testing.T) {
	s := prepared(t)
	desired := reversal()
	desired.Baseline = &custody.Baseline{Digest: "first"}
	s.runUntil(t, desired, ActPutOmnibus)
	desired.Baseline = &custody.Baseline{Digest: "second"}
	assert.Equal(t, "second", s.run(t, desired).Baseline.Digest)

	desired.Baseline = &custody.Baseline{Digest: "third"}
	plan := s.run(t, desired)
	assert.False(t, plan.Writes())
	assert.Equal(t, "second", plan.Baseline.Digest, "the Platform may have begun to re-encrypt")
	s.put(names().Current, newKeyed) // somebody's hand
	assert.Equal(t, "second", s.run(t, desired).Baseline.Digest, "a parameter is written again")
}

func inventoryOf(t *testing.T, s store) *custody.Inventory {
	t.Helper()
	seen := s.observed(t)
	return &seen.Custody
}

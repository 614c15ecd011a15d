package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// abort plans the state aborted: the old key is back and the rotation's entries are gone. While a record is under the new key
// that would lose it, so a look at the records, signed with the old key, must have found none.
func abort(o Observed, desired Desired, v view) (Plan, error) {
	entry, answer, err := begun(o, v, desired.RotationID, "abort")
	if err != nil || answer != nil {
		return *answer, err
	}
	switch entry.Stage {
	case custody.StageAborted:
		return tidy(o, entry, desired, nothing(PhaseAborted, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was aborted on %s", entry.RotationID, day(entry.AbortedAt)), v))
	case custody.StageProved, custody.StageFinished:
		return Plan{}, fault.New(fault.CodeTooLateToAbort, fmt.Sprintf("Finish it (state finalized). To go back to the old key, rotate once more with new_secret_from_escrow: %s.", entry.Previous),
			"Rotation %s is %s: every record is under the new key %s, which the old one does not open.", entry.RotationID, entry.Stage, entry.Current)
	case custody.StageOpen, custody.StagePrepared, custody.StageAborting:
	}
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	return goBack(o, desired, v, entry)
}

// goBack checks that the parameters are as this rotation made them, and puts the steps in order.
func goBack(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	explained := v.whole() && entry.Previous == v.previous.fingerprint && entry.Current == v.current.fingerprint
	if !v.traced() {
		explained = v.current.fingerprint == entry.Previous
	}
	if !explained {
		return Plan{}, unexplained(o, v, entry, true)
	}
	old, held := o.Custody.Find(entry.Previous)
	if !held {
		return Plan{}, fault.New(fault.CodeCustodyDamaged, "Find out who deleted it (CloudTrail, DeleteParameter) and put it back before anything else.",
			"The old key %s of rotation %s is not in escrow.", entry.Previous, entry.RotationID)
	}
	// The new key was never in use: the omnibus did not change, and the standalone parameters change after it.
	unused := entry.Stage == custody.StageOpen && !v.traced() && v.standaloneCurrent.Equal(old.Key) && !o.SSM.Switch.Exists
	proved := entry.Stage == custody.StageAborting
	if !unused && !proved {
		if err := desired.Proof.ValidateUntouched(o.Now, desired.App, entry, v.prints, old.Key); err != nil {
			return Plan{}, err
		}
	}
	plan := Plan{
		Phase: PhaseAborted, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Previous, Escrow: custody.EscrowName(desired.Names.Custody, entry.Previous),
		Msg: fmt.Sprintf("Aborted rotation %s: key %s is in use again; %s is in escrow only.", entry.RotationID, entry.Previous, entry.Current),
	}
	begin, err := locked(o, desired, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	back, err := backSteps(o, v, entry, old.Key)
	if err != nil {
		return Plan{}, err
	}
	before, err := captures(o, desired, v, entry, nil, back)
	if err != nil {
		return Plan{}, err
	}
	entry.Lock = begin.number
	if !unused && !proved {
		step, err := recordProof(o, desired, &entry, custody.StageAborting, fmt.Sprintf("no record is under the new key; %d are under the old one", desired.Proof.Proved))
		if err != nil {
			return Plan{}, err
		}
		before = append(before, step)
	}
	entry.Stage, entry.AbortedAt = custody.StageAborted, o.Now
	record := ledgerPut(o, desired, entry, ActRecordAborted, "the old key is back, no trace of the rotation is left in the parameters")
	return plan.with(desired, begin, before, back, []Step{record})
}

// begun finds the rotation that is to be ended. Without one there is an answer, or an error.
func begun(o Observed, v view, rotationID, to string) (entry custody.Entry, answer *Plan, err error) {
	entry, known := o.Custody.Entry(rotationID)
	open, ok := o.Custody.Open()
	switch {
	case known:
		return entry, nil, nil
	case !o.Custody.Complete:
		return entry, &Plan{Needs: NeedInventory}, nil
	case ok && rotationID != "":
		return entry, &Plan{}, rotationOpen(open, rotationID)
	case !ok && !v.traced():
		plan := nothing(PhaseIdle, rotationID, o.SSM.Omnibus.Name, "there is no rotation to "+to, v)
		return entry, &plan, nil
	case !ok:
		return entry, &Plan{}, unexplained(o, v, entry, false)
	}
	return open, nil, nil
}

// backSteps undo prepared: the omnibus first, so that terraform, whenever it runs, does what is wanted; then the standalone
// key, so that nothing that starts from here on writes with the new one; then the switch, before its key.
func backSteps(o Observed, v view, entry custody.Entry, old secret.Secret) ([]Step, error) {
	var steps []Step
	if v.traced() {
		text, err := clearOmnibus(o, entry, &old)
		if err != nil {
			return nil, omnibusFault(o.SSM.Omnibus.Name, err)
		}
		steps = append(steps, putOmnibus(o, text, "the document as it was before the rotation, in one put"))
	}
	if !o.SSM.Current.Exists || !o.SSM.Current.Value.Equal(old) {
		steps = append(steps, Step{Action: ActPutCurrent, Target: o.SSM.Current.Name, Write: overwrite(o.SSM.Current, old, o.SSM.Omnibus.KeyID), Reason: "the Platform writes with the old key from its next start on"})
	}
	return append(steps, removeStandalones(o, entry)...), nil
}

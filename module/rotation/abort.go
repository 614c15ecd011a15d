package rotation

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// abort plans the state aborted: the old key is back and the rotation's entries are gone. While a record is under the new key
// that would lose it, so a look at the records, signed with the old key, must have found none; or, with Reverse, see reverse.
func abort(w World, wish Wish, p picture) (Plan, error) {
	entry, known := w.Custody.Entry(wish.RotationID)
	if !known && !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !known {
		open, ok := w.Custody.Open()
		switch {
		case ok && wish.RotationID != "":
			return Plan{}, rotationOpen(open, wish.RotationID)
		case !ok && !p.traced():
			return nothing(PhaseIdle, wish.RotationID, w.SSM.Omnibus.Name, "there is no rotation to abort", p), nil
		case !ok:
			return Plan{}, unexplained(w, p, entry, false)
		}
		entry = open
	}
	back := entry.Reversed() || wish.Reverse && wish.Proof == nil && p.whole() && entry.Stage != custody.StageAborting
	if back && !entry.Stage.Over() {
		switch {
		case entry.Reversed() && entry.Stage == custody.StageProved:
			return nothing(PhaseRotated, entry.RotationID, custodyTarget(entry), "rotation "+entry.RotationID+" is proved to be back; state finalized is next", p), nil
		case !w.Custody.Complete:
			return Plan{Needs: NeedShelf}, nil
		case !w.SSM.Described:
			return Plan{Needs: NeedDescription}, nil
		}
		return reverse(w, wish, p, entry)
	}
	switch entry.Stage {
	case custody.StageAborted:
		return tidy(w, entry, wish, nothing(PhaseAborted, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was aborted on %s", entry.RotationID, day(entry.AbortedAt)), p))
	case custody.StageProved, custody.StageFinished:
		return Plan{}, &fault.Fault{
			Code: fault.CodeTooLateToAbort, What: fmt.Sprintf("Rotation %s is %s: every record is under the new key %s, which the old one does not open.", entry.RotationID, entry.Stage, entry.Current),
			Next: fmt.Sprintf("Finish it (state finalized), or go back with reverse: true while both keys are in the parameters. To go back later to the old key, rotate once more with new_secret_from_escrow: %s.", entry.Previous),
		}
	case custody.StageOpen, custody.StagePrepared, custody.StageAborting:
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	return goBack(w, wish, p, entry)
}

// goBack checks that the world is one that this rotation made, and puts the steps in order.
func goBack(w World, wish Wish, p picture, entry custody.Entry) (Plan, error) {
	explained := p.whole() && entry.Previous == p.previous.print && entry.Current == p.current.print
	if !p.traced() {
		explained = p.current.print == entry.Previous
	}
	if !explained {
		return Plan{}, unexplained(w, p, entry, true)
	}
	old, held := w.Custody.Find(entry.Previous)
	if !held {
		return Plan{}, &fault.Fault{
			Code: fault.CodeCustodyDamaged, What: fmt.Sprintf("The old key %s of rotation %s is not in escrow.", entry.Previous, entry.RotationID),
			Next: "Find out who deleted it (CloudTrail, DeleteParameter) and put it back before anything else.",
		}
	}
	// The new key was never in use: the omnibus did not change, and the standalone parameters change after it.
	unused := entry.Stage == custody.StageOpen && !p.traced() && p.standaloneCurrent.Equal(old.Key) && !w.SSM.Switch.Exists
	proved := entry.Stage == custody.StageAborting
	if !unused && !proved {
		if err := wish.Proof.ValidateUntouched(w.Now, wish.App, entry, p.prints, old.Key); err != nil {
			return Plan{}, err
		}
	}
	plan := Plan{
		Phase: PhaseAborted, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Previous, Escrow: custody.EscrowName(wish.Names.Custody, entry.Previous),
		Msg: fmt.Sprintf("Aborted rotation %s: key %s is in use again; %s is in escrow only.", entry.RotationID, entry.Previous, entry.Current),
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	back, err := backSteps(w, wish, p, entry, old.Key)
	if err != nil {
		return Plan{}, err
	}
	kept, err := captures(w, wish, p, entry, nil, back)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings, plan.Steps, entry.Lock = begin.warnings, slices.Concat(begin.steps, kept), begin.number
	if !unused && !proved {
		entry.Stage, entry.ProofDigest = custody.StageAborting, wish.Proof.Digest()
		if entry.Proof, err = json.Marshal(wish.Proof.Brief()); err != nil {
			return Plan{}, err
		}
		step, err := ledgerPut(w, wish, entry, ActRecordProof, fmt.Sprintf("no record is under the new key; %d are under the old one", wish.Proof.Proved))
		if err != nil {
			return Plan{}, err
		}
		plan.Steps = append(plan.Steps, step)
		entry.Version++
	}
	entry.Stage, entry.AbortedAt = custody.StageAborted, w.Now
	record, err := ledgerPut(w, wish, entry, ActRecordAborted, "the old key is back, no trace of the rotation is left in the parameters")
	if err != nil {
		return Plan{}, err
	}
	plan.Steps = slices.Concat(plan.Steps, back, []Step{record}, end)
	return plan, fit(plan.Steps, wish)
}

// backSteps undo prepared: the omnibus first, so that terraform, whenever it runs, does what is wanted; then the standalone
// key, so that nothing that starts from here on writes with the new one; then the switch, before its key.
func backSteps(w World, wish Wish, p picture, entry custody.Entry, old secret.Secret) ([]Step, error) {
	var steps []Step
	if p.traced() {
		text, err := clearOmnibus(w, entry, &old)
		if err != nil {
			return nil, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		steps = append(steps, Step{
			Action: ActPutOmnibus, Target: w.SSM.Omnibus.Name, Write: over(w.SSM.Omnibus, secret.New(string(text)), ""),
			Reason: "the document as it was before the rotation, in one put",
		})
	}
	if !w.SSM.Current.Exists || !w.SSM.Current.Value.Equal(old) {
		steps = append(steps, Step{Action: ActPutCurrent, Target: w.SSM.Current.Name, Write: over(w.SSM.Current, old, w.SSM.Omnibus.KeyID), Reason: "the Platform writes with the old key from its next start on"})
	}
	return append(steps, removeStandalones(w, wish, entry)...), nil
}

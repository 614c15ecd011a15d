package rotation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// abort plans the state aborted: the old key is restored and the rotation entries are removed. It requires a proof that no record is
// under the new key. With Reverse, see reverse.
func abort(o Observed, desired Desired, v view) (Plan, error) {
	entry, answer, err := started(o, v, desired.RotationID, "abort")
	if err != nil || answer != nil {
		return *answer, err
	}
	safe := oldKeyInUse(o, v, entry)
	back := entry.Reversed() || desired.Reverse && desired.Proof == nil && v.whole() && !safe
	if back && !entry.Stage.Over() {
		if entry.Reversed() && entry.Stage == custody.StageProved {
			return nothing(PhaseRotated, entry.RotationID, custodyTarget(entry), "rotation "+entry.RotationID+" is proved to be reversed; state finalized is next", v), nil
		}
		if need := o.unread(); need != NeedNothing {
			return Plan{Needs: need}, nil
		}
		return reverse(o, desired, v, entry)
	}
	switch entry.Stage {
	case custody.StageAborted:
		return nothing(PhaseAborted, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was aborted on %s", entry.RotationID, day(entry.AbortedAt)), v), nil
	case custody.StageProved, custody.StageFinished:
		return Plan{}, fault.New(fault.CodeTooLateToAbort, fmt.Sprintf("Finish it (state finalized), or go back with reverse: true while both keys are in the parameters. To go back later, rotate again with new_secret_from_escrow: %s.", entry.Previous),
			"Rotation %s is %s: every record is under the new key %s, which the old one does not open.", entry.RotationID, entry.Stage, entry.Current)
	case custody.StageOpen, custody.StagePrepared, custody.StageAborting:
	}
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	return goBack(o, desired, v, entry, safe)
}

// oldKeyInUse reports whether the Platform has the old key for sure, and nothing is under the new one. Then an abort needs no proof. The
// Platform reads the standalone parameters.
func oldKeyInUse(o Observed, v view, entry custody.Entry) bool {
	switch {
	case entry.Reversed() || v.standaloneCurrent.fingerprint != entry.Previous:
		return false
	case entry.Stage == custody.StageOpen:
		// The switch is written after the new key. If the old key was written since, somebody put it back, perhaps too late.
		return !o.SSM.Switch.On() && o.SSM.Current.Modified.Add(-o.SSM.Ahead).Before(entry.OpenedAt)
	}
	// An abort puts the old key back first, after its proof. Nobody else does: the omnibus still has the new key.
	return entry.Stage == custody.StageAborting
}

// goBack plans how to put the old key back. Unless safe, it requires a proof.
func goBack(o Observed, desired Desired, v view, entry custody.Entry, safe bool) (Plan, error) {
	explained := v.whole() && entry.Previous == v.previous.fingerprint && entry.Current == v.current.fingerprint
	if !v.traced() {
		explained = v.current.fingerprint == entry.Previous
	}
	if !explained || !safe && desired.Reverse && desired.Proof == nil { // the keys change places only while the omnibus has both
		return Plan{}, unexplained(o, v, entry, true)
	}
	old, held := o.Custody.Find(entry.Previous)
	if !held {
		return Plan{}, fault.New(fault.CodeCustodyDamaged, "Find out who deleted it (CloudTrail, DeleteParameter). Restore it before you do anything else.",
			"The old key %s of rotation %s is not in escrow.", entry.Previous, entry.RotationID)
	}
	if !safe {
		if desired.Proof == nil && !o.SSM.Current.Exists {
			return Plan{}, fault.New(fault.CodeStandaloneMissing, "Run terraform apply, which creates it again from the omnibus. Then abort again.",
				"There is no SSM parameter %s. Without it, nothing can show that no record is under the new key %s.", o.SSM.Current.Name, entry.Current)
		}
		if err := desired.Proof.ValidateUntouched(o.Now, desired.App, entry, v.prints, old.Key); err != nil {
			return Plan{}, err
		}
	}
	plan := Plan{
		Phase: PhaseAborted, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Previous, Escrow: custody.EscrowName(desired.Names.Custody, entry.Previous),
		Msg: fmt.Sprintf("Aborted rotation %s: key %s is in use again; %s is in escrow only.", entry.RotationID, entry.Previous, entry.Current),
	}
	back, err := backSteps(o, v, entry, old.Key)
	if err != nil {
		return Plan{}, err
	}
	before, err := captures(o, desired, v, entry, nil, back)
	if err != nil {
		return Plan{}, err
	}
	if !safe {
		step, err := recordProof(o, desired, &entry, custody.StageAborting, fmt.Sprintf("no record is under the new key; %d are under the old key", desired.Proof.Proved))
		if err != nil {
			return Plan{}, err
		}
		before = append(before, step)
	}
	entry.Stage, entry.AbortedAt = custody.StageAborted, o.Now
	record := ledgerPut(o, desired, entry, ActRecordAborted, "the old key is restored, no trace of the rotation is left in the parameters")
	plan.Steps = slices.Concat(before, back, []Step{record})
	return plan, nil
}

// started finds the rotation to end. If there is none, it returns an answer or an error.
func started(o Observed, v view, rotationID, to string) (entry custody.Entry, answer *Plan, err error) {
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

// backSteps returns the steps that undo the state prepared. The standalone current key comes first: once it is the old one, a Platform
// that is started re-encrypts nothing, unless terraform writes the new key again. Then follow the omnibus, the switch and the previous key.
func backSteps(o Observed, v view, entry custody.Entry, old secret.Secret) ([]Step, error) {
	var steps []Step
	if !o.SSM.Current.Exists || !o.SSM.Current.Value.Equal(old) {
		steps = append(steps, Step{Action: ActPutCurrent, Target: o.SSM.Current.Name, Write: overwrite(o.SSM.Current, old, o.SSM.Omnibus.KeyID), Reason: "the Platform writes with the old key after its next start"})
	}
	if v.traced() {
		step, err := clearOmnibus(o, entry, &old, "the document as it was before the rotation, in one put")
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return append(steps, removeStandalones(o, entry)...), nil
}

// reverse plans how to return to the old key once records are under the new key: it swaps the keys, and the Platform re-encrypts. From
// then on it is a normal rotation that ends as aborted. The ledger records this before the omnibus changes.
func reverse(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	desired.ChunkSize = nil // applies only to prepared
	turned := entry.Reversed()
	if !turned {
		entry.Previous, entry.Current = entry.Current, entry.Previous
	}
	there := v.current.fingerprint == entry.Current && v.previous.fingerprint == entry.Previous // the omnibus is already written
	if !v.whole() || !there && (v.current.fingerprint != entry.Previous || v.previous.fingerprint != entry.Current || turned && entry.Stage != custody.StageOpen) {
		return Plan{}, unexplained(o, v, entry, true)
	}
	c := change{view: v, entry: entry, opened: true, current: v.previous, previous: v.current, omnibus: !there}
	if there {
		c.current, c.previous = v.current, v.previous
	}
	chunk := v.chunkSize
	if entry.ChunkSize == nil {
		chunk = nil // not set by this rotation
	}
	standalone := standaloneSteps(o, desired, c.current, c.previous, chunk)
	if turned && there && len(standalone) == 0 && entry.Stage != custody.StageOpen {
		plan := nothing(PhasePrepared, entry.RotationID, o.SSM.Omnibus.Name, "rotation "+entry.RotationID+" is already being reversed: omnibus and standalone parameters hold both keys, with the old key as the current one", v)
		plan.Evidence, plan.Baseline, plan.Platform = agreement(o, desired, c.current, c.previous), entry.Baseline, entry.Platform
		return plan, nil
	}
	return turn(o, desired, c, standalone, turned)
}

// turn returns the plan of reverse, with the steps in the same order as for prepared.
func turn(o Observed, desired Desired, c change, standalone []Step, turned bool) (Plan, error) {
	entry := c.entry
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: entry.RotationID, Current: entry.Current, Previous: entry.Previous, Platform: entry.Platform,
		Escrow: custody.EscrowName(desired.Names.Custody, entry.Previous),
		Msg:    fmt.Sprintf("Rotation %s is being reversed: key %s will be replaced by the old key %s.", entry.RotationID, entry.Previous, entry.Current),
	}
	var steps []Step
	if c.omnibus {
		step, err := rewriteOmnibus(o, desired, c, "swaps the two keys in one put: the Platform re-encrypts every record under the old key")
		if err != nil {
			return Plan{}, err
		}
		steps = append(steps, step)
	}
	steps = append(steps, standalone...)
	before, err := captures(o, desired, c.view, entry, nil, steps)
	if err != nil {
		return Plan{}, err
	}
	// The baseline from before the rotation does not apply to the reversal. A new baseline is accepted until the Platform starts to
	// re-encrypt.
	if !turned || entry.Stage == custody.StageOpen && desired.Baseline != nil {
		entry.Baseline = desired.Baseline
	}
	if !turned {
		entry.Stage, entry.ReversedAt, entry.Proof, entry.ProofDigest = custody.StageOpen, o.Now, nil, ""
		before = append(before, ledgerPut(o, desired, entry, ActRecordReversed, "from here on the rotation returns to the old key"))
		entry.Version++
	}
	entry.Stage, entry.PreparedAt = custody.StagePrepared, o.Now
	plan.Baseline = entry.Baseline
	plan.Steps = slices.Concat(before, steps, []Step{ledgerPut(o, desired, entry, ActRecordPrepared, "omnibus and standalone parameters are written")})
	return plan, nil
}

func aborting(entry custody.Entry) *fault.Fault {
	return fault.New(fault.CodeRotationOpen, "Run state aborted again (playbooks/abort_crypto.yml). It continues where it stopped.",
		"The abort of rotation %s was interrupted.", entry.RotationID)
}

func rotationOpen(open custody.Entry, rotationID string) *fault.Fault {
	return fault.New(fault.CodeRotationOpen, fmt.Sprintf("Finish it first: run the same playbook with rotation_id %s.", open.RotationID),
		"Rotation %s (started at %s by %s) is not finished, so rotation %q cannot start.", open.RotationID, open.OpenedAt.UTC().Format(time.RFC3339), open.By.Who(), rotationID)
}

// unexplained is the fault for parameters that neither the ledger nor an interrupted run explains.
func unexplained(o Observed, v view, entry custody.Entry, known bool) *fault.Fault {
	found := fmt.Sprintf("The omnibus %s has current key %s, previous key %s, switch %t", o.SSM.Omnibus.Name, v.current.fingerprint, cmp.Or(v.previous.fingerprint, "none"), v.enabled)
	ledger := "the ledger has no rotation that explains it"
	if known {
		ledger = fmt.Sprintf("the ledger's rotation %s (%s) goes from %s to %s", entry.RotationID, entry.Stage, entry.Previous, entry.Current)
	}
	return fault.New(fault.CodeInconsistent, "If somebody started a rotation by hand, take it over with adopt: true. Otherwise find out who changed the parameter (aws ssm get-parameter-history), and see docs/errors.md (inconsistent).",
		"%s", found+"; "+ledger+".")
}

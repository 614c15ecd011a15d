package rotation

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// prepare plans the state prepared.
func prepare(o Observed, desired Desired, v view) (Plan, error) {
	entry, known := o.Custody.Entry(desired.RotationID)
	if known && entry.Stage.Over() {
		plan, err := alreadyOver(o, v, entry)
		if err != nil || plan.Needs != NeedNothing {
			return plan, err
		}
		if entry.Stage == custody.StageFinished {
			return linkLater(o, desired, entry, plan)
		}
		return plan, nil
	}
	if !known && desired.RotationID == "" {
		entry, known = o.Custody.Open()
	}
	if known && entry.Stage == custody.StageProved {
		plan := nothing(PhaseRotated, entry.RotationID, o.SSM.Omnibus.Name, "rotation "+entry.RotationID+" is already proved; state finalized is next", v)
		plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
		if later(desired, entry) {
			return linkLater(o, desired, entry, plan)
		}
		return plan, nil
	}
	if known && entry.GoingBack() {
		return Plan{}, aborting(entry)
	}
	if v.traced() {
		return continuePrepare(o, desired, v, entry, known)
	}
	return startPrepare(o, desired, v)
}

// alreadyOver returns the plan for a rotation that is over. If the parameters do not agree with that, it returns a fault.
func alreadyOver(o Observed, v view, entry custody.Entry) (Plan, error) {
	if v.traced() && v.current.fingerprint == entry.Current {
		if !o.Custody.Complete {
			return Plan{Needs: NeedInventory}, nil
		}
		if open, ok := o.Custody.Open(); ok {
			return Plan{}, rotationOpen(open, entry.RotationID)
		}
		next := "then remove the two entries."
		if entry.Current != entry.Left() {
			next = fmt.Sprintf("then put key %s back and remove the two entries, in one put, if that key opens the records (seqera_crypto_rotation_info, gather: records).", entry.Left())
		}
		return Plan{}, fault.New(fault.CodeInconsistent, "Somebody restored them, or terraform ran with an old omnibus. Find out who wrote the omnibus (aws ssm get-parameter-history), "+next,
			"The ledger says that rotation %s is over, but the omnibus still has its entries (current %s, previous %s).", entry.RotationID, v.current.fingerprint, v.previous.fingerprint)
	}
	left := entry.Left()
	if v.current.fingerprint != left {
		if !o.Custody.Complete {
			return Plan{Needs: NeedInventory}, nil
		}
		if !o.Custody.Leads(left, v.current.fingerprint) {
			return Plan{}, fault.New(fault.CodeInconsistent, "Somebody changed the key, for example by restoring an old terraform state. Find out who wrote the omnibus (aws ssm get-parameter-history). If the change was intended, use another rotation_id.",
				"The ledger says that rotation %s is over and left key %s in use, but the omnibus has key %s, and no later rotation leads to that key.", entry.RotationID, left, v.current.fingerprint)
		}
	}
	phase, how, ended := PhaseFinalized, "finished", entry.FinishedAt
	if entry.Stage == custody.StageAborted {
		phase, how, ended = PhaseAborted, "aborted", entry.AbortedAt
	}
	plan := nothing(phase, entry.RotationID, custodyTarget(entry), fmt.Sprintf("rotation %s was %s on %s and is not done again", entry.RotationID, how, day(ended)), v)
	plan.EndedAt, plan.Platform = entry.EndedAt(), entry.Platform // for a later rotation that is not over
	plan = plan.afterLast(o, v)
	if phase == PhaseAborted {
		plan.Warnings = []string{fmt.Sprintf("Rotation %s was aborted. To rotate, use another rotation_id.", entry.RotationID)}
	}
	return plan, nil
}

// afterLast adds the Platform and the end of the rotation that brought the key in use. An interrupted run may have left the Platform down.
func (p Plan) afterLast(o Observed, v view) Plan {
	if last, ok := o.Custody.Last(v.current.fingerprint); ok {
		p.EndedAt, p.Platform = last.EndedAt(), last.Platform
	}
	return p
}

// inUse returns the plan if the key to rotate to is in use already.
func inUse(o Observed, v view, rotationID, msg string) Plan {
	if !o.Custody.Complete {
		return Plan{Needs: NeedInventory}
	}
	return nothing(PhaseFinalized, rotationID, o.SSM.Current.Name, msg, v).afterLast(o, v)
}

func custodyTarget(entry custody.Entry) string { return "ledger/" + entry.RotationID }

// continuePrepare plans the state prepared if the omnibus already shows a rotation.
func continuePrepare(o Observed, desired Desired, v view, entry custody.Entry, known bool) (Plan, error) {
	if !known && !o.Custody.Complete {
		return Plan{Needs: NeedInventory}, nil
	}
	if !known {
		if open, ok := o.Custody.Open(); ok {
			return Plan{}, rotationOpen(open, desired.RotationID)
		}
	}
	if desired.Adopt && (!known || entry.Stage == custody.StageOpen && (!v.whole() || v.misnamed)) {
		return adopt(o, desired, v, entry, known)
	}
	if !known || !v.whole() || entry.Previous != v.previous.fingerprint || entry.Current != v.current.fingerprint {
		return Plan{}, unexplained(o, v, entry, known)
	}
	if err := validateSame(desired, v, entry); err != nil {
		return Plan{}, err
	}
	if desired.CaptureOnly {
		return assemble(o, desired, change{view: v, entry: entry, opened: true, current: v.current, previous: v.previous})
	}
	chunk := chunkWanted(desired)
	if entry.ChunkSize != nil {
		chunk = v.chunkSize // set by this rotation, even if this run does not name it
	}
	renewed := renew(&entry, desired)
	steps := standaloneSteps(o, desired, v.current, v.previous, chunk)
	if len(steps) == 0 && entry.Stage == custody.StagePrepared {
		return alreadyPrepared(o, desired, v, entry, renewed)
	}
	return assemble(o, desired, change{view: v, entry: entry, opened: true, current: v.current, previous: v.previous, standalone: steps})
}

func alreadyPrepared(o Observed, desired Desired, v view, entry custody.Entry, renewed bool) (Plan, error) {
	if renewed {
		return recordBaseline(o, desired, v, entry)
	}
	plan := nothing(PhasePrepared, entry.RotationID, o.SSM.Omnibus.Name, "omnibus and standalone parameters already hold both keys of rotation "+entry.RotationID, v)
	plan.Evidence = agreement(o, desired, v.current, v.previous)
	plan.Escrow, plan.Baseline, plan.Platform = custody.EscrowName(desired.Names.Custody, v.previous.fingerprint), entry.Baseline, entry.Platform
	return linkLater(o, desired, entry, plan)
}

// validateSame returns a fault if the options describe another rotation than the prepared one.
func validateSame(desired Desired, v view, entry custody.Entry) error {
	if !desired.NewKey.IsEmpty() && !desired.NewKey.Equal(v.current.Secret) {
		return fault.New(fault.CodeRotationOpen, "Leave new_secret out and finish this rotation first.",
			"Rotation %s is already prepared with the key %s, but new_secret is a different key.", entry.RotationID, v.current.fingerprint)
	}
	if desired.CaptureOnly {
		return nil
	}
	if desired.FromEscrow != "" && desired.FromEscrow != v.current.fingerprint {
		return fault.New(fault.CodeRotationOpen, "Leave new_secret_from_escrow out and finish this rotation first.",
			"Rotation %s is already prepared with the key %s, but new_secret_from_escrow is %s.", entry.RotationID, v.current.fingerprint, desired.FromEscrow)
	}
	if chunk := chunkWanted(desired); chunk != nil && (v.chunkSize == nil || *chunk != *v.chunkSize) {
		return fault.New(fault.CodeRotationOpen, "Set chunk_size to the value that the rotation was started with, or leave it out, and finish this rotation.",
			"Rotation %s is already prepared with a different chunk_size than %s.", entry.RotationID, *chunk)
	}
	return nil
}

// startPrepare plans the state prepared for a new rotation, or for one that was interrupted before the omnibus changed.
func startPrepare(o Observed, desired Desired, v view) (Plan, error) {
	if !o.Custody.Complete && (o.SSM.Previous.Exists || o.SSM.Switch.Exists) {
		return Plan{Needs: NeedInventory}, nil // perhaps a finalized that was interrupted, which a run without rotation_id continues too
	}
	if err := validateAgreement(o, v); err != nil {
		return Plan{}, err
	}
	if desired.FromEscrow != "" && desired.FromEscrow == v.current.fingerprint && desired.RotationID == "" {
		return inUse(o, v, "", fmt.Sprintf("the key in use is already %s", desired.FromEscrow)), nil
	}
	due, err := isDue(o, desired, v)
	if err != nil || due.Needs != NeedNothing || len(due.Steps) > 0 {
		return due, err
	}
	if !o.Custody.Complete {
		return Plan{Needs: NeedInventory}, nil
	}
	entry, opened := o.Custody.Open()
	switch {
	case opened && desired.RotationID != "" && entry.RotationID != desired.RotationID:
		return Plan{}, rotationOpen(entry, desired.RotationID)
	case opened && (entry.Stage != custody.StageOpen || entry.Previous != v.current.fingerprint):
		return Plan{}, unexplained(o, v, entry, true)
	case !opened:
		entry = resumedOrNamed(o, desired)
	}
	next, fresh, err := newKey(o, desired, v, entry)
	if err != nil {
		return Plan{}, err
	}
	steps := standaloneSteps(o, desired, next, v.current, chunkWanted(desired))
	return assemble(o, desired, change{view: v, entry: entry, opened: opened, current: next, previous: v.current, fresh: fresh, omnibus: true, standalone: steps})
}

// resumedOrNamed returns the ledger entry of a new rotation. If the options name neither rotation nor key, it uses the name that an
// interrupted run made.
func resumedOrNamed(o Observed, desired Desired) custody.Entry {
	entry := desired.namedEntry()
	if cut, ok := o.Custody.Unopened(o.Now); ok && desired.RotationID == "" && desired.NewKey.IsEmpty() && desired.FromEscrow == "" {
		entry.RotationID = cut.RotationID
	}
	return entry
}

// validateAgreement returns a fault if omnibus and standalone parameter hold different keys, because it is not known which of them the
// Platform uses.
func validateAgreement(o Observed, v view) error {
	if !o.SSM.Current.Exists {
		return fault.New(fault.CodeStandaloneMissing, "Check app_name and config_prefix; run terraform apply if the parameter was deleted.",
			"There is no SSM parameter %s, which the Platform reads its key from.", o.SSM.Current.Name)
	}
	if !v.standaloneCurrent.Equal(v.current.Secret) {
		return fault.New(fault.CodeKeyMismatch, "Find out which key opens the records (seqera_crypto_rotation_info, gather: records), put it into both parameters, and run again.",
			"The key in the omnibus %s has fingerprint %s, but the key in %s has %s. Only one of them opens the records.", o.SSM.Omnibus.Name, v.current.fingerprint, o.SSM.Current.Name, v.standaloneCurrent.fingerprint)
	}
	return nil
}

// isDue returns an empty plan if the rotation is due. Otherwise it returns a plan that says why not, or one that needs something.
func isDue(o Observed, desired Desired, v view) (Plan, error) {
	unchanged := !desired.NewKey.IsEmpty() && desired.NewKey.Equal(v.current.Secret)
	if !unchanged && desired.MaxAgeDays == nil {
		return Plan{}, nil
	}
	kept, held := o.Custody.Find(v.current.fingerprint)
	if !held && !o.Custody.Complete && !o.Custody.Asked {
		return Plan{Needs: NeedEscrow}, nil
	}
	if unchanged {
		if held && desired.RotationID == "" && kept.Origin != custody.OriginCaptured {
			return inUse(o, v, kept.RotationID, fmt.Sprintf("new_secret has been the key in use since rotation %s", kept.RotationID)), nil
		}
		return Plan{}, fault.New(fault.CodeKeyUnchanged, "Set another key, or leave new_secret out and let the module make one.",
			"new_secret is the key that is already in use (fingerprint %s).", v.current.fingerprint)
	}
	if _, opened := o.Custody.Open(); opened {
		return Plan{}, nil
	}
	// A key that may be retired by an open rotation is in escrow.
	if held && !o.Custody.Complete {
		return Plan{Needs: NeedInventory}, nil
	}
	since, how := born(o, v)
	if age := int(o.Now.Sub(since) / (24 * time.Hour)); age < *desired.MaxAgeDays {
		plan := nothing(PhaseIdle, desired.RotationID, o.SSM.Current.Name,
			fmt.Sprintf("the key is %d days old (%s), which is less than max_age_days (%d)", age, how, *desired.MaxAgeDays), v).afterLast(o, v)
		plan.Born = since
		if kept.Origin != custody.OriginCaptured {
			plan.BroughtBy = kept.RotationID
		}
		return plan, nil
	}
	return Plan{}, nil
}

// newKey returns the key to rotate to, and whether it is a new key made by this run. A key that an interrupted run put into escrow is
// used again.
func newKey(o Observed, desired Desired, v view, entry custody.Entry) (key, bool, error) {
	next, fresh := desired.NewKey, false
	if desired.FromEscrow != "" {
		kept, ok := o.Custody.Find(desired.FromEscrow)
		if !ok {
			return key{}, false, fault.New(fault.CodeEscrowMissing, "List the keys with seqera_crypto_rotation_info (gather: escrow).",
				"Escrow has no key %s (new_secret_from_escrow) for %s.", desired.FromEscrow, desired.App)
		}
		next = kept.Key
	}
	if kept, ok := o.Custody.Made(entry.RotationID); ok {
		if !next.IsEmpty() && !next.Equal(kept.Key) {
			return key{}, false, fault.New(fault.CodeRotationOpen, "Leave new_secret out to continue with that key, or use another rotation_id.",
				"Rotation %s already has the key %s in escrow, but new_secret is a different key.", entry.RotationID, kept.Fingerprint)
		}
		next = kept.Key
	} else if begun, ok := o.Custody.Find(entry.Current); ok && next.IsEmpty() {
		next = begun.Key // an interrupted rotation to an escrowed key continues with it
	} else if next.IsEmpty() {
		next, fresh = desired.MadeKey, true
	}
	if next.Equal(v.current.Secret) {
		return key{}, false, fault.New(fault.CodeKeyUnchanged, "Set another key, or leave new_secret out and let the module make one.",
			"The new key is the key that is already in use (fingerprint %s).", v.current.fingerprint)
	}
	found := keyOf(next, v.prints)
	if entry.Current != "" && entry.Current != found.fingerprint {
		if begun, ok := o.Custody.Find(entry.Current); ok {
			return key{}, false, fault.New(fault.CodeRotationOpen, "Leave new_secret and new_secret_from_escrow out to continue with that key, or use another rotation_id.",
				"Rotation %s already goes to the key %s in escrow, but this run names a different key.", entry.RotationID, begun.Fingerprint)
		}
		return key{}, false, fault.New(fault.CodeCustodyDamaged, "Find out who deleted it. No record needs it yet, so you may delete the ledger entry and start again.",
			"The ledger says that rotation %s goes to key %s, which is not in escrow.", entry.RotationID, entry.Current)
	}
	return found, fresh, nil
}

func chunkWanted(desired Desired) *string {
	if desired.ChunkSize == nil {
		return nil
	}
	text := strconv.Itoa(*desired.ChunkSize)
	return &text
}

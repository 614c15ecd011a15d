package rotation

import (
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// finalize plans the state finalized. Given a valid proof, it changes the omnibus first, then the switch, then the previous key.
func finalize(o Observed, desired Desired, v view) (Plan, error) {
	id := desired.RotationID
	if id == "" && desired.Proof != nil {
		id = desired.Proof.RotationID
	}
	entry, known := o.Custody.Entry(id)
	if known && (entry.Stage == custody.StageAborted || entry.Stage.Over() && !leftovers(o, v, entry)) {
		return alreadyOver(o, v, entry)
	}
	entry, answer, err := started(o, v, id, "finalize")
	if err != nil || answer != nil {
		return *answer, err
	}
	if err := mayFinalize(o, desired, v, entry); err != nil {
		return Plan{}, err
	}
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	return removal(o, desired, v, entry)
}

// leftovers reports whether standalone parameters are left that a finished rotation should have removed.
func leftovers(o Observed, v view, entry custody.Entry) bool {
	return !v.traced() && v.current.fingerprint == entry.Current && (o.SSM.Previous.Exists || o.SSM.LegacyPrevious.Exists || o.SSM.Switch.Exists)
}

// mayFinalize returns a fault unless the rotation is proved: without proof the previous key stays (promise 4).
func mayFinalize(o Observed, desired Desired, v view, entry custody.Entry) error {
	if entry.GoingBack() {
		return aborting(entry)
	}
	if v.traced() && (!v.whole() || entry.Previous != v.previous.fingerprint || entry.Current != v.current.fingerprint) {
		return unexplained(o, v, entry, true)
	}
	if !v.traced() && v.current.fingerprint != entry.Current {
		if v.current.fingerprint == entry.Previous && entry.Stage == custody.StageOpen {
			return fault.New(fault.CodeNotPrepared, "Run state prepared again. It continues with the same new key.",
				"Rotation %s was started, but it was interrupted before anything changed: the omnibus still has the old key %s.", entry.RotationID, entry.Previous)
		}
		return unexplained(o, v, entry, true)
	}
	if o.SSM.Current.Exists && !v.standaloneCurrent.Equal(v.current.Secret) {
		return validateAgreement(o, v)
	}
	if entry.Stage == custody.StageProved || entry.Stage.Over() {
		return nil
	}
	if entry.Stage != custody.StagePrepared {
		return fault.New(fault.CodeNotPrepared, "Run state prepared again, then rotating.",
			"Rotation %s is %s, not prepared.", entry.RotationID, entry.Stage)
	}
	return desired.Proof.ValidateComplete(o.Now, desired.App, entry, v.prints, v.current.Secret)
}

// removal returns the plan of finalized, with its steps in the right order.
func removal(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	plan := Plan{
		Phase: PhaseFinalized, Before: PhaseRotated, RotationID: entry.RotationID, Current: entry.Current, Previous: "", Proof: desired.Proof, Platform: entry.Platform,
		Escrow: custody.EscrowName(desired.Names.Custody, entry.Previous),
		Msg:    fmt.Sprintf("Finished rotation %s: key %s is in use; %s is in escrow only.", entry.RotationID, entry.Current, entry.Previous),
	}
	var change []Step
	if v.traced() {
		step, err := clearOmnibus(o, entry, nil, "removes the rotation entries in one put, so that terraform does not create their parameters again (page 4.2)")
		if err != nil {
			return Plan{}, err
		}
		change = append(change, step)
	}
	change = append(change, removeStandalones(o, entry)...)
	before, err := captures(o, desired, v, entry, nil, change)
	if err != nil {
		return Plan{}, err
	}
	if entry.Stage == custody.StagePrepared {
		entry.ProvedAt = o.Now
		if weaker := desired.Proof.Weaker(); weaker != "" {
			plan.Warnings = append(plan.Warnings, weaker)
		}
		step, err := recordProof(o, desired, &entry, custody.StageProved, desired.Proof.Says())
		if err != nil {
			return Plan{}, err
		}
		before = append(before, step)
	}
	if entry.Reversed() {
		plan.Phase = PhaseAborted
		plan.Msg = fmt.Sprintf("Aborted rotation %s: every record is under key %s again, which is in use; %s is in escrow only.", entry.RotationID, entry.Current, entry.Previous)
	}
	if !entry.Stage.Over() {
		action := ActRecordFinished
		entry.Stage, entry.FinishedAt = custody.StageFinished, o.Now
		if entry.Reversed() {
			action, entry.Stage, entry.FinishedAt, entry.AbortedAt = ActRecordAborted, custody.StageAborted, time.Time{}, o.Now
		}
		change = append(change, ledgerPut(o, desired, entry, action, "no trace of the rotation is left in the parameters"))
	}
	plan.Steps = slices.Concat(before, change)
	return plan, nil
}

// clearOmnibus removes the rotation entries from the omnibus (page step 4.2). If old is not nil, it also restores the old key.
func clearOmnibus(o Observed, entry custody.Entry, old *secret.Secret, reason string) (Step, error) {
	return putOmnibus(o, reason, func(document *omnibus.Document) error {
		names := []string{EntrySwitch, EntryPrevious}
		if entry.ChunkSize != nil {
			names = append(names, EntryChunkSize)
		}
		for _, name := range names {
			_, there, err := document.Find(name)
			switch {
			case err != nil || !there:
			case name == EntryChunkSize && entry.ChunkSize.Omnibus != nil:
				err = document.SetValue(name, *entry.ChunkSize.Omnibus)
			default:
				err = document.Remove(name)
			}
			if err != nil {
				return err
			}
		}
		if old == nil {
			return nil
		}
		return document.SetValue(EntryCurrent, old.Reveal())
	})
}

// removeStandalones removes the standalone parameters of a rotation (page step 4.3). The switch comes first, so that it is never on
// without its key.
func removeStandalones(o Observed, entry custody.Entry) []Step {
	var steps []Step
	gone := func(action Action, parameter Parameter, reason string) {
		if parameter.Exists {
			steps = append(steps, Step{Action: action, Target: parameter.Name, Reason: reason, Write: remove(parameter)})
		}
	}
	gone(ActDeleteSwitch, o.SSM.Switch, "cron stops rotating; removed first, so that the switch is never on without its key (page 4.3)")
	if entry.ChunkSize != nil {
		if was := entry.ChunkSize.Standalone; was == nil {
			gone(ActDeleteChunkSize, o.SSM.ChunkSize, "it was added for this rotation")
		} else if o.SSM.ChunkSize.Value.Reveal() != *was {
			steps = append(steps, Step{Action: ActPutChunkSize, Target: o.SSM.ChunkSize.Name, Reason: "as it was before the rotation", Write: overwrite(o.SSM.ChunkSize, secret.New(*was), o.SSM.Current.KeyID)})
		}
	}
	gone(ActDeletePrevious, o.SSM.Previous, "no record needs this key any more; escrow keeps it (page 4.3)")
	gone(ActDeleteLegacy, o.SSM.LegacyPrevious, "the older revision of the page used this name")
	return steps
}

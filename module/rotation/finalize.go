package rotation

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// finalize plans the state finalized: with a proof that fits, the omnibus first, then the switch, then the previous key.
func finalize(w World, wish Wish, p picture) (Plan, error) {
	id := wish.RotationID
	if id == "" && wish.Proof != nil {
		id = wish.Proof.RotationID
	}
	entry, known := w.Custody.Entry(id)
	if known && (entry.Stage == custody.StageAborted || entry.Stage.Over() && !leftovers(w, p, entry)) {
		plan, err := alreadyOver(w, p, entry)
		if err != nil || plan.Needs != NeedNothing {
			return plan, err
		}
		return tidy(w, entry, wish, plan)
	}
	if !known && !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !known {
		open, ok := w.Custody.Open()
		switch {
		case ok && id != "":
			return Plan{}, rotationOpen(open, id)
		case !ok && !p.traced():
			return nothing(PhaseIdle, id, w.SSM.Omnibus.Name, "there is no rotation to finalize", p), nil
		case !ok:
			return Plan{}, unexplained(w, p, entry, false)
		}
		entry = open
	}
	if err := mayFinalize(w, wish, p, entry); err != nil {
		return Plan{}, err
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	return removal(w, wish, p, entry)
}

// leftovers says whether the standalone parameters still show what a finished rotation should have removed.
func leftovers(w World, p picture, entry custody.Entry) bool {
	return !p.traced() && p.current.print == entry.Current && (w.SSM.Previous.Exists || w.SSM.LegacyPrevious.Exists || w.SSM.Switch.Exists)
}

// mayFinalize is promise 4: without proof the previous key stays.
func mayFinalize(w World, wish Wish, p picture, entry custody.Entry) error {
	if entry.GoingBack() {
		return aborting(entry)
	}
	if p.traced() && (!p.whole() || entry.Previous != p.previous.print || entry.Current != p.current.print) {
		return unexplained(w, p, entry, true)
	}
	if !p.traced() && p.current.print != entry.Current {
		if p.current.print == entry.Previous && entry.Stage == custody.StageOpen {
			return &fault.Fault{
				Code: fault.CodeNotPrepared, What: fmt.Sprintf("Rotation %s was begun but the omnibus still has the old key %s: it was cut off before anything changed.", entry.RotationID, entry.Previous),
				Next: "Run state prepared again; it goes on with the same new key.",
			}
		}
		return unexplained(w, p, entry, true)
	}
	if w.SSM.Current.Exists && !p.standaloneCurrent.Equal(p.current.Secret) {
		return agree(w, p)
	}
	if entry.Stage == custody.StageProved || entry.Stage.Over() {
		return nil
	}
	if entry.Stage != custody.StagePrepared {
		return &fault.Fault{
			Code: fault.CodeNotPrepared, What: fmt.Sprintf("Rotation %s is %s, not prepared.", entry.RotationID, entry.Stage),
			Next: "Run state prepared again, then rotating.",
		}
	}
	return wish.Proof.ValidateComplete(w.Now, wish.App, wish.ProofMaxAge, entry, p.prints, p.current.Secret)
}

// removal puts the steps of finalized into the contract's order of writes.
func removal(w World, wish Wish, p picture, entry custody.Entry) (Plan, error) {
	plan := Plan{
		Phase: PhaseFinalized, Before: PhaseRotated, RotationID: entry.RotationID, Current: entry.Current, Previous: "", Proof: wish.Proof, Platform: entry.Platform,
		Escrow: custody.EscrowName(wish.Names.Custody, entry.Previous),
		Msg:    fmt.Sprintf("Finished rotation %s: key %s is in use; %s is in escrow only.", entry.RotationID, entry.Current, entry.Previous),
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings, plan.Steps, entry.Lock = begin.warnings, begin.steps, begin.number
	var change []Step
	if p.traced() {
		text, err := clearOmnibus(w, entry, nil)
		if err != nil {
			return Plan{}, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		change = append(change, Step{
			Action: ActPutOmnibus, Target: w.SSM.Omnibus.Name, Write: over(w.SSM.Omnibus, secret.New(string(text)), ""),
			Reason: "the rotation entries go in one put, so that terraform does not create their parameters again (page 4.2)",
		})
	}
	change = append(change, removeStandalones(w, wish, entry)...)
	kept, err := captures(w, wish, p, entry, nil, change)
	if err != nil {
		return Plan{}, err
	}
	plan.Steps = append(plan.Steps, kept...)
	if entry.Stage == custody.StagePrepared {
		entry.Stage, entry.ProvedAt = custody.StageProved, w.Now
		if entry.Proof, err = json.Marshal(wish.Proof.Brief()); err != nil {
			return Plan{}, err
		}
		entry.ProofDigest = wish.Proof.Digest()
		if weaker := wish.Proof.Weaker(); weaker != "" {
			plan.Warnings = append(plan.Warnings, weaker)
		}
		step, err := ledgerPut(w, wish, entry, ActRecordProof, wish.Proof.Says())
		if err != nil {
			return Plan{}, err
		}
		plan.Steps = append(plan.Steps, step)
		entry.Version++
	}
	plan.Steps = slices.Concat(plan.Steps, change)
	if entry.Reversed() {
		plan.Phase = PhaseAborted
		plan.Msg = fmt.Sprintf("Aborted rotation %s: every record is under key %s again, which is in use; %s is in escrow only.", entry.RotationID, entry.Current, entry.Previous)
	}
	if !entry.Stage.Over() {
		action := ActRecordFinished
		entry.Stage, entry.FinishedAt = custody.StageFinished, w.Now
		if entry.Reversed() {
			action, entry.Stage, entry.FinishedAt, entry.AbortedAt = ActRecordAborted, custody.StageAborted, time.Time{}, w.Now
		}
		record, err := ledgerPut(w, wish, entry, action, "no trace of the rotation is left in the parameters")
		if err != nil {
			return Plan{}, err
		}
		plan.Steps = append(plan.Steps, record)
	}
	plan.Steps = append(plan.Steps, end...)
	return plan, fit(plan.Steps, wish)
}

// clearOmnibus gives back the document of before, with only the key changed (page step 4.2), or with the old key as well.
func clearOmnibus(w World, entry custody.Entry, old *secret.Secret) ([]byte, error) {
	document, err := omnibus.Parse([]byte(w.SSM.Omnibus.Value.Reveal()))
	if err != nil {
		return nil, err
	}
	if entry.ChunkSize != nil {
		if _, there, err := document.Find(EntryChunkSize); err != nil {
			return nil, err
		} else if there && entry.ChunkSize.Omnibus != nil {
			err = document.SetValue(EntryChunkSize, *entry.ChunkSize.Omnibus)
			if err != nil {
				return nil, err
			}
		} else if there {
			if err := document.Remove(EntryChunkSize); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range []string{EntrySwitch, EntryPrevious} {
		if _, there, err := document.Find(name); err != nil {
			return nil, err
		} else if there {
			if err := document.Remove(name); err != nil {
				return nil, err
			}
		}
	}
	if old != nil {
		if err := document.SetValue(EntryCurrent, old.Reveal()); err != nil {
			return nil, err
		}
	}
	return document.Bytes(), nil
}

// removeStandalones is page step 4.3: the switch first, so that it is never on without its key.
func removeStandalones(w World, wish Wish, entry custody.Entry) []Step {
	var steps []Step
	gone := func(action Action, parameter Parameter, reason string) {
		if parameter.Exists {
			steps = append(steps, Step{Action: action, Target: parameter.Name, Reason: reason, Write: remove(parameter.Name)})
		}
	}
	gone(ActDeleteSwitch, w.SSM.Switch, "cron rotates no more; first, so that it is never on without its key (page 4.3)")
	if entry.ChunkSize != nil {
		if was := entry.ChunkSize.Standalone; was == nil {
			gone(ActDeleteChunkSize, w.SSM.ChunkSize, "it was added for this rotation")
		} else if w.SSM.ChunkSize.Value.Reveal() != *was {
			steps = append(steps, Step{Action: ActPutChunkSize, Target: w.SSM.ChunkSize.Name, Reason: "as it was before the rotation", Write: over(w.SSM.ChunkSize, secret.New(*was), w.SSM.Current.KeyID)})
		}
	}
	gone(ActDeletePrevious, w.SSM.Previous, "no record needs it any more; escrow keeps it (page 4.3)")
	if wish.Names.LegacyPrevious != wish.Names.Previous {
		gone(ActDeleteLegacy, w.SSM.LegacyPrevious, "the name that the page's older revision used")
	}
	return steps
}

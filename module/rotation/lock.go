package rotation

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// nextLock is the number that the ledger's entry keeps of the lock under which it is written.
func nextLock(o Observed) int { return custody.Decide(o.Custody.Locks, o.Now).Number }

// underLock puts the writes between taking and releasing the lock, each in its tier, or tells who holds the lock.
func (p Plan) underLock(o Observed, desired Desired) (Plan, error) {
	if !p.Writes() || p.Steps[len(p.Steps)-1].Action == ActUnlock {
		return p, nil
	}
	claim := custody.Decide(o.Custody.Locks, o.Now)
	if held := claim.HeldBy; held != nil {
		return Plan{}, fault.New(fault.CodeLocked, "Wait for it to end; if it died, run again after that time.",
			"%s holds the lock of %s since %s (rotation %s, state %s), until %s at the latest.", held.Holder.Who(), desired.App, held.AcquiredAt.UTC().Format(time.RFC3339), cmp.Or(held.RotationID, "none"), held.State, held.Expiry().UTC().Format(time.RFC3339))
	}
	lock := custody.Lock{Number: claim.Number, Version: 1, Holder: o.Caller, RotationID: p.RotationID, State: string(desired.State), AcquiredAt: o.Now, ExpiresAt: o.Now.Add(custody.Lease)}
	name := custody.LockName(desired.Names.Custody, claim.Number)
	take := []Step{{Action: ActLock, Target: name, Write: create(o, desired, name, lock), Reason: "one rotation of an installation at a time; " + claim.Reason}}
	if claim.TakenFrom != nil {
		p.Warnings = slices.Insert(p.Warnings, 0, fmt.Sprintf("The lock was taken over from %s, who held it since %s: %s.",
			claim.TakenFrom.Holder.Who(), claim.TakenFrom.AcquiredAt.UTC().Format(time.RFC3339), claim.Reason))
	}
	if len(claim.Clear) > 0 {
		var names []string
		for _, number := range claim.Clear {
			names = append(names, custody.LockName(desired.Names.Custody, number))
		}
		take = append(take, Step{Action: ActClearLocks, Target: names[0], Write: remove(names...), Reason: "numbers are not used twice; only the last one stays"})
	}
	p.Steps = append(append(take, p.Steps...), release(o, desired, lock, "marked released; it stays as the last number"))
	return p, chooseTiers(p.Steps, desired)
}

func release(o Observed, desired Desired, lock custody.Lock, reason string) Step {
	lock.ReleasedAt = o.Now
	name := custody.LockName(desired.Names.Custody, lock.Number)
	return Step{Action: ActUnlock, Target: name, Reason: reason, Write: update(o, desired, name, lock, lock.Attributes, lock.Version)}
}

// unread is what must be observed before anything is written.
func (o Observed) unread() Need {
	switch {
	case !o.Custody.Complete:
		return NeedInventory
	case !o.SSM.Described:
		return NeedDescription
	}
	return NeedNothing
}

// tidy releases the lock of a run that died after its last record. The ledger's entry says which: they are not all listed.
func tidy(o Observed, entry custody.Entry, desired Desired, plan Plan) (Plan, error) {
	if entry.Lock == 0 {
		return plan, nil
	}
	lock, found := o.Custody.Lock(entry.Lock)
	if !found && !o.Custody.Complete && !o.Custody.Locked {
		return Plan{Needs: NeedLock, Lock: entry.Lock}, nil
	}
	if !found || !lock.Dead(o.Now) {
		return plan, nil
	}
	if !o.SSM.Described {
		return Plan{Needs: NeedDescription}, nil // or the lock would lose its KMS key
	}
	plan.Msg += " The lock of a run that died is released."
	plan.Steps = append(plan.Steps, release(o, desired, lock, lock.Holder.Who()+" died before it could"))
	return plan, nil
}

// ledgerOpen gives the entry of the rotation and the step that opens it, if it is not open yet.
func ledgerOpen(o Observed, desired Desired, c change) (custody.Entry, []Step, error) {
	if c.opened {
		return reopened(o, desired, c)
	}
	if err := validatePlatformSize(desired); err != nil {
		return c.entry, nil, err
	}
	entry := custody.Entry{
		App: desired.App, RotationID: c.entry.RotationID, Stage: custody.StageOpen, Previous: c.previous.fingerprint, Current: c.current.fingerprint,
		Backups: desired.Backups, BackupsWaived: desired.BackupsWaived, OpenedAt: o.Now, By: o.Caller, Tool: desired.Tool, ApprovedBy: desired.ApprovedBy, Baseline: desired.Baseline, Platform: desired.Platform,
		ChunkSize: chunkBefore(o, desired, c.view),
	}
	write := create(o, desired, custody.LedgerName(desired.Names.Custody, entry.RotationID), entry)
	entry.Version = 1
	return entry, []Step{{Action: ActOpenLedger, Target: write.Name, Write: write, Reason: "no other rotation of this installation can begin until this one is over"}}, nil
}

// chunkBefore is what the end gives back where this rotation sets a chunk size.
func chunkBefore(o Observed, desired Desired, v view) *custody.ChunkSize {
	if desired.ChunkSize == nil {
		return nil
	}
	before := &custody.ChunkSize{Omnibus: v.chunkSize}
	if o.SSM.ChunkSize.Exists {
		was := o.SSM.ChunkSize.Value.Reveal()
		before.Standalone = &was
	}
	return before
}

// reopened is the entry of a rotation that is open. Before the omnibus changes, the options of the last run count.
func reopened(o Observed, desired Desired, c change) (custody.Entry, []Step, error) {
	entry := c.entry
	if !c.omnibus {
		return entry, nil, nil
	}
	if desired.Platform != nil {
		entry.Platform = desired.Platform
	}
	if entry.ChunkSize == nil {
		entry.ChunkSize = chunkBefore(o, desired, c.view)
	}
	if entry.ChunkSize == c.entry.ChunkSize && entry.Platform.Equal(c.entry.Platform) {
		return entry, nil, nil
	}
	if err := validatePlatformSize(desired); err != nil {
		return entry, nil, err
	}
	step := ledgerPut(o, desired, entry, ActUpdateLedger, "this run names another platform or chunk_size than the one that was cut off")
	entry.Version++
	return entry, []Step{step}, nil
}

// platformLimit is the room for the option platform in a ledger entry, in bytes: the rest needs at most some 1700.
const platformLimit = 2400

func validatePlatformSize(desired Desired) error {
	if desired.Platform == nil || desired.AllowAdvanced {
		return nil
	}
	text, err := json.Marshal(desired.Platform)
	if err == nil && len(text) <= platformLimit {
		return nil
	}
	return fault.New(fault.CodeTooLarge, "Set allow_advanced_tier: true (an Advanced parameter costs money and cannot go back), or leave out mounts.",
		"The option platform has %d bytes; the ledger has room for %d.", len(text), platformLimit).From(err)
}

// ledgerPut records an entry. Where both do not fit, the proof goes and its digest stays.
func ledgerPut(o Observed, desired Desired, entry custody.Entry, action Action, reason string) Step {
	if entry.Proof != nil && custody.Encode(entry).Len() > standardLimit {
		entry.Proof = nil
	}
	name := custody.LedgerName(desired.Names.Custody, entry.RotationID)
	return Step{Action: action, Target: name, Reason: reason, Write: update(o, desired, name, entry, entry.Attributes, entry.Version)}
}

// recordProof records the proof, before what it allows is done.
func recordProof(o Observed, desired Desired, entry *custody.Entry, stage custody.Stage, reason string) (Step, error) {
	brief, err := json.Marshal(desired.Proof.Brief())
	entry.Stage, entry.Proof, entry.ProofDigest = stage, brief, desired.Proof.Digest()
	step := ledgerPut(o, desired, *entry, ActRecordProof, reason)
	entry.Version++
	return step, err
}

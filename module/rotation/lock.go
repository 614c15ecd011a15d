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

// ssmNow returns the time by SSM's clock, which a lease is measured with.
func (o Observed) ssmNow() time.Time { return o.Now.Add(o.SSM.Ahead) }

// underLock adds the steps that take and release the lock, and sets the tiers of all writes. Its error is a fault, for example if
// another run holds the lock.
func (p Plan) underLock(o Observed, desired Desired) (Plan, error) {
	if !p.Writes() {
		return p, nil
	}
	claim := custody.Decide(o.Custody.Locks, o.ssmNow())
	if held := claim.HeldBy; held != nil {
		return Plan{}, fault.New(fault.CodeLocked, "Wait until it ends. If it died, run again after that time.",
			"%s has held the lock of %s since %s (rotation %s, state %s), and holds it until %s at the latest.", held.Holder.Who(), desired.App, held.AcquiredAt.UTC().Format(time.RFC3339), cmp.Or(held.RotationID, "none"), held.State, held.Expiry().UTC().Format(time.RFC3339))
	}
	lock := custody.Lock{Number: claim.Number, Version: 1, Holder: o.Caller, RotationID: p.RotationID, State: string(desired.State), AcquiredAt: o.Now, ExpiresAt: o.Now.Add(custody.Lease)}
	name := custody.LockName(desired.Names.Custody, claim.Number)
	take := []Step{{Action: ActLock, Target: name, Write: create(o, desired, name, lock), Reason: "only one run may write at a time; " + claim.Reason}}
	if claim.TakenFrom != nil {
		p.Warnings = slices.Insert(p.Warnings, 0, fmt.Sprintf("The lock was taken over from %s, which had held it since %s: %s.",
			claim.TakenFrom.Holder.Who(), claim.TakenFrom.AcquiredAt.UTC().Format(time.RFC3339), claim.Reason))
	}
	// A deletion counts against SSM's quota and would make the outages of a fleet longer, so old locks are deleted before an outage. One
	// read and one deletion reach ten names.
	if desired.CaptureOnly && len(claim.Clear) > 0 || len(claim.Clear) >= 9 {
		var names []string
		for _, number := range claim.Clear {
			names = append(names, custody.LockName(desired.Names.Custody, number))
		}
		take = append(take, Step{Action: ActClearLocks, Target: names[0], Write: &Write{Kind: Delete, Name: names[0], Names: names}, Reason: "numbers are never reused, so old locks are not needed"})
	}
	lock.ReleasedAt = o.Now
	release := Step{Action: ActUnlock, Target: name, Write: update(o, desired, name, lock, custody.Attributes{}, lock.Version), Reason: "marks the lock as released; it stays as the last number"}
	p.Steps = append(append(take, p.Steps...), release)
	return p, chooseTiers(p.Steps, desired)
}

// unread returns what must still be observed before anything is written.
func (o Observed) unread() Need {
	switch {
	case !o.Custody.Complete:
		return NeedInventory
	case !o.SSM.Described:
		return NeedDescription
	}
	return NeedNothing
}

// ledgerOpen returns the ledger entry of the rotation, and the steps that open or update it.
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
	return entry, []Step{{Action: ActOpenLedger, Target: write.Name, Write: write, Reason: "no other rotation of this installation can start until this one is over"}}, nil
}

// chunkBefore returns the chunk size that the end of the rotation must restore, or nil if this rotation sets none.
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

// reopened returns the entry of an open rotation, and the step that updates it. Until the omnibus changes, the options of the latest run
// count.
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
	step := ledgerPut(o, desired, entry, ActUpdateLedger, "this run has a different platform or chunk_size than the interrupted run")
	entry.Version++
	return entry, []Step{step}, nil
}

// platformLimit is the space for the option platform in a ledger entry, in bytes. The rest needs at most about 1700 bytes.
const platformLimit = 2400

func validatePlatformSize(desired Desired) error {
	if desired.Platform == nil || desired.AllowAdvanced {
		return nil
	}
	text, err := json.Marshal(desired.Platform)
	if err == nil && len(text) <= platformLimit {
		return nil
	}
	return fault.New(fault.CodeTooLarge, "Set allow_advanced_tier: true (Advanced parameters are billed and cannot be downgraded), or leave out mounts.",
		"The option platform has %d bytes, but the ledger has space for only %d.", len(text), platformLimit).From(err)
}

// ledgerPut returns the step that writes a ledger entry. If the entry is too large, it omits the proof and keeps the proof's digest.
func ledgerPut(o Observed, desired Desired, entry custody.Entry, action Action, reason string) Step {
	if entry.Proof != nil && custody.Encode(entry).Len() > standardLimit {
		entry.Proof = nil
	}
	name := custody.LedgerName(desired.Names.Custody, entry.RotationID)
	return Step{Action: action, Target: name, Reason: reason, Write: update(o, desired, name, entry, entry.Attributes, entry.Version)}
}

// recordProof returns the step that writes the proof to the ledger. It must come before the steps that the proof allows.
func recordProof(o Observed, desired Desired, entry *custody.Entry, stage custody.Stage, reason string) (Step, error) {
	brief, err := json.Marshal(desired.Proof.Brief())
	entry.Stage, entry.Proof, entry.ProofDigest = stage, brief, desired.Proof.Digest()
	step := ledgerPut(o, desired, *entry, ActRecordProof, reason)
	entry.Version++
	return step, err
}

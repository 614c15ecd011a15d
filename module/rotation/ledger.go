package rotation

import (
	"encoding/json"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

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

// platformLimit is the room for the option platform in a ledger entry, in bytes: the rest of an entry needs at most some 1700, without
// the proof, which goes where both do not fit. The installer's layout with every product has about 2100.
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

// ledgerPut records an entry. Where both do not fit, the proof goes and its digest stays: what the run returned can still be held
// against it.
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

package rotation

import (
	"encoding/json"
	"fmt"

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
		Backups: desired.Backups, BackupsWaived: desired.BackupsWaived, OpenedAt: o.Now, By: o.Caller, Baseline: desired.Baseline, Platform: desired.Platform,
		ChunkSize: chunkBefore(o, desired, c.p),
	}
	write, err := create(o, desired, custody.LedgerName(desired.Names.Custody, entry.RotationID), entry)
	if err != nil {
		return entry, nil, err
	}
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
		entry.ChunkSize = chunkBefore(o, desired, c.p)
	}
	if entry.ChunkSize == c.entry.ChunkSize && entry.Platform.Equal(c.entry.Platform) {
		return entry, nil, nil
	}
	if err := validatePlatformSize(desired); err != nil {
		return entry, nil, err
	}
	step, err := ledgerPut(o, desired, entry, ActUpdateLedger, "this run names another platform or chunk_size than the one that was cut off")
	entry.Version++
	return entry, []Step{step}, err
}

// platformLimit is the room for the option platform in a ledger entry, in bytes; the rest needs as much again.
const platformLimit = 2000

func validatePlatformSize(desired Desired) error {
	if desired.Platform == nil || desired.AllowAdvanced {
		return nil
	}
	text, err := json.Marshal(desired.Platform)
	if err == nil && len(text) <= platformLimit {
		return nil
	}
	return &fault.Fault{
		Code: fault.CodeTooLarge, What: fmt.Sprintf("The option platform has %d bytes; the ledger has room for %d.", len(text), platformLimit),
		Next: "Set allow_advanced_tier: true (an Advanced parameter costs money and cannot go back), or leave out mounts.", Cause: err,
	}
}

func ledgerPut(o Observed, desired Desired, entry custody.Entry, action Action, reason string) (Step, error) {
	document, err := custody.Encode(entry)
	if err == nil && document.Len() > standardLimit && entry.Proof != nil {
		// Where both do not fit, the proof's digest stays: what the run returned can still be held against it.
		entry.Proof = nil
		document, err = custody.Encode(entry)
	}
	if err != nil {
		return Step{}, err
	}
	name := custody.LedgerName(desired.Names.Custody, entry.RotationID)
	return Step{Action: action, Target: name, Reason: reason, Write: &Write{Kind: Put, Name: name, Value: document, Type: "SecureString", KeyID: custodyKeyID(o, desired), After: entry.Version}}, nil
}

package rotation

import (
	"encoding/json"
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// ledgerOpen gives the entry of the rotation and the step that opens it, if it is not open yet.
func ledgerOpen(w World, wish Wish, c change) (custody.Entry, []Step, error) {
	if c.opened {
		return reopened(w, wish, c)
	}
	if err := fitsLedger(wish); err != nil {
		return c.entry, nil, err
	}
	entry := custody.Entry{
		App: wish.App, RotationID: c.entry.RotationID, Stage: custody.StageOpen, Previous: c.previous.print, Current: c.current.print,
		Backups: wish.Backups, BackupsWaived: wish.BackupsWaived, OpenedAt: w.Now, By: w.Caller, Baseline: wish.Baseline, Platform: wish.Platform,
		ChunkSize: chunkBefore(w, wish, c.p),
	}
	write, err := create(w, wish, custody.LedgerName(wish.Names.Custody, entry.RotationID), entry)
	if err != nil {
		return entry, nil, err
	}
	entry.Version = 1
	return entry, []Step{{Action: ActOpenLedger, Target: write.Name, Write: write, Reason: "no other rotation of this installation can begin until this one is over"}}, nil
}

// chunkBefore is what the end gives back where this rotation sets a chunk size.
func chunkBefore(w World, wish Wish, p picture) *custody.ChunkSize {
	if wish.ChunkSize == nil {
		return nil
	}
	before := &custody.ChunkSize{Omnibus: p.chunkSize}
	if w.SSM.ChunkSize.Exists {
		was := w.SSM.ChunkSize.Value.Reveal()
		before.Standalone = &was
	}
	return before
}

// reopened is the entry of a rotation that is open. Before the omnibus changes, the options of the last run count.
func reopened(w World, wish Wish, c change) (custody.Entry, []Step, error) {
	entry := c.entry
	if !c.omnibus {
		return entry, nil, nil
	}
	if wish.Platform != nil {
		entry.Platform = wish.Platform
	}
	if entry.ChunkSize == nil {
		entry.ChunkSize = chunkBefore(w, wish, c.p)
	}
	if entry.ChunkSize == c.entry.ChunkSize && entry.Platform.Equal(c.entry.Platform) {
		return entry, nil, nil
	}
	if err := fitsLedger(wish); err != nil {
		return entry, nil, err
	}
	step, err := ledgerPut(w, wish, entry, ActUpdateLedger, "this run names another platform or chunk_size than the one that was cut off")
	entry.Version++
	return entry, []Step{step}, err
}

// platformLimit is the room for the option platform in a ledger entry, in bytes; the rest needs as much again.
const platformLimit = 2000

func fitsLedger(wish Wish) error {
	if wish.Platform == nil || wish.AllowAdvanced {
		return nil
	}
	text, err := json.Marshal(wish.Platform)
	if err == nil && len(text) <= platformLimit {
		return nil
	}
	return &fault.Fault{
		Code: fault.CodeTooLarge, What: fmt.Sprintf("The option platform has %d bytes; the ledger has room for %d.", len(text), platformLimit),
		Next: "Set allow_advanced_tier: true (an Advanced parameter costs money and cannot go back), or leave out mounts.", Cause: err,
	}
}

func ledgerPut(w World, wish Wish, entry custody.Entry, action Action, reason string) (Step, error) {
	document, err := custody.Encode(entry)
	if err == nil && document.Len() > standardLimit && entry.Proof != nil {
		// Where both do not fit, the proof's digest stays: what the run returned can still be held against it.
		entry.Proof = nil
		document, err = custody.Encode(entry)
	}
	if err != nil {
		return Step{}, err
	}
	name := custody.LedgerName(wish.Names.Custody, entry.RotationID)
	return Step{Action: action, Target: name, Reason: reason, Write: &Write{Kind: Put, Name: name, Value: document, Type: "SecureString", KeyID: custodyKeyID(w, wish), After: entry.Version}}, nil
}

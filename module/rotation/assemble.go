package rotation

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// change is what prepare has decided: from which key to which, under which ledger entry, and what is left to write.
type change struct {
	p          picture
	entry      custody.Entry
	opened     bool // the ledger has the entry already
	fresh      bool // the new key was made by this run, so its name is known only to a run that writes
	current    key
	previous   key
	omnibus    bool   // the omnibus is still to be changed
	standalone []Step // the standalone parameters that are still to be written
}

// assemble puts the steps of prepared into the contract's order of writes.
func assemble(w World, wish Wish, c change) (Plan, error) {
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	plan := Plan{
		Phase: PhasePrepared, Before: PhaseDue, RotationID: c.entry.RotationID, Current: c.current.print, Previous: c.previous.print,
		Evidence: agreement(w, wish, c.p.standaloneCurrent, c.p.standalonePrevious), Escrow: custody.EscrowName(wish.Names.Custody, c.previous.print),
		Msg: fmt.Sprintf("Prepared rotation %s: key %s is replaced by %s.", c.entry.RotationID, c.previous.print, shown(c)),
	}
	if c.fresh {
		plan.Current, plan.Made = "", c.current.print
	}
	if !c.omnibus {
		plan.Before = PhasePrepared
	}
	begin, end, err := locked(w, wish, c.entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan.Warnings = begin.warnings
	escrow, err := escrowSteps(w, wish, c)
	if err != nil {
		return Plan{}, err
	}
	entry, open, err := ledgerOpen(w, wish, c)
	if err != nil {
		return Plan{}, err
	}
	plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
	var change []Step
	if c.omnibus && !wish.CaptureOnly {
		if wish.Baseline != nil {
			entry.Baseline = wish.Baseline // nothing was re-encrypted yet: the last look before is the one that counts
		}
		text, err := rewriteOmnibus(w, wish, c)
		if err != nil {
			return Plan{}, omnibusFault(w.SSM.Omnibus.Name, err)
		}
		change = append(change, Step{
			Action: ActPutOmnibus, Target: w.SSM.Omnibus.Name, Write: over(w.SSM.Omnibus, secret.New(string(text)), ""),
			Reason: "new key, previous key and switch in one put, so that terraform never finds half of it (page 2.1)",
		})
	}
	change = append(change, c.standalone...)
	found, err := captures(w, wish, c.p, entry, escrow, change)
	if err != nil {
		return Plan{}, err
	}
	escrow = append(escrow, found...)
	if wish.CaptureOnly {
		return captured(wish, c, plan, slices.Concat(escrow, open), begin, end)
	}
	steps := slices.Concat(begin.steps, escrow, open, change)
	entry.Lock = begin.number
	entry.Versions = map[string]int64{}
	for _, step := range steps {
		if step.Write.Kind == Put && step.Action != ActUpdateLedger {
			entry.Versions[step.Write.Name] = step.Write.After + 1
		}
	}
	maps.DeleteFunc(entry.Versions, func(_ string, version int64) bool { return version == 0 })
	entry.Stage, entry.PreparedAt = custody.StagePrepared, w.Now
	record, err := ledgerPut(w, wish, entry, ActRecordPrepared, "omnibus and standalone parameters are written")
	if err != nil {
		return Plan{}, err
	}
	plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
	plan.Steps = slices.Concat(steps, []Step{record}, end)
	return plan, fit(plan.Steps, wish)
}

// captured ends prepared once both keys are in escrow and the ledger is open (page step 1.3): the Platform's parameters are as before.
func captured(wish Wish, c change, plan Plan, capture []Step, begin taking, end []Step) (Plan, error) {
	plan.Phase, plan.Before = PhaseDue, PhaseDue
	if !c.omnibus {
		plan.Phase, plan.Before = PhasePrepared, PhasePrepared
	}
	plan.Current, plan.Previous, plan.Made = c.p.current.print, c.p.previous.print, ""
	if len(capture) == 0 {
		plan.Msg = fmt.Sprintf("Both keys of rotation %s are in escrow already.", plan.RotationID)
		plan.Warnings = nil
		plan.Steps = []Step{{Action: ActNothing, Target: custodyTarget(c.entry), Reason: "both keys are in escrow and the ledger is open", Done: true}}
		return plan, nil
	}
	plan.Msg = fmt.Sprintf("Both keys of rotation %s are in escrow and the ledger is open; the Platform's parameters are as before.", plan.RotationID)
	plan.Steps = slices.Concat(begin.steps, capture, end)
	return plan, fit(plan.Steps, wish)
}

func shown(c change) string {
	if c.fresh {
		return "a new one that the module makes"
	}
	return string(c.current.print)
}

// escrowSteps puts the retiring key, then the new one, where nothing overwrites them.
func escrowSteps(w World, wish Wish, c change) ([]Step, error) {
	var steps []Step
	retiring, held := w.Custody.Find(c.previous.print)
	switch {
	case held && !retiring.Key.Equal(c.previous.Secret):
		return nil, escrowConflict(wish, c.previous.print)
	case !held:
		deposit := custody.Deposit{
			App: wish.App, Fingerprint: c.previous.print, Key: c.previous.Secret, Origin: custody.OriginCaptured, Source: wish.Names.Omnibus,
			SourceAt: w.SSM.Omnibus.Version, RotationID: c.entry.RotationID, CapturedAt: w.Now, By: w.Caller, Backups: wish.Backups,
		}
		write, err := create(w, wish, custody.EscrowName(wish.Names.Custody, c.previous.print), deposit)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: ActEscrowRetiring, Target: write.Name, Write: write, Reason: "backups made before the rotation open with this key only" + tied(wish.Backups)})
	default:
		tie, err := tieStep(w, wish, c, retiring)
		if err != nil {
			return nil, err
		}
		steps = append(steps, tie...)
	}
	fresh, held := w.Custody.Find(c.current.print)
	if held && !fresh.Key.Equal(c.current.Secret) {
		return nil, escrowConflict(wish, c.current.print)
	}
	if held {
		return steps, nil
	}
	origin := custody.OriginGiven
	if c.fresh {
		origin = custody.OriginMade
	}
	write, err := create(w, wish, custody.EscrowName(wish.Names.Custody, c.current.print), custody.Deposit{
		App: wish.App, Fingerprint: c.current.print, Key: c.current.Secret, Origin: origin,
		RotationID: c.entry.RotationID, CapturedAt: w.Now, By: w.Caller,
	})
	if err != nil {
		return nil, err
	}
	target := write.Name
	if c.fresh {
		// Check mode and the run that follows make different keys; the plan is the same.
		target = custody.EscrowName(wish.Names.Custody, "<fingerprint of the new key>")
	}
	return append(steps, Step{Action: ActEscrowNew, Target: target, Write: write, Reason: "the new key is in escrow before it is anywhere else, so that a run that is cut off goes on with it"}), nil
}

// captures are the steps that must come before others: a key that one of those overwrites or deletes is in escrow first, whatever
// put it there. This is the one place that sees to it, and Check verifies it. planned are escrow steps that come before anyway.
func captures(w World, wish Wish, p picture, entry custody.Entry, planned, steps []Step) ([]Step, error) {
	names := map[string]bool{}
	for _, step := range planned {
		names[step.Write.Name] = true
	}
	var found []Step
	for _, step := range steps {
		targets := step.Write.Targets()
		if step.Action == ActPutOmnibus {
			targets = append(slices.Clone(targets), w.SSM.Current.Name, w.SSM.Previous.Name) // terraform makes them as the omnibus says
		}
		for _, target := range targets {
			parameter, _ := w.SSM.byName(target)
			for _, held := range keysIn(parameter, wish) {
				k := keyOf(held, p.prints)
				name := custody.EscrowName(wish.Names.Custody, k.print)
				deposit, there := w.Custody.Find(k.print)
				if there && !deposit.Key.Equal(k.Secret) {
					return nil, escrowConflict(wish, k.print)
				}
				if there || names[name] {
					continue
				}
				names[name] = true
				action, reason, backups := ActEscrowFound, "no other parameter may hold this key: it is in escrow before this one changes", []string(nil)
				if k.print == entry.Previous {
					action, reason, backups = ActEscrowRetiring, "backups made before the rotation open with this key only"+tied(entry.Backups), entry.Backups
				}
				write, err := create(w, wish, name, custody.Deposit{
					App: wish.App, Fingerprint: k.print, Key: k.Secret, Origin: custody.OriginCaptured, Source: parameter.Name, SourceAt: parameter.Version,
					RotationID: entry.RotationID, CapturedAt: w.Now, By: w.Caller, Backups: backups,
				})
				if err != nil {
					return nil, err
				}
				found = append(found, Step{Action: action, Target: name, Write: write, Reason: reason})
			}
		}
	}
	return found, nil
}

func tieStep(w World, wish Wish, c change, retiring custody.Deposit) ([]Step, error) {
	untied := retiring.Untied(wish.Backups)
	if len(untied) == 0 {
		return nil, nil
	}
	name := custody.TieName(wish.Names.Custody, c.previous.print, fmt.Sprintf("%s.%d", c.entry.RotationID, len(retiring.Ties)+1))
	write, err := create(w, wish, name, custody.Tie{Fingerprint: c.previous.print, RotationID: c.entry.RotationID, Backups: untied, At: w.Now, By: w.Caller})
	if err != nil {
		return nil, err
	}
	return []Step{{Action: ActTieBackups, Target: name, Write: write, Reason: "the key is in escrow already" + tied(untied)}}, nil
}

// later says whether a backup is named that was not when the rotation was begun.
func later(wish Wish, entry custody.Entry) bool {
	return slices.ContainsFunc(wish.Backups, func(backup string) bool { return !slices.Contains(entry.Backups, backup) })
}

// tieLater ties backups that were named after the rotation was begun to the key that it retires. Nothing else is to be done.
func tieLater(w World, wish Wish, p picture, entry custody.Entry, over Plan) (Plan, error) {
	if !later(wish, entry) {
		return tidy(w, entry, wish, over)
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	retired, held := w.Custody.Find(entry.Previous)
	untied := retired.Untied(wish.Backups)
	if !held || len(untied) == 0 {
		return tidy(w, entry, wish, over)
	}
	tie, err := tieStep(w, wish, change{p: p, entry: entry, previous: key{print: entry.Previous}}, retired)
	if err != nil {
		return Plan{}, err
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan := over
	plan.Msg = fmt.Sprintf("Tied %q to key %s, which rotation %s retires.", untied, entry.Previous, entry.RotationID)
	plan.Warnings, plan.Steps = begin.warnings, slices.Concat(begin.steps, tie, end)
	return plan, fit(plan.Steps, wish)
}

func tied(backups []string) string {
	if len(backups) == 0 {
		return "; no backup is tied to it (backups_waived)"
	}
	return fmt.Sprintf("; tied to %q", backups)
}

func escrowConflict(wish Wish, fingerprint secret.Fingerprint) *Fault {
	return &Fault{
		Code: CodeEscrowConflict, What: fmt.Sprintf("%s holds another key than its name says.", custody.EscrowName(wish.Names.Custody, fingerprint)),
		State: nothingWritten, Next: "Escrow is never overwritten. Find out who wrote there; move the parameter aside under another name, then run again.",
	}
}

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
	if reflect.DeepEqual(entry, c.entry) {
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
	return &Fault{
		Code: CodeTooLarge, What: fmt.Sprintf("The option platform has %d bytes; the ledger has room for %d.", len(text), platformLimit), State: nothingWritten,
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

// create writes a document of custody for the first time, under escrow_kms_key_id, else the KMS key that protects the omnibus.
func create(w World, wish Wish, name string, document any) (*Write, error) {
	value, err := custody.Encode(document)
	if err != nil {
		return nil, err
	}
	return &Write{Kind: Create, Name: name, Value: value, Type: "SecureString", KeyID: custodyKeyID(w, wish)}, nil
}

// custodyKeyID is the KMS key of what is new under custody_prefix.
func custodyKeyID(w World, wish Wish) string {
	if wish.EscrowKeyID != "" {
		return wish.EscrowKeyID
	}
	return w.SSM.Omnibus.KeyID
}

// over writes onto a parameter as it is: its KMS key, tier and policies stay. A parameter that does not exist is
// created under newKeyID.
func over(p Parameter, value secret.Secret, newKeyID string) *Write {
	if !p.Exists {
		return &Write{Kind: Create, Name: p.Name, Value: value, Type: "SecureString", KeyID: newKeyID}
	}
	return &Write{Kind: Put, Name: p.Name, Value: value, Type: p.Type, KeyID: p.KeyID, Tier: p.Tier, Policies: p.Policies, Pattern: p.Pattern, DataType: p.DataType, After: p.Version}
}

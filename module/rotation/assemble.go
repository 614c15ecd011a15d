package rotation

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// change is what prepare has decided: from which key to which, under which ledger entry, and what is left to write.
type change struct {
	view       view
	entry      custody.Entry
	opened     bool // the ledger has the entry already
	fresh      bool // the new key was made by this run, so its name is known only to a run that writes
	current    key
	previous   key
	omnibus    bool   // the omnibus is still to be changed
	standalone []Step // the standalone parameters that are still to be written
	adopted    bool   // somebody began it by hand
}

// assemble puts the steps of prepared into the contract's order of writes.
func assemble(o Observed, desired Desired, c change) (Plan, error) {
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	plan := Plan{
		Phase: PhasePrepared, Before: PhaseDue, RotationID: c.entry.RotationID, Current: c.current.fingerprint, Previous: c.previous.fingerprint,
		Evidence: agreement(o, desired, c.view.standaloneCurrent, c.view.standalonePrevious), Escrow: custody.EscrowName(desired.Names.Custody, c.previous.fingerprint),
		Msg: fmt.Sprintf("Prepared rotation %s: key %s is replaced by %s.", c.entry.RotationID, c.previous.fingerprint, shown(c)),
	}
	if c.fresh {
		plan.Current, plan.Made = "", c.current.fingerprint
	}
	if !c.omnibus || c.adopted {
		plan.Before = PhasePrepared
	}
	if c.adopted {
		plan.Msg = fmt.Sprintf("Took over the rotation from key %s to %s that was begun by hand, as %s.", c.previous.fingerprint, c.current.fingerprint, c.entry.RotationID)
	}
	escrow, err := escrowSteps(o, desired, c)
	if err != nil {
		return Plan{}, err
	}
	entry, open, err := ledgerOpen(o, desired, c)
	if err != nil {
		return Plan{}, err
	}
	plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
	change, err := platformSteps(o, desired, c, &entry)
	if err != nil {
		return Plan{}, err
	}
	found, err := captures(o, desired, c.view, entry, escrow, change)
	if err != nil {
		return Plan{}, err
	}
	escrow = append(escrow, found...)
	if desired.CaptureOnly {
		return captured(c, plan, slices.Concat(escrow, open))
	}
	plan.Steps = slices.Concat(escrow, open, change)
	entry.Lock, entry.Versions = nextLock(o), map[string]int64{}
	for _, step := range plan.Steps {
		if step.Write.Kind == Put && step.Action != ActUpdateLedger {
			entry.Versions[step.Write.Name] = step.Write.After + 1
		}
	}
	entry.Stage, entry.PreparedAt = custody.StagePrepared, o.Now
	plan.Steps = append(plan.Steps, ledgerPut(o, desired, entry, ActRecordPrepared, "omnibus and standalone parameters are written"))
	plan.Baseline, plan.Platform = entry.Baseline, entry.Platform
	return plan, nil
}

// platformSteps are the writes to the Platform's own parameters.
func platformSteps(o Observed, desired Desired, c change, entry *custody.Entry) ([]Step, error) {
	if !c.omnibus || desired.CaptureOnly {
		return c.standalone, nil
	}
	if desired.Baseline != nil {
		entry.Baseline = desired.Baseline // nothing was re-encrypted yet: the last look before is the one that counts
	}
	step, err := rewriteOmnibus(o, desired, c, "new key, previous key and switch in one put, so that terraform never finds half of it (page 2.1)")
	return append([]Step{step}, c.standalone...), err
}

// captured ends prepared once both keys are in escrow and the ledger is open (page step 1.3): the Platform's parameters are as before.
func captured(c change, plan Plan, capture []Step) (Plan, error) {
	plan.Phase, plan.Before = PhaseDue, PhaseDue
	if !c.omnibus {
		plan.Phase, plan.Before = PhasePrepared, PhasePrepared
	}
	plan.Current, plan.Previous, plan.Made = c.view.current.fingerprint, c.view.previous.fingerprint, ""
	if len(capture) == 0 {
		plan.Msg = fmt.Sprintf("Both keys of rotation %s are in escrow already.", plan.RotationID)
		plan.Steps = []Step{{Action: ActNothing, Target: custodyTarget(c.entry), Reason: "both keys are in escrow and the ledger is open", Done: true}}
		return plan, nil
	}
	plan.Msg = fmt.Sprintf("Both keys of rotation %s are in escrow and the ledger is open; the Platform's parameters are as before.", plan.RotationID)
	plan.Steps = capture
	return plan, nil
}

func shown(c change) string {
	if c.fresh {
		return "a new one that the module makes"
	}
	return string(c.current.fingerprint)
}

// create writes a document of custody for the first time, under escrow_kms_key_id, else the KMS key that protects the omnibus.
func create(o Observed, desired Desired, name string, document any) *Write {
	return newParameter(name, custody.Encode(document), cmp.Or(desired.EscrowKeyID, o.SSM.Omnibus.KeyID))
}

// update writes onto a document of custody. One that this plan created has no attributes yet.
func update(o Observed, desired Desired, name string, document any, kept custody.Attributes, after int64) *Write {
	write := create(o, desired, name, document)
	write.Kind, write.After = Put, after
	if kept.KeyID != "" {
		write.Attributes = kept
	}
	return write
}

func newParameter(name string, value secret.Secret, keyID string) *Write {
	return &Write{Kind: Create, Name: name, Value: value, Type: "SecureString", Attributes: custody.Attributes{KeyID: keyID}}
}

// putOmnibus edits the document and writes it. The edit's errors are those of package omnibus.
func putOmnibus(o Observed, reason string, edit func(*omnibus.Document) error) (Step, error) {
	document, err := omnibus.Parse([]byte(o.SSM.Omnibus.Value.Reveal()))
	if err == nil {
		err = edit(document)
	}
	if err != nil {
		return Step{}, omnibusFault(o.SSM.Omnibus.Name, err)
	}
	return Step{Action: ActPutOmnibus, Target: o.SSM.Omnibus.Name, Write: overwrite(o.SSM.Omnibus, secret.New(string(document.Bytes())), ""), Reason: reason}, nil
}

// overwrite keeps a parameter's KMS key, tier and policies. A missing parameter is created under newKeyID.
func overwrite(p Parameter, value secret.Secret, newKeyID string) *Write {
	if !p.Exists {
		return newParameter(p.Name, value, newKeyID)
	}
	return &Write{Kind: Put, Name: p.Name, Value: value, Type: p.Type, Attributes: p.Attributes, After: p.Version}
}

// adopt takes over a rotation that somebody began by hand: both keys go into escrow, the ledger gets its entry, what is missing is
// written. A signed look must have found that the two keys open the records.
func adopt(o Observed, desired Desired, v view, entry custody.Entry, known bool) (Plan, error) {
	previous := v.previous
	for _, other := range []key{v.standalonePrevious, keyOf(o.SSM.LegacyPrevious.Value, v.prints)} {
		if previous.IsEmpty() {
			previous = other
		}
	}
	switch {
	case previous.IsEmpty() || previous.Equal(v.current.Secret):
		return Plan{}, fault.New(fault.CodeInconsistent, "Find the previous key (aws ssm get-parameter-history of the omnibus and of the standalone parameters) and put it there, or switch the rotation off; docs/errors.md (inconsistent) has the commands.",
			"The omnibus %s has the switch of a rotation, but no parameter has its previous key (the current one is %s).", o.SSM.Omnibus.Name, v.current.fingerprint)
	case known && (entry.Previous != previous.fingerprint || entry.Current != v.current.fingerprint):
		return Plan{}, unexplained(o, v, entry, known)
	case !desired.NewKey.IsEmpty() && !desired.NewKey.Equal(v.current.Secret) || desired.FromEscrow != "" && desired.FromEscrow != v.current.fingerprint:
		return Plan{}, fault.New(fault.CodeRotationOpen, "Leave both out and finish this rotation first.",
			"The rotation that was begun by hand goes to key %s; new_secret or new_secret_from_escrow is another one.", v.current.fingerprint)
	}
	if err := desired.Proof.ValidateExplained(o.Now, desired.App, v.current.fingerprint, previous.fingerprint, v.prints, v.current.Secret); err != nil {
		return Plan{}, err
	}
	if !known {
		entry = desired.namedEntry()
	}
	c := change{view: v, entry: entry, opened: known, current: v.current, previous: previous, omnibus: !v.whole() || v.misnamed, adopted: true}
	c.standalone = standaloneSteps(o, desired, c.current, c.previous, chunkWanted(desired))
	return assemble(o, desired, c)
}

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

// change is what the planner has decided: the two keys, the ledger entry and what is left to write.
type change struct {
	view       view
	entry      custody.Entry
	opened     bool // the ledger has the entry already
	fresh      bool // this run made the new key, so a dry run must not show its fingerprint
	current    key
	previous   key
	omnibus    bool   // the omnibus must still be changed
	standalone []Step // writes of the standalone parameters that are still missing
	adopted    bool   // somebody started the rotation by hand
}

// assemble returns the plan of prepared, with its steps in the right order.
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
		plan.Msg = fmt.Sprintf("Took over the rotation from key %s to %s, which was started by hand, as %s.", c.previous.fingerprint, c.current.fingerprint, c.entry.RotationID)
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
	entry.Versions = map[string]int64{}
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

// platformSteps returns the writes to the Platform's own parameters.
func platformSteps(o Observed, desired Desired, c change, entry *custody.Entry) ([]Step, error) {
	if !c.omnibus || desired.CaptureOnly {
		return c.standalone, nil
	}
	if desired.Baseline != nil {
		entry.Baseline = desired.Baseline // nothing is re-encrypted yet, so the latest baseline counts
	}
	step, err := rewriteOmnibus(o, desired, c, "new key, previous key and switch in one put, so that terraform never sees only a part of them (page 2.1)")
	return append([]Step{step}, c.standalone...), err
}

// captured returns the plan of prepared with capture_only: it ends once both keys are in escrow and the ledger entry is open (page step
// 1.3). The Platform's parameters do not change.
func captured(c change, plan Plan, capture []Step) (Plan, error) {
	plan.Phase, plan.Before = PhaseDue, PhaseDue
	if !c.omnibus {
		plan.Phase, plan.Before = PhasePrepared, PhasePrepared
	}
	plan.Current, plan.Previous, plan.Made = c.view.current.fingerprint, c.view.previous.fingerprint, ""
	if len(capture) == 0 {
		plan.Msg = fmt.Sprintf("Both keys of rotation %s are already in escrow.", plan.RotationID)
		plan.Steps = []Step{{Action: ActNothing, Target: custodyTarget(c.entry), Reason: "both keys are in escrow and the ledger entry is open", Done: true}}
		return plan, nil
	}
	plan.Msg = fmt.Sprintf("Both keys of rotation %s are in escrow, and the ledger entry is open. The Platform's parameters are unchanged.", plan.RotationID)
	plan.Steps = capture
	return plan, nil
}

func shown(c change) string {
	if c.fresh {
		return "a new one that the module makes"
	}
	return string(c.current.fingerprint)
}

// create returns the write that creates a custody document, with the KMS key escrow_kms_key_id or else that of the omnibus.
func create(o Observed, desired Desired, name string, document any) *Write {
	return newParameter(name, custody.Encode(document), cmp.Or(desired.EscrowKeyID, o.SSM.Omnibus.KeyID))
}

// update returns the write that overwrites a custody document. kept is empty if this plan created the document.
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

// putOmnibus returns the step that writes the edited omnibus. edit returns errors of package omnibus.
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

// overwrite returns the write that changes a parameter's value and keeps its KMS key, tier and policies. A missing parameter is created
// with the KMS key newKeyID.
func overwrite(p Parameter, value secret.Secret, newKeyID string) *Write {
	if !p.Exists {
		return newParameter(p.Name, value, newKeyID)
	}
	return &Write{Kind: Put, Name: p.Name, Value: value, Type: p.Type, Attributes: p.Attributes, After: p.Version}
}

// adopt plans to take over a rotation that somebody started by hand: it puts both keys into escrow, opens the ledger entry and writes
// what is missing. It requires a proof that the two keys open the records.
func adopt(o Observed, desired Desired, v view, entry custody.Entry, known bool) (Plan, error) {
	previous := v.previous
	for _, other := range []key{v.standalonePrevious, keyOf(o.SSM.LegacyPrevious.Value, v.prints)} {
		if previous.IsEmpty() {
			previous = other
		}
	}
	switch {
	case previous.IsEmpty() || previous.Equal(v.current.Secret):
		return Plan{}, fault.New(fault.CodeInconsistent, "Find the previous key (aws ssm get-parameter-history of the omnibus and of the standalone parameters) and restore it, or switch the rotation off; docs/errors.md (inconsistent) has the commands.",
			"The omnibus %s has the switch of a rotation, but no parameter has the previous key (the current key is %s).", o.SSM.Omnibus.Name, v.current.fingerprint)
	case known && (entry.Previous != previous.fingerprint || entry.Current != v.current.fingerprint):
		return Plan{}, unexplained(o, v, entry, known)
	case !desired.NewKey.IsEmpty() && !desired.NewKey.Equal(v.current.Secret) || desired.FromEscrow != "" && desired.FromEscrow != v.current.fingerprint:
		return Plan{}, fault.New(fault.CodeRotationOpen, "Leave both out and finish this rotation first.",
			"The rotation that was started by hand goes to key %s, but new_secret or new_secret_from_escrow is a different key.", v.current.fingerprint)
	}
	if err := desired.Proof.ValidateExplained(o.Now, desired.App, v.current.fingerprint, previous.fingerprint, v.prints, v.current.Secret); err != nil {
		return Plan{}, err
	}
	if !known {
		entry = desired.namedEntry()
	}
	steps := standaloneSteps(o, desired, v.current, previous, chunkWanted(desired))
	return assemble(o, desired, change{view: v, entry: entry, opened: known, current: v.current, previous: previous, omnibus: !v.whole() || v.misnamed, standalone: steps, adopted: true})
}

// rewriteOmnibus returns the step that writes the omnibus of a prepared rotation (page step 2.1).
func rewriteOmnibus(o Observed, desired Desired, c change, reason string) (Step, error) {
	return putOmnibus(o, reason, func(document *omnibus.Document) error {
		err := setEntry(document, EntryCurrent, EntryPrevious, desired.Names.Previous, c.previous.Reveal())
		if err == nil {
			err = setEntry(document, EntryPrevious, EntrySwitch, desired.Names.Switch, "true")
		}
		if chunk := chunkWanted(desired); err == nil && chunk != nil {
			err = setEntry(document, EntrySwitch, EntryChunkSize, desired.Names.ChunkSize, *chunk)
		}
		if err == nil {
			err = document.SetValue(EntryCurrent, c.current.Reveal())
		}
		return err
	})
}

// setEntry sets the value of an entry. It inserts a new entry after the one called after.
func setEntry(document *omnibus.Document, after, name, ssmKey, value string) error {
	entry, there, err := document.Find(name)
	switch {
	case err != nil:
		return err
	case there && entry.SSMKey == ssmKey:
		return document.SetValue(name, value)
	case there: // its ssm_key is not the one that the Platform reads
		if err := document.Remove(name); err != nil {
			return err
		}
	}
	return document.InsertAfter(after, name, ssmKey, value)
}

package rotation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// PreviewFinalize plans the state finalized for the parameters as plan will leave them, with a made-up proof. A dry run shows the
// result. Like Make, it may return a plan that needs something.
func PreviewFinalize(o Observed, desired Desired, plan Plan, prints proof.Fingerprinter) (Plan, error) {
	after, err := o.after(desired, plan)
	if err != nil {
		return Plan{}, err
	}
	last := desired
	last.State, last.RotationID, last.NewKey, last.FromEscrow, last.MaxAgeDays = StateFinalized, plan.RotationID, secret.Secret{}, "", nil
	v, err := newView(after, last, prints)
	if err != nil {
		return Plan{}, err
	}
	if desired.Standalone == StandaloneDelete && plan.Writes() {
		after = after.terraformed(v)
	}
	entry, _ := after.Custody.Entry(plan.RotationID)
	proved := proof.Proof{
		Format: proof.Format, App: desired.App, RotationID: plan.RotationID, Previous: entry.Previous, Current: entry.Current,
		Verify: []proof.Verify{proof.VerifyDatabase}, Total: 1, Proved: 1, MadeAt: o.Now,
	}
	if b := entry.Baseline; b != nil {
		proved.Before = &proof.Before{Digest: b.Digest, Total: 1}
	}
	proved.Sign(prints, v.current.Secret)
	last.Proof = &proved
	return Make(after, last, prints)
}

// clone returns a copy in which write may change the custody documents.
func (o Observed) clone() Observed {
	o.Custody.Locks, o.Custody.Ledger, o.Custody.Escrow = slices.Clone(o.Custody.Locks), slices.Clone(o.Custody.Ledger), slices.Clone(o.Custody.Escrow)
	return o
}

// after returns what will be observed once the plan's writes are carried out.
func (o Observed) after(desired Desired, plan Plan) (Observed, error) {
	o = o.clone()
	for _, step := range plan.Steps {
		if step.Write == nil {
			continue
		}
		if err := o.write(desired.Names.Custody, *step.Write); err != nil {
			return Observed{}, err
		}
	}
	return o, nil
}

// Reached returns the phase that a plan reached before it failed, and the keys that are then in use. The phase is Before, unless a
// completed step changed the Platform's parameters.
func (p Plan) Reached(o Observed, desired Desired, prints proof.Fingerprinter) (Phase, secret.Fingerprints) {
	done, changed := Plan{}, false
	for _, step := range p.Steps {
		if step.Write == nil || !step.Done {
			continue
		}
		done.Steps = append(done.Steps, step)
		_, ours := o.SSM.byName(step.Write.Name)
		changed = changed || ours
	}
	after, err := o.after(desired, done)
	if err != nil {
		return p.Before, secret.Fingerprints{}
	}
	view, err := newView(after, desired, prints)
	keys := secret.Fingerprints{Current: cmp.Or(view.standaloneCurrent.fingerprint, view.current.fingerprint), Previous: view.standalonePrevious.fingerprint}
	switch {
	case !changed:
		return p.Before, keys
	case err != nil:
		return PhaseInconsistent, keys
	}
	return observedPlan(after, desired, view).Phase, keys
}

// write applies a write to the observation, as it would be applied to SSM.
func (o *Observed) write(prefix string, write Write) error {
	for _, name := range write.Targets() {
		for _, parameter := range o.SSM.All() {
			if parameter.Name == name {
				parameter.Exists, parameter.Value, parameter.Type, parameter.Version = write.Kind != Delete, write.Value, write.Type, write.After+1
			}
		}
		if err := o.Custody.Replace(prefix, name, write.Kind != Delete, write.Value, write.After+1); err != nil {
			return &fault.Fault{Code: fault.CodeInternal, What: err.Error(), Cause: err}
		}
		if kept := o.Custody.Rewritable(prefix)[name]; kept != nil {
			*kept = write.Attributes
		}
	}
	return nil
}

// terraformed returns what will be observed after terraform apply, which creates the missing parameters from the omnibus.
func (o Observed) terraformed(v view) Observed {
	for parameter, value := range map[*Parameter]secret.Secret{&o.SSM.Current: v.current.Secret, &o.SSM.Previous: v.previous.Secret, &o.SSM.Switch: secret.New("true")} {
		if !parameter.Exists {
			parameter.Exists, parameter.Value, parameter.Type = true, value, "SecureString"
		}
	}
	return o
}

// Diff is one entry of Ansible's diff: before and after as text, with keys as fingerprints.
type Diff struct {
	BeforeHeader string `json:"before_header"`
	AfterHeader  string `json:"after_header"`
	Before       string `json:"before"`
	After        string `json:"after"`
}

// Diffs returns what the plan changes in the Platform's parameters, one entry per parameter, in the order of the steps.
func (p Plan) Diffs(o Observed, desired Desired, prints proof.Fingerprinter) []Diff {
	prints = planned{prints, p.Made}
	diffs := []Diff{}
	for _, step := range p.Steps {
		before, ours := o.SSM.byName(step.Target)
		if step.Write == nil || !ours {
			continue
		}
		after := ""
		if step.Write.Kind != Delete {
			after = describe(before.Name, step.Write.Value, desired, prints)
		}
		diffs = append(diffs, Diff{BeforeHeader: before.Name, AfterHeader: before.Name, Before: describe(before.Name, before.Value, desired, prints), After: after})
	}
	return diffs
}

func (p Parameters) byName(name string) (Parameter, bool) {
	for _, parameter := range p.All() {
		if parameter.Name == name && name != "" {
			return *parameter, true
		}
	}
	return Parameter{}, false
}

func describe(name string, value secret.Secret, desired Desired, prints proof.Fingerprinter) string {
	switch {
	case value.IsEmpty():
		return ""
	case name == desired.Names.Switch || name == desired.Names.ChunkSize:
		return custody.Plainly(value.Reveal()) + "\n"
	case name != desired.Names.Omnibus:
		return "key " + string(prints.Of(value)) + "\n"
	}
	document, err := omnibus.Parse([]byte(value.Reveal()))
	if err != nil {
		return ""
	}
	var lines strings.Builder
	for _, entry := range []string{EntryCurrent, EntryPrevious, EntrySwitch, EntryChunkSize} {
		found, ok, err := document.Find(entry)
		if err != nil || !ok {
			continue
		}
		shown := custody.Plainly(found.Value)
		if entry == EntryCurrent || entry == EntryPrevious {
			shown = "key " + string(prints.Of(secret.New(found.Value)))
		}
		fmt.Fprintf(&lines, "%s: %s\n", entry, shown)
	}
	return lines.String()
}

// planned replaces the fingerprint of a key that does not exist yet with a description, because the next run makes another key.
type planned struct {
	proof.Fingerprinter
	made secret.Fingerprint
}

// Of returns the fingerprint of a key, or the description of the planned key.
func (p planned) Of(key secret.Secret) secret.Fingerprint {
	if known := p.Fingerprinter.Of(key); known != p.made || known == "" {
		return known
	}
	return "(a new one that the module makes)"
}

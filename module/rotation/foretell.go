package rotation

import (
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Foretell plans the state finalized for the world as it will be once the plan of prepared is carried out and every record
// is proved: what a dry run shows of the end. It is Make itself that plans; only the world and the proof are imagined. A plan
// that needs something comes back as Make's does.
func Foretell(w World, wish Wish, plan Plan, prints proof.Fingerprinter) (Plan, error) {
	after, err := w.after(wish, plan)
	if err != nil {
		return Plan{}, err
	}
	last := wish
	last.State, last.RotationID, last.NewKey, last.FromEscrow, last.MaxAgeDays = StateFinalized, plan.RotationID, secret.Secret{}, "", nil
	p, err := look(after, last, prints)
	if err != nil {
		return Plan{}, err
	}
	if wish.Standalone == StandaloneDelete && plan.Writes() {
		after = after.terraformed(p)
	}
	entry, _ := after.Custody.Entry(plan.RotationID)
	proved := proof.Proof{
		Format: proof.Format, App: wish.App, RotationID: plan.RotationID, Previous: entry.Previous, Current: entry.Current,
		Verify: []proof.Verify{proof.VerifyDatabase}, Total: 1, Proved: 1, MadeAt: w.Now,
	}
	if b := entry.Baseline; b != nil {
		proved.Before = &proof.Before{Digest: b.Digest, Total: 1}
	}
	proved.Sign(prints, p.current.Secret)
	last.Proof = &proved
	return Make(after, last, prints)
}

// after is the world once the plan's writes are carried out.
func (w World) after(wish Wish, plan Plan) (World, error) {
	w.Custody.Locks, w.Custody.Ledger, w.Custody.Escrow = slices.Clone(w.Custody.Locks), slices.Clone(w.Custody.Ledger), slices.Clone(w.Custody.Escrow)
	for _, step := range plan.Steps {
		if step.Write == nil {
			continue
		}
		if err := w.write(wish.Names.Custody, *step.Write); err != nil {
			return World{}, err
		}
	}
	return w, nil
}

// Reached is the phase of a plan that was cut off: the one that was found, unless a step that was carried out changed the
// Platform's parameters.
func (p Plan) Reached(w World, wish Wish, prints proof.Fingerprinter) Phase {
	done, changed := Plan{}, false
	for _, step := range p.Steps {
		if step.Write == nil || !step.Done {
			continue
		}
		done.Steps = append(done.Steps, step)
		_, ours := w.SSM.byName(step.Write.Name)
		changed = changed || ours
	}
	after, err := w.after(wish, done)
	if err != nil || !changed {
		return p.Before
	}
	view, err := look(after, wish, prints)
	if err != nil {
		return PhaseInconsistent
	}
	return observe(after, wish, view).Phase
}

// write does to the observed world what Apply does to SSM.
func (w *World) write(prefix string, write Write) error {
	for _, name := range write.Targets() {
		for _, parameter := range w.SSM.All() {
			if parameter.Name == name {
				parameter.Exists, parameter.Value, parameter.Type, parameter.Version = write.Kind != Delete, write.Value, write.Type, write.After+1
			}
		}
		if err := w.Custody.Replace(prefix, name, write.Kind != Delete, write.Value, write.After+1); err != nil {
			return &fault.Fault{Code: fault.CodeInternal, What: err.Error(), Cause: err}
		}
	}
	return nil
}

// terraformed is what `terraform apply` leaves: a parameter for each of the omnibus's entries that matter here.
func (w World) terraformed(p picture) World {
	for parameter, value := range map[*Parameter]secret.Secret{&w.SSM.Current: p.current.Secret, &w.SSM.Previous: p.previous.Secret, &w.SSM.Switch: secret.New("true")} {
		if !parameter.Exists {
			parameter.Exists, parameter.Value, parameter.Type = true, value, "SecureString"
		}
	}
	return w
}

package rotation

import (
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Check simulates the plan. It refuses a plan in which a step overwrites, deletes or writes a key that is not in escrow (promises 1, 7
// and 10), changes escrow, or turns the switch on without its key. A plan that fails here is a bug in the planner.
func (p Plan) Check(o Observed, desired Desired) error {
	o = o.clone()
	blindBefore := blindSwitch(o, desired)
	for i, step := range p.Steps {
		if step.Write == nil {
			continue
		}
		wrong := unlawful(o, desired, *step.Write)
		if wrong == "" {
			if err := o.write(desired.Names.Custody, *step.Write); err != nil {
				return err
			}
		}
		blind := blindSwitch(o, desired)
		blindBefore = blindBefore && blind
		if wrong == "" && blind && !blindBefore {
			wrong = "the switch would be on without a previous key"
		}
		if wrong != "" {
			return fault.New(fault.CodeInternal, "This is a bug in this tool. Please report it with this message.",
				"The plan is wrong at step %d (%s %s): %s.", i+1, step.Action, step.Target, wrong)
		}
	}
	return nil
}

// unlawful says what is wrong with a write, or returns "".
func unlawful(o Observed, desired Desired, write Write) string {
	for _, name := range write.Targets() {
		if strings.HasPrefix(name, desired.Names.Custody+"/escrow/") && write.Kind != Create {
			return "escrow is never overwritten or deleted"
		}
		before, ours := o.SSM.byName(name)
		if !ours {
			continue
		}
		after := before
		after.Value = write.Value
		for _, k := range append(keysIn(before, desired), keysIn(after, desired)...) {
			if !escrowed(o.Custody, k) {
				return "a key that is not in escrow would be overwritten, deleted or used"
			}
		}
	}
	return ""
}

// keysIn returns the keys that one of the Platform's parameters contains.
func keysIn(p Parameter, desired Desired) []secret.Secret {
	switch {
	case p.Value.IsEmpty() || p.Name == desired.Names.Switch || p.Name == desired.Names.ChunkSize:
		return nil
	case p.Name != desired.Names.Omnibus:
		return []secret.Secret{p.Value}
	}
	document, err := omnibus.Parse([]byte(p.Value.Reveal()))
	if err != nil {
		return nil // unreachable: newView has refused it
	}
	var keys []secret.Secret
	for _, name := range []string{EntryCurrent, EntryPrevious} {
		if entry, ok, err := document.Find(name); err == nil && ok && entry.Value != "" {
			keys = append(keys, secret.New(entry.Value))
		}
	}
	return keys
}

func escrowed(inventory custody.Inventory, k secret.Secret) bool {
	return slices.ContainsFunc(inventory.Escrow, func(d custody.EscrowedKey) bool { return d.Held && d.Key.Equal(k) })
}

// blindSwitch reports whether the switch is on without a previous key.
func blindSwitch(o Observed, desired Desired) bool {
	return o.SSM.Switch.On() && !o.SSM.Previous.Exists && desired.Names.Omnibus != ""
}

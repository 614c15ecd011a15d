package rotation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Check plays the plan through on a copy of the world and refuses it if one of its steps overwrites or deletes a parameter
// that holds a key, or writes a key, before that key is in escrow (promises 1, 7 and 10), if it touches what is in escrow, or
// if it turns the switch on without its key. A plan that fails here is a mistake of ours, found before it is carried out.
func (p Plan) Check(w World, wish Wish) error {
	w.Custody.Locks, w.Custody.Ledger, w.Custody.Escrow = slices.Clone(w.Custody.Locks), slices.Clone(w.Custody.Ledger), slices.Clone(w.Custody.Escrow)
	blindBefore := blindSwitch(w, wish)
	for i, step := range p.Steps {
		if step.Write == nil {
			continue
		}
		wrong := unlawful(w, wish, *step.Write)
		if wrong == "" {
			if err := w.write(wish.Names.Custody, *step.Write); err != nil {
				return err
			}
		}
		blind := blindSwitch(w, wish)
		blindBefore = blindBefore && blind
		if wrong == "" && blind && !blindBefore {
			wrong = "the switch would be on without a previous key"
		}
		if wrong != "" {
			return &fault.Fault{
				Code: fault.CodeInternal, What: fmt.Sprintf("The plan is wrong at step %d (%s %s): %s.", i+1, step.Action, step.Target, wrong),
				Next: "This is a mistake of this tool; please report it with this message.",
			}
		}
	}
	return nil
}

// unlawful says what is wrong with a write, or nothing.
func unlawful(w World, wish Wish, write Write) string {
	for _, name := range write.Targets() {
		if strings.HasPrefix(name, wish.Names.Custody+"/escrow/") && write.Kind != Create {
			return "escrow is never overwritten or deleted"
		}
		before, ours := w.SSM.byName(name)
		if !ours {
			continue
		}
		after := before
		after.Value = write.Value
		for _, k := range append(keysIn(before, wish), keysIn(after, wish)...) {
			if !escrowed(w.Custody, k) {
				return "a key that is not in escrow would be overwritten, deleted or used"
			}
		}
	}
	return ""
}

// keysIn are the keys that one of the Platform's parameters holds.
func keysIn(p Parameter, wish Wish) []secret.Secret {
	switch {
	case p.Value.IsEmpty() || p.Name == wish.Names.Switch || p.Name == wish.Names.ChunkSize:
		return nil
	case p.Name != wish.Names.Omnibus:
		return []secret.Secret{p.Value}
	}
	document, err := omnibus.Parse([]byte(p.Value.Reveal()))
	if err != nil {
		return nil // look refused it already
	}
	var keys []secret.Secret
	for _, name := range []string{EntryCurrent, EntryPrevious} {
		if entry, ok, err := document.Find(name); err == nil && ok && entry.Value != "" {
			keys = append(keys, secret.New(entry.Value))
		}
	}
	return keys
}

func escrowed(shelf custody.Shelf, k secret.Secret) bool {
	return slices.ContainsFunc(shelf.Escrow, func(d custody.Deposit) bool { return d.Held && d.Key.Equal(k) })
}

// blindSwitch says whether the switch is on without a previous key.
func blindSwitch(w World, wish Wish) bool {
	return w.SSM.Switch.On() && !w.SSM.Previous.Exists && wish.Names.Omnibus != ""
}

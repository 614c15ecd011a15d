package rotation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Check plays the plan through on a copy of the parameters and refuses it if, after any of its steps, a key that some
// record may need is nowhere in SSM (promise 1), a new key is in use before it is in escrow (promise 7), or the switch
// is on without its key; if it was so already, it may be until a step mends it. A plan that fails here is a mistake of ours,
// found before it is carried out.
func (p Plan) Check(w World, wish Wish, needed []key) error {
	store := map[string]secret.Secret{}
	for _, parameter := range w.SSM.All() {
		if parameter.Exists {
			store[parameter.Name] = parameter.Value
		}
	}
	for _, deposit := range w.Custody.Escrow {
		store[wish.Names.Custody+"/escrow/"+string(deposit.Fingerprint)] = deposit.Key
	}
	found := blindSwitch(store, wish)
	for i, step := range p.Steps {
		if step.Write == nil {
			continue
		}
		if step.Write.Kind == Delete {
			for _, name := range step.Write.Names {
				delete(store, name)
			}
		} else {
			store[step.Write.Name] = step.Write.Value
		}
		blind := blindSwitch(store, wish)
		found = found && blind
		if fault := lawful(store, wish, needed, blind && !found); fault != "" {
			return &Fault{
				Code: CodeInternal, What: fmt.Sprintf("The plan is wrong: after step %d (%s %s), %s.", i+1, step.Action, step.Target, fault),
				State: nothingWritten, Next: "This is a mistake of this tool; please report it with this message.",
			}
		}
	}
	return nil
}

// blindSwitch says whether the switch is on without a previous key.
func blindSwitch(store map[string]secret.Secret, wish Wish) bool {
	_, ok := store[wish.Names.Previous]
	return store[wish.Names.Switch].Reveal() == "true" && !ok && wish.Names.Omnibus != ""
}

// lawful says what is wrong with the parameters as they would be, or nothing.
func lawful(store map[string]secret.Secret, wish Wish, needed []key, blinded bool) string {
	for _, k := range needed {
		if !anywhere(store, k.Secret, "") {
			return fmt.Sprintf("key %s would be in no parameter", k.print)
		}
	}
	current, ok := store[wish.Names.Current]
	if ok && !known(current, needed) && !anywhere(store, current, wish.Names.Custody+"/escrow/") {
		return "a new key would be in use without being in escrow"
	}
	if blinded {
		return "the switch would be on without a previous key"
	}
	return ""
}

func known(s secret.Secret, keys []key) bool {
	for _, k := range keys {
		if k.Equal(s) {
			return true
		}
	}
	return false
}

func anywhere(store map[string]secret.Secret, s secret.Secret, prefix string) bool {
	escaped := asInJSON(s)
	for name, value := range store {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if text := value.Reveal(); strings.Contains(text, s.Reveal()) || strings.Contains(text, escaped) {
			return true
		}
	}
	return false
}

// asInJSON is a key as it stands inside a JSON document, which differs for a key that has quotes or backslashes.
func asInJSON(s secret.Secret) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(s.Reveal()) != nil {
		return s.Reveal()
	}
	return strings.Trim(strings.TrimSpace(out.String()), `"`)
}

package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// standaloneSteps are the writes that make the standalone parameters agree with a prepared omnibus, in the
// contract's order: the switch is never on without its key.
func standaloneSteps(o Observed, desired Desired, current, previous key, chunk *string) []Step {
	if desired.Standalone == StandaloneDelete {
		return deleteStale(o, current)
	}
	var steps []Step
	put := func(action Action, parameter Parameter, value secret.Secret, reason string) {
		if parameter.Exists && parameter.Value.Equal(value) {
			return
		}
		// A new parameter goes under the KMS key of the standalone key, which the VM's instance role can use.
		steps = append(steps, Step{Action: action, Target: parameter.Name, Reason: reason, Write: overwrite(parameter, value, o.SSM.Current.KeyID)})
	}
	put(ActPutPrevious, o.SSM.Previous, previous.Secret, "the Platform opens records that are not re-encrypted yet with it")
	put(ActPutCurrent, o.SSM.Current, current.Secret, "the Platform writes with the new key from its next start on (page 2.2)")
	if chunk != nil {
		put(ActPutChunkSize, o.SSM.ChunkSize, secret.New(*chunk), "records per chunk, as chunk_size says")
	}
	put(ActPutSwitch, o.SSM.Switch, secret.New("true"), "cron re-encrypts at its next start; written last, so that it is never on without its key")
	return steps
}

// deleteStale is page step 2.2 to the letter: the current key is deleted and terraform creates all three.
func deleteStale(o Observed, current key) []Step {
	if !o.SSM.Current.Exists || o.SSM.Current.Value.Equal(current.Secret) {
		return nil
	}
	return []Step{{
		Action: ActDeleteCurrent, Target: o.SSM.Current.Name, Reason: "terraform apply creates it again from the omnibus (page 2.2)",
		Write: remove(o.SSM.Current.Name),
	}}
}

func remove(names ...string) *Write { return &Write{Kind: Delete, Name: names[0], Names: names} }

// agreement is the evidence that the standalone parameters say what a prepared omnibus says.
func agreement(o Observed, desired Desired, current, previous key) []proof.Evidence {
	left := standaloneSteps(o, Desired{Standalone: StandaloneWrite, Names: desired.Names}, current, previous, nil)
	evidence := proof.Evidence{Check: "standalone_agrees", OK: len(left) == 0, Detail: "current key, previous key and switch are as the omnibus has them"}
	if len(left) > 0 {
		evidence.Detail = fmt.Sprintf("not as the omnibus has it: %s", left[0].Target)
	}
	return []proof.Evidence{evidence}
}

const (
	standardLimit = 4096 // bytes of a Standard parameter's value (AWS: Parameter Store limits)
	advancedLimit = 8192 // bytes of an Advanced one
)

// chooseTiers checks every value against the limit of its tier, and raises a tier only where the operator allows it.
func chooseTiers(steps []Step, desired Desired) error {
	for _, step := range steps {
		write := step.Write
		if write == nil || write.Kind == Delete {
			continue
		}
		size := write.Value.Len()
		if size <= standardLimit || (write.Tier == "Advanced" && size <= advancedLimit) {
			continue
		}
		if desired.AllowAdvanced && size <= advancedLimit {
			if write.Tier != "Intelligent-Tiering" {
				write.Tier = "Advanced"
			}
			continue
		}
		limit := standardLimit
		next := "Shorten descriptions in it, or set allow_advanced_tier: true (an Advanced parameter costs money and cannot go back)."
		if write.Tier == "Advanced" || desired.AllowAdvanced {
			limit, next = advancedLimit, "Shorten it: there is no larger tier."
		}
		return fault.New(fault.CodeTooLarge, next,
			"%s would have %d bytes; its tier holds %d.", write.Name, size, limit)
	}
	return nil
}

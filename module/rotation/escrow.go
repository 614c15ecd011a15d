package rotation

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// escrow is the step that puts a key where nothing overwrites it; what is not said of the key here is filled in.
func escrow(o Observed, desired Desired, action Action, held custody.EscrowedKey, reason string) Step {
	held.App, held.CapturedAt, held.By = desired.App, o.Now, o.Caller
	write := create(o, desired, custody.EscrowName(desired.Names.Custody, held.Fingerprint), held)
	return Step{Action: action, Target: write.Name, Write: write, Reason: reason}
}

// retire is escrow of the key that the rotation retires, bound to its backups.
func retire(o Observed, desired Desired, held custody.EscrowedKey) Step {
	held.Origin = custody.OriginCaptured
	return escrow(o, desired, ActEscrowRetiring, held, "backups made before the rotation open with this key only"+tied(held.Backups))
}

// findKey looks a key up in escrow. What is there under its name must be that key.
func findKey(o Observed, desired Desired, k key) (custody.EscrowedKey, bool, error) {
	found, held := o.Custody.Find(k.fingerprint)
	if held && !found.Key.Equal(k.Secret) {
		return found, held, fault.New(fault.CodeEscrowConflict, "Escrow is never overwritten. Find out who wrote there; move the parameter aside under another name, then run again.",
			"%s holds another key than its name says.", custody.EscrowName(desired.Names.Custody, k.fingerprint))
	}
	return found, held, nil
}

// escrowSteps put the old key, then the new one, into escrow.
func escrowSteps(o Observed, desired Desired, c change) ([]Step, error) {
	retiring, held, err := findKey(o, desired, c.previous)
	if err != nil {
		return nil, err
	}
	steps := linkStep(o, desired, c.entry.RotationID, retiring)
	if !held {
		steps = []Step{retire(o, desired, custody.EscrowedKey{
			Fingerprint: c.previous.fingerprint, Key: c.previous.Secret, Source: desired.Names.Omnibus, SourceAt: o.SSM.Omnibus.Version,
			RotationID: c.entry.RotationID, Backups: desired.Backups,
		})}
	}
	if _, held, err = findKey(o, desired, c.current); held || err != nil {
		return steps, err
	}
	fresh := custody.EscrowedKey{Fingerprint: c.current.fingerprint, Key: c.current.Secret, Origin: custody.OriginGiven, RotationID: c.entry.RotationID}
	if c.fresh {
		fresh.Origin = custody.OriginMade
	}
	step := escrow(o, desired, ActEscrowNew, fresh, "the new key is in escrow before it is anywhere else, so that a run that is cut off goes on with it")
	if c.fresh {
		// Check mode and the run that follows make different keys; the plan is the same.
		step.Target = custody.EscrowName(desired.Names.Custody, "<fingerprint of the new key>")
	}
	if c.adopted {
		step.Reason = "the rotation that was begun by hand goes to this key"
	}
	return append(steps, step), nil
}

// captures put every key into escrow that one of the steps overwrites or deletes, whatever put it there. This is the one place that
// sees to it, and Check verifies it. planned are escrow steps that come before anyway.
func captures(o Observed, desired Desired, v view, entry custody.Entry, planned, steps []Step) ([]Step, error) {
	names := map[string]bool{}
	for _, step := range planned {
		names[step.Write.Name] = true
	}
	var found []Step
	for _, step := range steps {
		targets := step.Write.Targets()
		if step.Action == ActPutOmnibus {
			targets = append(slices.Clone(targets), o.SSM.Current.Name, o.SSM.Previous.Name) // terraform makes them as the omnibus says
		}
		for _, target := range targets {
			parameter, _ := o.SSM.byName(target)
			for _, held := range keysIn(parameter, desired) {
				k := keyOf(held, v.prints)
				name := custody.EscrowName(desired.Names.Custody, k.fingerprint)
				_, there, err := findKey(o, desired, k)
				switch {
				case err != nil:
					return nil, err
				case there || names[name]:
					continue
				}
				names[name] = true
				held := custody.EscrowedKey{
					Fingerprint: k.fingerprint, Key: k.Secret, Origin: custody.OriginCaptured, Source: parameter.Name, SourceAt: parameter.Version, RotationID: entry.RotationID,
				}
				if k.fingerprint == entry.Previous {
					held.Backups = entry.Backups
					found = append(found, retire(o, desired, held))
				} else {
					found = append(found, escrow(o, desired, ActEscrowFound, held, "no other parameter may hold this key: it is in escrow before this one changes"))
				}
			}
		}
	}
	return found, nil
}

// linkStep binds the backups that are named to a key that is in escrow, where nothing does yet.
func linkStep(o Observed, desired Desired, rotationID string, retiring custody.EscrowedKey) []Step {
	unlinked := retiring.Unlinked(desired.Backups)
	if !retiring.Held || len(unlinked) == 0 {
		return nil
	}
	name := custody.BackupRefName(desired.Names.Custody, retiring.Fingerprint, fmt.Sprintf("%s.%d", rotationID, len(retiring.BackupRefs)+1))
	write := create(o, desired, name, custody.BackupRef{Fingerprint: retiring.Fingerprint, RotationID: rotationID, Backups: unlinked, At: o.Now, By: o.Caller})
	return []Step{{Action: ActTieBackups, Target: name, Write: write, Reason: "the key is in escrow already" + tied(unlinked)}}
}

// later says whether a backup is named that was not when the rotation was begun.
func later(desired Desired, entry custody.Entry) bool {
	return slices.ContainsFunc(desired.Backups, func(backup string) bool { return !slices.Contains(entry.Backups, backup) })
}

// linkLater binds backups that were named after the rotation was begun to the key that it retires. Nothing else is to be done.
func linkLater(o Observed, desired Desired, entry custody.Entry, plan Plan) (Plan, error) {
	if !later(desired, entry) {
		return tidy(o, entry, desired, plan)
	}
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	retired, _ := o.Custody.Find(entry.Previous)
	link := linkStep(o, desired, entry.RotationID, retired)
	if link == nil {
		return tidy(o, entry, desired, plan)
	}
	plan.Msg = fmt.Sprintf("Tied %q to key %s, which rotation %s retires.", retired.Unlinked(desired.Backups), entry.Previous, entry.RotationID)
	plan.Warnings, plan.Steps = nil, link
	return plan, nil
}

func tied(backups []string) string {
	if len(backups) == 0 {
		return "; no backup is tied to it (backups_waived)"
	}
	return fmt.Sprintf("; tied to %q", backups)
}

// standaloneSteps make the standalone parameters agree with a prepared omnibus: the switch is never on without its key.
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

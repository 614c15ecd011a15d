package rotation

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// escrow returns the step that puts a key into escrow. It fills in app, time and caller.
func escrow(o Observed, desired Desired, action Action, held custody.EscrowedKey, reason string) Step {
	held.App, held.CapturedAt, held.By = desired.App, o.Now, o.Caller
	write := create(o, desired, custody.EscrowName(desired.Names.Custody, held.Fingerprint), held)
	return Step{Action: action, Target: write.Name, Write: write, Reason: reason}
}

// retire returns the step that puts the retiring key into escrow, tied to its backups.
func retire(o Observed, desired Desired, held custody.EscrowedKey) Step {
	held.Origin = custody.OriginCaptured
	return escrow(o, desired, ActEscrowRetiring, held, "backups made before the rotation open only with this key"+tied(held.Backups))
}

// findKey looks up a key in escrow. Its error is a fault if escrow holds a different key under its name.
func findKey(o Observed, desired Desired, k key) (custody.EscrowedKey, bool, error) {
	found, held := o.Custody.Find(k.fingerprint)
	if held && !found.Key.Equal(k.Secret) {
		return found, held, fault.New(fault.CodeEscrowConflict, "Escrow is never overwritten. Find out who wrote the parameter and move its value to another name. Then run again.",
			"%s contains a different key than its name says.", custody.EscrowName(desired.Names.Custody, k.fingerprint))
	}
	return found, held, nil
}

// escrowSteps returns the steps that put the old key, then the new key, into escrow.
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
	step := escrow(o, desired, ActEscrowNew, fresh, "the new key is in escrow before it is anywhere else, so that the next run continues with it if this one is interrupted")
	if c.fresh {
		// Check mode and the run after it make different keys, but the plan must be the same.
		step.Target = custody.EscrowName(desired.Names.Custody, "<fingerprint of the new key>")
	}
	if c.adopted {
		step.Reason = "the rotation that was started by hand goes to this key"
	}
	return append(steps, step), nil
}

// captures returns the steps that put every key into escrow that one of the steps overwrites or deletes, whoever wrote it. Only this
// function does so, and Check verifies it. planned are the escrow steps that come earlier in the plan.
func captures(o Observed, desired Desired, v view, entry custody.Entry, planned, steps []Step) ([]Step, error) {
	names := map[string]bool{}
	for _, step := range planned {
		names[step.Write.Name] = true
	}
	var found []Step
	for _, step := range steps {
		targets := step.Write.Targets()
		if step.Action == ActPutOmnibus {
			targets = append(slices.Clone(targets), o.SSM.Current.Name, o.SSM.Previous.Name) // terraform writes them from the omnibus
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
					found = append(found, escrow(o, desired, ActEscrowFound, held, "this may be the only copy of the key, so it goes into escrow before the parameter changes"))
				}
			}
		}
	}
	return found, nil
}

// linkStep returns the step that ties the named backups to a key in escrow, or nil if they are already tied to it.
func linkStep(o Observed, desired Desired, rotationID string, retiring custody.EscrowedKey) []Step {
	unlinked := retiring.Unlinked(desired.Backups)
	if !retiring.Held || len(unlinked) == 0 {
		return nil
	}
	name := custody.BackupRefName(desired.Names.Custody, retiring.Fingerprint, fmt.Sprintf("%s.%d", rotationID, len(retiring.BackupRefs)+1))
	write := create(o, desired, name, custody.BackupRef{Fingerprint: retiring.Fingerprint, RotationID: rotationID, Backups: unlinked, At: o.Now, By: o.Caller})
	return []Step{{Action: ActTieBackups, Target: name, Write: write, Reason: "the key is already in escrow" + tied(unlinked)}}
}

// later reports whether the options name a backup that the ledger entry does not.
func later(desired Desired, entry custody.Entry) bool {
	return slices.ContainsFunc(desired.Backups, func(backup string) bool { return !slices.Contains(entry.Backups, backup) })
}

// linkLater ties backups that were named after the start of the rotation to the key that it retires. Otherwise it returns plan, in
// which there is nothing to do.
func linkLater(o Observed, desired Desired, entry custody.Entry, plan Plan) (Plan, error) {
	if !later(desired, entry) {
		return plan, nil
	}
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	retired, _ := o.Custody.Find(entry.Previous)
	link := linkStep(o, desired, entry.RotationID, retired)
	if link == nil {
		return plan, nil
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

// standaloneSteps returns the steps that bring the standalone parameters in line with a prepared omnibus. The switch is never on
// without its key.
func standaloneSteps(o Observed, desired Desired, current, previous key, chunk *string) []Step {
	if desired.Standalone == StandaloneDelete {
		return deleteStale(o, current)
	}
	var steps []Step
	put := func(action Action, parameter Parameter, value secret.Secret, reason string) {
		if parameter.Exists && parameter.Value.Equal(value) {
			return
		}
		// A new parameter gets the KMS key of the standalone current key, which the VM's instance role may use.
		steps = append(steps, Step{Action: action, Target: parameter.Name, Reason: reason, Write: overwrite(parameter, value, o.SSM.Current.KeyID)})
	}
	put(ActPutPrevious, o.SSM.Previous, previous.Secret, "the Platform needs it to open records that are not re-encrypted yet")
	put(ActPutCurrent, o.SSM.Current, current.Secret, "the Platform writes with the new key after its next start (page 2.2)")
	if chunk != nil {
		put(ActPutChunkSize, o.SSM.ChunkSize, secret.New(*chunk), "records per chunk, as chunk_size says")
	}
	put(ActPutSwitch, o.SSM.Switch, secret.New("true"), "cron re-encrypts at its next start; written last, so that the switch is never on without its key")
	return steps
}

// deleteStale follows page step 2.2 exactly: it deletes the current key, and terraform creates all three parameters.
func deleteStale(o Observed, current key) []Step {
	if !o.SSM.Current.Exists || o.SSM.Current.Value.Equal(current.Secret) {
		return nil
	}
	return []Step{{
		Action: ActDeleteCurrent, Target: o.SSM.Current.Name, Reason: "terraform apply creates it again from the omnibus (page 2.2)",
		Write: remove(o.SSM.Current),
	}}
}

// remove returns the write that deletes a parameter in the observed version and with the observed value, which is in escrow.
func remove(p Parameter) *Write {
	return &Write{Kind: Delete, Name: p.Name, Names: []string{p.Name}, Was: p.Value, After: p.Version}
}

// agreement returns the evidence whether the standalone parameters match a prepared omnibus.
func agreement(o Observed, desired Desired, current, previous key) []proof.Evidence {
	left := standaloneSteps(o, Desired{Standalone: StandaloneWrite, Names: desired.Names}, current, previous, nil)
	evidence := proof.Evidence{Check: "standalone_agrees", OK: len(left) == 0, Detail: "current key, previous key and switch match the omnibus"}
	if len(left) > 0 {
		evidence.Detail = fmt.Sprintf("does not match the omnibus: %s", left[0].Target)
	}
	return []proof.Evidence{evidence}
}

const (
	standardLimit = 4096 // maximum bytes in the value of a Standard parameter
	advancedLimit = 8192 // maximum bytes in the value of an Advanced parameter
	ledgerEnd     = 300  // bytes that the end of a rotation adds to its ledger entry: the digest of the proof, and times
)

// ledgerLater reports whether a step writes a ledger entry, and how many bytes the rest of the rotation adds to it. If that is too much, a
// run must find out before its outage.
func ledgerLater(action Action, names Names) (ledger bool, bytes int) {
	if action == ActUpdateLedger || action == ActRecordPrepared {
		return true, ledgerEnd
	}
	if action != ActOpenLedger {
		return false, 0
	}
	bytes = ledgerEnd + len(`"prepared_at":"2026-01-01T00:00:00.000000000Z","versions":{},`)
	for _, name := range []string{names.Omnibus, names.Current, names.Previous, names.Switch, names.ChunkSize} {
		bytes += len(name) + len(`"":100000,`)
	}
	return true, bytes
}

// chooseTiers checks every value against the limit of its tier. It raises a tier only if the operator allows it. Its error is a fault.
func chooseTiers(steps []Step, desired Desired) error {
	for _, step := range steps {
		write := step.Write
		if write == nil || write.Kind == Delete {
			continue
		}
		ledger, later := ledgerLater(step.Action, desired.Names)
		size := write.Value.Len() + later
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
		next := "Shorten the descriptions in it"
		if ledger {
			next = "Name fewer backups"
		}
		next += ", or set allow_advanced_tier: true (Advanced parameters are billed and cannot be downgraded)."
		if write.Tier == "Advanced" || desired.AllowAdvanced {
			limit, next = advancedLimit, "Shorten it: there is no larger tier."
		}
		return fault.New(fault.CodeTooLarge, next,
			"%s would have %d bytes, but its tier allows only %d.", write.Name, size, limit)
	}
	return nil
}

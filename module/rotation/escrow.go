package rotation

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// escrowSteps puts the retiring key, then the new one, where nothing overwrites them.
func escrowSteps(o Observed, desired Desired, c change) ([]Step, error) {
	var steps []Step
	retiring, held := o.Custody.Find(c.previous.fingerprint)
	switch {
	case held && !retiring.Key.Equal(c.previous.Secret):
		return nil, escrowConflict(desired, c.previous.fingerprint)
	case !held:
		kept := custody.EscrowedKey{
			App: desired.App, Fingerprint: c.previous.fingerprint, Key: c.previous.Secret, Origin: custody.OriginCaptured, Source: desired.Names.Omnibus,
			SourceAt: o.SSM.Omnibus.Version, RotationID: c.entry.RotationID, CapturedAt: o.Now, By: o.Caller, Backups: desired.Backups,
		}
		write, err := create(o, desired, custody.EscrowName(desired.Names.Custody, c.previous.fingerprint), kept)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: ActEscrowRetiring, Target: write.Name, Write: write, Reason: "backups made before the rotation open with this key only" + tied(desired.Backups)})
	default:
		tie, err := linkStep(o, desired, c, retiring)
		if err != nil {
			return nil, err
		}
		steps = append(steps, tie...)
	}
	fresh, held := o.Custody.Find(c.current.fingerprint)
	if held && !fresh.Key.Equal(c.current.Secret) {
		return nil, escrowConflict(desired, c.current.fingerprint)
	}
	if held {
		return steps, nil
	}
	origin := custody.OriginGiven
	if c.fresh {
		origin = custody.OriginMade
	}
	write, err := create(o, desired, custody.EscrowName(desired.Names.Custody, c.current.fingerprint), custody.EscrowedKey{
		App: desired.App, Fingerprint: c.current.fingerprint, Key: c.current.Secret, Origin: origin,
		RotationID: c.entry.RotationID, CapturedAt: o.Now, By: o.Caller,
	})
	if err != nil {
		return nil, err
	}
	target := write.Name
	if c.fresh {
		// Check mode and the run that follows make different keys; the plan is the same.
		target = custody.EscrowName(desired.Names.Custody, "<fingerprint of the new key>")
	}
	reason := "the new key is in escrow before it is anywhere else, so that a run that is cut off goes on with it"
	if c.adopted {
		reason = "the rotation that was begun by hand goes to this key"
	}
	return append(steps, Step{Action: ActEscrowNew, Target: target, Write: write, Reason: reason}), nil
}

// captures are the steps that must come before others: a key that one of those overwrites or deletes is in escrow first, whatever
// put it there. This is the one place that sees to it, and Check verifies it. planned are escrow steps that come before anyway.
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
				kept, there := o.Custody.Find(k.fingerprint)
				if there && !kept.Key.Equal(k.Secret) {
					return nil, escrowConflict(desired, k.fingerprint)
				}
				if there || names[name] {
					continue
				}
				names[name] = true
				action, reason, backups := ActEscrowFound, "no other parameter may hold this key: it is in escrow before this one changes", []string(nil)
				if k.fingerprint == entry.Previous {
					action, reason, backups = ActEscrowRetiring, "backups made before the rotation open with this key only"+tied(entry.Backups), entry.Backups
				}
				write, err := create(o, desired, name, custody.EscrowedKey{
					App: desired.App, Fingerprint: k.fingerprint, Key: k.Secret, Origin: custody.OriginCaptured, Source: parameter.Name, SourceAt: parameter.Version,
					RotationID: entry.RotationID, CapturedAt: o.Now, By: o.Caller, Backups: backups,
				})
				if err != nil {
					return nil, err
				}
				found = append(found, Step{Action: action, Target: name, Write: write, Reason: reason})
			}
		}
	}
	return found, nil
}

func linkStep(o Observed, desired Desired, c change, retiring custody.EscrowedKey) ([]Step, error) {
	untied := retiring.Unlinked(desired.Backups)
	if len(untied) == 0 {
		return nil, nil
	}
	name := custody.BackupRefName(desired.Names.Custody, c.previous.fingerprint, fmt.Sprintf("%s.%d", c.entry.RotationID, len(retiring.BackupRefs)+1))
	write, err := create(o, desired, name, custody.BackupRef{Fingerprint: c.previous.fingerprint, RotationID: c.entry.RotationID, Backups: untied, At: o.Now, By: o.Caller})
	if err != nil {
		return nil, err
	}
	return []Step{{Action: ActTieBackups, Target: name, Write: write, Reason: "the key is in escrow already" + tied(untied)}}, nil
}

// later says whether a backup is named that was not when the rotation was begun.
func later(desired Desired, entry custody.Entry) bool {
	return slices.ContainsFunc(desired.Backups, func(backup string) bool { return !slices.Contains(entry.Backups, backup) })
}

// linkLater binds backups that were named after the rotation was begun to the key that it retires. Nothing else is to be done.
func linkLater(o Observed, desired Desired, v view, entry custody.Entry, over Plan) (Plan, error) {
	if !later(desired, entry) {
		return tidy(o, entry, desired, over)
	}
	if !o.Custody.Complete {
		return Plan{Needs: NeedInventory}, nil
	}
	if !o.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	retired, held := o.Custody.Find(entry.Previous)
	untied := retired.Unlinked(desired.Backups)
	if !held || len(untied) == 0 {
		return tidy(o, entry, desired, over)
	}
	tie, err := linkStep(o, desired, change{p: v, entry: entry, previous: key{fingerprint: entry.Previous}}, retired)
	if err != nil {
		return Plan{}, err
	}
	begin, end, err := locked(o, desired, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan := over
	plan.Msg = fmt.Sprintf("Tied %q to key %s, which rotation %s retires.", untied, entry.Previous, entry.RotationID)
	plan.Warnings, plan.Steps = begin.warnings, slices.Concat(begin.steps, tie, end)
	return plan, chooseTiers(plan.Steps, desired)
}

func tied(backups []string) string {
	if len(backups) == 0 {
		return "; no backup is tied to it (backups_waived)"
	}
	return fmt.Sprintf("; tied to %q", backups)
}

func escrowConflict(desired Desired, fingerprint secret.Fingerprint) *fault.Fault {
	return &fault.Fault{
		Code: fault.CodeEscrowConflict, What: fmt.Sprintf("%s holds another key than its name says.", custody.EscrowName(desired.Names.Custody, fingerprint)),
		Next: "Escrow is never overwritten. Find out who wrote there; move the parameter aside under another name, then run again.",
	}
}

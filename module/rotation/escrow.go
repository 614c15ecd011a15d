package rotation

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// escrowSteps puts the retiring key, then the new one, where nothing overwrites them.
func escrowSteps(w World, wish Wish, c change) ([]Step, error) {
	var steps []Step
	retiring, held := w.Custody.Find(c.previous.print)
	switch {
	case held && !retiring.Key.Equal(c.previous.Secret):
		return nil, escrowConflict(wish, c.previous.print)
	case !held:
		deposit := custody.Deposit{
			App: wish.App, Fingerprint: c.previous.print, Key: c.previous.Secret, Origin: custody.OriginCaptured, Source: wish.Names.Omnibus,
			SourceAt: w.SSM.Omnibus.Version, RotationID: c.entry.RotationID, CapturedAt: w.Now, By: w.Caller, Backups: wish.Backups,
		}
		write, err := create(w, wish, custody.EscrowName(wish.Names.Custody, c.previous.print), deposit)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Step{Action: ActEscrowRetiring, Target: write.Name, Write: write, Reason: "backups made before the rotation open with this key only" + tied(wish.Backups)})
	default:
		tie, err := tieStep(w, wish, c, retiring)
		if err != nil {
			return nil, err
		}
		steps = append(steps, tie...)
	}
	fresh, held := w.Custody.Find(c.current.print)
	if held && !fresh.Key.Equal(c.current.Secret) {
		return nil, escrowConflict(wish, c.current.print)
	}
	if held {
		return steps, nil
	}
	origin := custody.OriginGiven
	if c.fresh {
		origin = custody.OriginMade
	}
	write, err := create(w, wish, custody.EscrowName(wish.Names.Custody, c.current.print), custody.Deposit{
		App: wish.App, Fingerprint: c.current.print, Key: c.current.Secret, Origin: origin,
		RotationID: c.entry.RotationID, CapturedAt: w.Now, By: w.Caller,
	})
	if err != nil {
		return nil, err
	}
	target := write.Name
	if c.fresh {
		// Check mode and the run that follows make different keys; the plan is the same.
		target = custody.EscrowName(wish.Names.Custody, "<fingerprint of the new key>")
	}
	reason := "the new key is in escrow before it is anywhere else, so that a run that is cut off goes on with it"
	if c.adopted {
		reason = "the rotation that was begun by hand goes to this key"
	}
	return append(steps, Step{Action: ActEscrowNew, Target: target, Write: write, Reason: reason}), nil
}

// captures are the steps that must come before others: a key that one of those overwrites or deletes is in escrow first, whatever
// put it there. This is the one place that sees to it, and Check verifies it. planned are escrow steps that come before anyway.
func captures(w World, wish Wish, p picture, entry custody.Entry, planned, steps []Step) ([]Step, error) {
	names := map[string]bool{}
	for _, step := range planned {
		names[step.Write.Name] = true
	}
	var found []Step
	for _, step := range steps {
		targets := step.Write.Targets()
		if step.Action == ActPutOmnibus {
			targets = append(slices.Clone(targets), w.SSM.Current.Name, w.SSM.Previous.Name) // terraform makes them as the omnibus says
		}
		for _, target := range targets {
			parameter, _ := w.SSM.byName(target)
			for _, held := range keysIn(parameter, wish) {
				k := keyOf(held, p.prints)
				name := custody.EscrowName(wish.Names.Custody, k.print)
				deposit, there := w.Custody.Find(k.print)
				if there && !deposit.Key.Equal(k.Secret) {
					return nil, escrowConflict(wish, k.print)
				}
				if there || names[name] {
					continue
				}
				names[name] = true
				action, reason, backups := ActEscrowFound, "no other parameter may hold this key: it is in escrow before this one changes", []string(nil)
				if k.print == entry.Previous {
					action, reason, backups = ActEscrowRetiring, "backups made before the rotation open with this key only"+tied(entry.Backups), entry.Backups
				}
				write, err := create(w, wish, name, custody.Deposit{
					App: wish.App, Fingerprint: k.print, Key: k.Secret, Origin: custody.OriginCaptured, Source: parameter.Name, SourceAt: parameter.Version,
					RotationID: entry.RotationID, CapturedAt: w.Now, By: w.Caller, Backups: backups,
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

func tieStep(w World, wish Wish, c change, retiring custody.Deposit) ([]Step, error) {
	untied := retiring.Untied(wish.Backups)
	if len(untied) == 0 {
		return nil, nil
	}
	name := custody.TieName(wish.Names.Custody, c.previous.print, fmt.Sprintf("%s.%d", c.entry.RotationID, len(retiring.Ties)+1))
	write, err := create(w, wish, name, custody.Tie{Fingerprint: c.previous.print, RotationID: c.entry.RotationID, Backups: untied, At: w.Now, By: w.Caller})
	if err != nil {
		return nil, err
	}
	return []Step{{Action: ActTieBackups, Target: name, Write: write, Reason: "the key is in escrow already" + tied(untied)}}, nil
}

// later says whether a backup is named that was not when the rotation was begun.
func later(wish Wish, entry custody.Entry) bool {
	return slices.ContainsFunc(wish.Backups, func(backup string) bool { return !slices.Contains(entry.Backups, backup) })
}

// tieLater ties backups that were named after the rotation was begun to the key that it retires. Nothing else is to be done.
func tieLater(w World, wish Wish, p picture, entry custody.Entry, over Plan) (Plan, error) {
	if !later(wish, entry) {
		return tidy(w, entry, wish, over)
	}
	if !w.Custody.Complete {
		return Plan{Needs: NeedShelf}, nil
	}
	if !w.SSM.Described {
		return Plan{Needs: NeedDescription}, nil
	}
	retired, held := w.Custody.Find(entry.Previous)
	untied := retired.Untied(wish.Backups)
	if !held || len(untied) == 0 {
		return tidy(w, entry, wish, over)
	}
	tie, err := tieStep(w, wish, change{p: p, entry: entry, previous: key{print: entry.Previous}}, retired)
	if err != nil {
		return Plan{}, err
	}
	begin, end, err := locked(w, wish, entry.RotationID)
	if err != nil {
		return Plan{}, err
	}
	plan := over
	plan.Msg = fmt.Sprintf("Tied %q to key %s, which rotation %s retires.", untied, entry.Previous, entry.RotationID)
	plan.Warnings, plan.Steps = begin.warnings, slices.Concat(begin.steps, tie, end)
	return plan, fit(plan.Steps, wish)
}

func tied(backups []string) string {
	if len(backups) == 0 {
		return "; no backup is tied to it (backups_waived)"
	}
	return fmt.Sprintf("; tied to %q", backups)
}

func escrowConflict(wish Wish, fingerprint secret.Fingerprint) *fault.Fault {
	return &fault.Fault{
		Code: fault.CodeEscrowConflict, What: fmt.Sprintf("%s holds another key than its name says.", custody.EscrowName(wish.Names.Custody, fingerprint)),
		Next: "Escrow is never overwritten. Find out who wrote there; move the parameter aside under another name, then run again.",
	}
}

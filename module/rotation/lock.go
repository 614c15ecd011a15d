package rotation

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// lockSteps take the lock and release it.
type lockSteps struct {
	number   int
	take     []Step
	release  Step
	warnings []string
}

// locked gives the steps that take the lock and the one that releases it, or tells who holds it.
func locked(o Observed, desired Desired, rotationID string) (lockSteps, error) {
	claim := custody.Decide(o.Custody.Locks, o.Now)
	if claim.HeldBy != nil {
		held := claim.HeldBy
		return lockSteps{}, fault.New(fault.CodeLocked, "Wait for it to end; if it died, run again after that time.",
			"%s holds the lock of %s since %s (rotation %s, state %s), until %s at the latest.", held.Holder.Who(), desired.App, held.AcquiredAt.UTC().Format(time.RFC3339), cmp.Or(held.RotationID, "none"), held.State, held.Expiry().UTC().Format(time.RFC3339))
	}
	lock := custody.Lock{Number: claim.Number, Version: 1, Holder: o.Caller, RotationID: rotationID, State: string(desired.State), AcquiredAt: o.Now, ExpiresAt: o.Now.Add(custody.Lease)}
	name := custody.LockName(desired.Names.Custody, claim.Number)
	made := lockSteps{number: claim.Number, take: []Step{{
		Action: ActLock, Target: name, Write: create(o, desired, name, lock), Reason: "one rotation of an installation at a time; " + claim.Reason,
	}}}
	if claim.TakenFrom != nil {
		made.warnings = []string{fmt.Sprintf("The lock was taken over from %s, who held it since %s: %s.",
			claim.TakenFrom.Holder.Who(), claim.TakenFrom.AcquiredAt.UTC().Format(time.RFC3339), claim.Reason)}
	}
	if len(claim.Clear) > 0 {
		names := make([]string, 0, len(claim.Clear))
		for _, number := range claim.Clear {
			names = append(names, custody.LockName(desired.Names.Custody, number))
		}
		made.take = append(made.take, Step{Action: ActClearLocks, Target: names[0], Write: remove(names...), Reason: "numbers are not used twice; only the last one stays"})
	}
	made.release = release(o, desired, lock, "marked released; it stays as the last number")
	return made, nil
}

func release(o Observed, desired Desired, lock custody.Lock, reason string) Step {
	lock.ReleasedAt = o.Now
	name := custody.LockName(desired.Names.Custody, lock.Number)
	return Step{Action: ActUnlock, Target: name, Reason: reason, Write: update(o, desired, name, lock, lock.Attributes, lock.Version)}
}

// with puts steps into the plan, between taking the lock and releasing it, each in the tier that its value needs.
func (p Plan) with(desired Desired, lock lockSteps, steps ...[]Step) (Plan, error) {
	p.Warnings = append(lock.warnings, p.Warnings...)
	p.Steps = append(append(lock.take, slices.Concat(steps...)...), lock.release)
	return p, chooseTiers(p.Steps, desired)
}

// unread is what must be observed before anything is written.
func (o Observed) unread() Need {
	switch {
	case !o.Custody.Complete:
		return NeedInventory
	case !o.SSM.Described:
		return NeedDescription
	}
	return NeedNothing
}

// tidy adds to a plan that has nothing to do the release of the lock that a run left which died after its last record was
// written. Which lock that is, the ledger's entry says: all of them are not listed for it.
func tidy(o Observed, entry custody.Entry, desired Desired, plan Plan) (Plan, error) {
	if entry.Lock == 0 {
		return plan, nil
	}
	lock, found := o.Custody.Lock(entry.Lock)
	if !found && !o.Custody.Complete && !o.Custody.Locked {
		return Plan{Needs: NeedLock, Lock: entry.Lock}, nil
	}
	if !found || !lock.Dead(o.Now) {
		return plan, nil
	}
	if !o.SSM.Described {
		return Plan{Needs: NeedDescription}, nil // or the lock would lose its KMS key
	}
	plan.Msg += " The lock of a run that died is released."
	plan.Steps = append(plan.Steps, release(o, desired, lock, lock.Holder.Who()+" died before it could"))
	return plan, nil
}

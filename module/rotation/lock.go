package rotation

import (
	"fmt"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
)

type lockSteps struct {
	number   int
	steps    []Step
	warnings []string
}

// locked gives the steps that take the lock and the one that releases it, or tells who holds it.
func locked(o Observed, desired Desired, rotationID string) (lockSteps, []Step, error) {
	claim := custody.Decide(o.Custody.Locks, o.Now)
	if claim.HeldBy != nil {
		held := claim.HeldBy
		return lockSteps{}, nil, &fault.Fault{
			Code: fault.CodeLocked, What: fmt.Sprintf("%s holds the lock of %s since %s (rotation %s, state %s), until %s at the latest.", held.Holder.Who(), desired.App,
				held.AcquiredAt.UTC().Format(time.RFC3339), orNone(held.RotationID), held.State, held.Expiry().UTC().Format(time.RFC3339)),
			Next: "Wait for it to end; if it died, run again after that time.",
		}
	}
	lock := custody.Lock{Holder: o.Caller, RotationID: rotationID, State: string(desired.State), AcquiredAt: o.Now, ExpiresAt: o.Now.Add(custody.Lease)}
	name := custody.LockName(desired.Names.Custody, claim.Number)
	write, err := create(o, desired, name, lock)
	if err != nil {
		return lockSteps{}, nil, err
	}
	begin := lockSteps{number: claim.Number, steps: []Step{{Action: ActLock, Target: name, Write: write, Reason: "one rotation of an installation at a time; " + claim.Reason}}}
	if claim.TakenFrom != nil {
		begin.warnings = append(begin.warnings, fmt.Sprintf("The lock was taken over from %s, who held it since %s: %s.",
			claim.TakenFrom.Holder.Who(), claim.TakenFrom.AcquiredAt.UTC().Format(time.RFC3339), claim.Reason))
	}
	if len(claim.Clear) > 0 {
		names := make([]string, 0, len(claim.Clear))
		for _, number := range claim.Clear {
			names = append(names, custody.LockName(desired.Names.Custody, number))
		}
		begin.steps = append(begin.steps, Step{Action: ActClearLocks, Target: names[0], Write: remove(names...), Reason: "numbers are not used twice; only the last one stays"})
	}
	lock.ReleasedAt = o.Now
	value, err := custody.Encode(lock)
	if err != nil {
		return lockSteps{}, nil, err
	}
	end := Step{Action: ActUnlock, Target: name, Reason: "marked released; it stays as the last number", Write: &Write{Kind: Put, Name: name, Value: value, Type: "SecureString", KeyID: custodyKeyID(o, desired), After: 1}}
	return begin, []Step{end}, nil
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
	name, version := custody.LockName(desired.Names.Custody, lock.Number), lock.Version
	lock.ReleasedAt = o.Now
	value, err := custody.Encode(lock)
	if err != nil {
		return Plan{}, err
	}
	plan.Msg += " The lock of a run that died is released."
	plan.Steps = append(plan.Steps, Step{
		Action: ActUnlock, Target: name, Reason: lock.Holder.Who() + " died before it could",
		Write: &Write{Kind: Put, Name: name, Value: value, Type: "SecureString", KeyID: custodyKeyID(o, desired), After: version},
	})
	return plan, nil
}

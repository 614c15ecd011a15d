package rotation

import (
	"cmp"
	"fmt"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// observedPlan gives the phase for somebody who only looks. Without an omnibus it judges by the standalone
// parameters alone, which is all that a VM's instance role can read.
func observedPlan(o Observed, desired Desired, v view) Plan {
	plan := Plan{RotationID: desired.RotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint}
	since, how := born(o, v)
	plan.Born = since
	plan.Phase, plan.Msg = v.phase(o, desired, how)
	plan.Before = plan.Phase
	if o.Records != nil {
		plan.Progress = proof.ProgressOf(*o.Records, 0)
		plan.Warnings = o.Records.Notes
	}
	return plan
}

func (v view) phase(o Observed, desired Desired, how string) (Phase, string) {
	switch {
	case desired.Names.Omnibus == "" && !o.SSM.Current.Exists:
		return PhaseInconsistent, "There is no SSM parameter " + o.SSM.Current.Name + "."
	case desired.Names.Omnibus == "":
		return v.phaseOnVM(o, desired, how)
	case v.whole() && v.standaloneCurrent.Equal(v.current.Secret) && v.standalonePrevious.Equal(v.previous.Secret) && o.SSM.Switch.On():
		return v.running(o)
	case v.traced():
		return PhaseInconsistent, "The omnibus shows a rotation that the standalone parameters do not (or only half of one): run state prepared again."
	case !o.SSM.Current.Exists || !v.standaloneCurrent.Equal(v.current.Secret):
		return PhaseInconsistent, fmt.Sprintf("Omnibus (%s) and standalone parameter (%s) do not hold the same key.", v.current.fingerprint, cmp.Or(v.standaloneCurrent.fingerprint, "none"))
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseRotated, "The omnibus shows no rotation, but standalone parameters of one are left. State finalized of that rotation removes them; where the ledger has none, the next rotation puts their key into escrow and replaces them."
	}
	return v.idle(o, desired, how)
}

func (v view) phaseOnVM(o Observed, desired Desired, how string) (Phase, string) {
	switch {
	case o.SSM.Previous.Exists && o.SSM.Switch.On():
		return v.running(o)
	case o.SSM.Previous.Exists || o.SSM.Switch.On():
		return PhaseInconsistent, "Only one of previous key and switch is there."
	}
	return v.idle(o, desired, how)
}

func (v view) running(o Observed) (Phase, string) {
	switch {
	case o.Records != nil && o.Records.Total == o.Records.Current+o.Records.Rewritten:
		return PhaseRotated, fmt.Sprintf("All %d records are under the current key %s.", o.Records.Total, v.current.fingerprint)
	case proof.Observed{Parameters: o.SSM.Standalone(), Platform: o.Platform}.CronStarted():
		return PhaseRotating, "Cron has started with both keys."
	}
	return PhasePrepared, "Both keys and the switch are in place."
}

func (v view) idle(o Observed, desired Desired, how string) (Phase, string) {
	if entry, ok := o.Custody.Entry(desired.RotationID); ok && entry.Stage == custody.StageFinished {
		return PhaseFinalized, fmt.Sprintf("Rotation %s was finished on %s.", entry.RotationID, day(entry.FinishedAt))
	}
	since, _ := born(o, v)
	age := int(o.Now.Sub(since) / (24 * time.Hour))
	if desired.MaxAgeDays != nil && age >= *desired.MaxAgeDays {
		return PhaseDue, fmt.Sprintf("The key is %d days old (%s); max_age_days is %d.", age, how, *desired.MaxAgeDays)
	}
	return PhaseIdle, fmt.Sprintf("No rotation is under way; key %s, %d days old (%s).", v.current.fingerprint, age, how)
}

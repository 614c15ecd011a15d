package rotation

import (
	"fmt"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// observe gives the phase of the world for somebody who only looks. Without an omnibus it judges by the standalone
// parameters alone, which is all that a VM's instance role can read.
func observe(w World, wish Wish, p picture) Plan {
	plan := Plan{RotationID: wish.RotationID, Current: p.current.print, Previous: p.previous.print}
	since, how := born(w, p)
	plan.Born = since
	plan.Phase, plan.Msg = p.phase(w, wish, how)
	plan.Before = plan.Phase
	if w.Records != nil {
		plan.Progress = proof.ProgressOf(*w.Records, 0)
		plan.Warnings = w.Records.Notes
	}
	return plan
}

func (p picture) phase(w World, wish Wish, how string) (Phase, string) {
	switch {
	case wish.Names.Omnibus == "" && !w.SSM.Current.Exists:
		return PhaseInconsistent, "There is no SSM parameter " + w.SSM.Current.Name + "."
	case wish.Names.Omnibus == "":
		return p.phaseOnVM(w, wish, how)
	case p.whole() && p.standaloneCurrent.Equal(p.current.Secret) && p.standalonePrevious.Equal(p.previous.Secret) && w.SSM.Switch.On():
		return p.running(w)
	case p.traced():
		return PhaseInconsistent, "The omnibus shows a rotation that the standalone parameters do not (or only half of one): run state prepared again."
	case !w.SSM.Current.Exists || !p.standaloneCurrent.Equal(p.current.Secret):
		return PhaseInconsistent, fmt.Sprintf("Omnibus (%s) and standalone parameter (%s) do not hold the same key.", p.current.print, orNone(string(p.standaloneCurrent.print)))
	case w.SSM.Previous.Exists || w.SSM.Switch.On():
		return PhaseRotated, "The omnibus shows no rotation, but standalone parameters of one are left. State finalized of that rotation removes them; where the ledger has none, the next rotation puts their key into escrow and replaces them."
	}
	return p.idle(w, wish, how)
}

func (p picture) phaseOnVM(w World, wish Wish, how string) (Phase, string) {
	switch {
	case w.SSM.Previous.Exists && w.SSM.Switch.On():
		return p.running(w)
	case w.SSM.Previous.Exists || w.SSM.Switch.On():
		return PhaseInconsistent, "Only one of previous key and switch is there."
	}
	return p.idle(w, wish, how)
}

func (p picture) running(w World) (Phase, string) {
	switch {
	case w.Records != nil && w.Records.Total == w.Records.Current+w.Records.Rewritten:
		return PhaseRotated, fmt.Sprintf("All %d records are under the current key %s.", w.Records.Total, p.current.print)
	case proof.Observed{Parameters: w.SSM.Standalone(), Platform: w.Platform}.CronStarted():
		return PhaseRotating, "Cron has started with both keys."
	}
	return PhasePrepared, "Both keys and the switch are in place."
}

func (p picture) idle(w World, wish Wish, how string) (Phase, string) {
	if entry, ok := w.Custody.Entry(wish.RotationID); ok && entry.Stage == custody.StageFinished {
		return PhaseFinalized, fmt.Sprintf("Rotation %s was finished on %s.", entry.RotationID, day(entry.FinishedAt))
	}
	since, _ := born(w, p)
	age := int(w.Now.Sub(since) / (24 * time.Hour))
	if wish.MaxAgeDays != nil && age >= *wish.MaxAgeDays {
		return PhaseDue, fmt.Sprintf("The key is %d days old (%s); max_age_days is %d.", age, how, *wish.MaxAgeDays)
	}
	return PhaseIdle, fmt.Sprintf("No rotation is under way; key %s, %d days old (%s).", p.current.print, age, how)
}

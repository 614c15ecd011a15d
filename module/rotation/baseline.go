package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

// renew puts the baseline that was taken once the old backend had stopped in the place of a provisional one. Any other stays:
// records may have been re-encrypted since.
func renew(entry *custody.Entry, desired Desired) bool {
	if entry.Baseline == nil || !entry.Baseline.Provisional || desired.Baseline == nil || desired.Baseline.Provisional {
		return false
	}
	entry.Baseline = desired.Baseline
	return true
}

// recordBaseline writes the ledger alone: omnibus and standalone parameters are as they should be.
func recordBaseline(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: entry.RotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint,
		Evidence: agreement(o, desired, v.current, v.previous), Escrow: custody.EscrowName(desired.Names.Custody, v.previous.fingerprint),
		Baseline: entry.Baseline, Platform: entry.Platform,
		Msg: fmt.Sprintf("Recorded the baseline of rotation %s that was taken once the old backend had stopped.", entry.RotationID),
	}
	entry.Lock = nextLock(o)
	plan.Steps = []Step{ledgerPut(o, desired, entry, ActUpdateLedger, "the earlier baseline was taken while a backend wrote")}
	return plan, nil
}

package rotation

import (
	"fmt"

	"github.com/seqera-tools/crypto-rotation/module/custody"
)

// renew replaces a provisional baseline with one that was taken after the old backend had stopped, and reports whether it did. It
// never replaces any other baseline: records may have been re-encrypted since.
func renew(entry *custody.Entry, desired Desired) bool {
	if entry.Baseline == nil || !entry.Baseline.Provisional || desired.Baseline == nil || desired.Baseline.Provisional {
		return false
	}
	entry.Baseline = desired.Baseline
	return true
}

// recordBaseline returns a plan that only writes the ledger entry: omnibus and standalone parameters are already as desired.
func recordBaseline(o Observed, desired Desired, v view, entry custody.Entry) (Plan, error) {
	if need := o.unread(); need != NeedNothing {
		return Plan{Needs: need}, nil
	}
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: entry.RotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint,
		Evidence: agreement(o, desired, v.current, v.previous), Escrow: custody.EscrowName(desired.Names.Custody, v.previous.fingerprint),
		Baseline: entry.Baseline, Platform: entry.Platform,
		Msg: fmt.Sprintf("Recorded the baseline of rotation %s that was taken after the old backend had stopped.", entry.RotationID),
	}
	retired, _ := o.Custody.Find(entry.Previous)
	plan.Steps = append(linkStep(o, desired, entry.RotationID, retired), ledgerPut(o, desired, entry, ActUpdateLedger, "the earlier baseline was taken while a backend was writing"))
	return plan, nil
}

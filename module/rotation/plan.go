package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Plan says what to do and why. A step without a Write is a check, or says why there is nothing to do.
type Plan struct {
	Phase      Phase // the phase once the plan is carried out
	Before     Phase // the phase that was found
	RotationID string
	Current    secret.Fingerprint // the key in use once the plan is carried out; empty if that key is Made
	Made       secret.Fingerprint // a new key that does not exist anywhere until this plan puts it into escrow
	Previous   secret.Fingerprint
	Steps      []Step
	Msg        string
	Warnings   []string
	Evidence   []proof.Evidence
	Progress   *proof.Progress
	Proof      *proof.Proof
	Then       []Step            // the steps of finalized after this plan; see PreviewFinalize
	Escrow     string            // the parameter that holds the old key
	Baseline   *custody.Baseline // from the ledger entry of this rotation
	Platform   *custody.Platform // likewise, or from the last rotation

	// Needs says what else must be observed. A plan that needs something has no steps.
	Needs Need

	Born      time.Time // since when the current key has been in use; zero if not known
	EndedAt   time.Time // when the last rotation was finished, or reversed by an abort; zero if it is not over, or if its new key was never in use
	BroughtBy string    // the rotation that introduced the current key; empty if none of ours did, or escrow was not read
}

// Need is an observation that costs extra calls, so it is made only if the plan depends on it.
type Need int

// The needs, in the order of their cost.
const (
	NeedNothing     Need = iota
	NeedEscrow           // escrow/<fingerprint> of the keys in use: one read
	NeedInventory        // everything under custody_prefix: one read per ten names
	NeedDescription      // DescribeParameters: KMS keys, tiers and policies, which only writes need
)

// Make returns the plan, or a fault that says why there is none. If the plan has Needs, observe that and call Make again.
func Make(o Observed, desired Desired, prints proof.Fingerprinter) (Plan, error) {
	v, err := newView(o, desired, prints)
	if err != nil {
		return Plan{}, err
	}
	o.Custody.Ledger = withoutOldProofs(o, v)
	var plan Plan
	switch desired.State {
	case StatePrepared:
		plan, err = prepare(o, desired, v)
	case StateFinalized:
		plan, err = finalize(o, desired, v)
	case StateAborted:
		plan, err = abort(o, desired, v)
	case StateObserved:
		plan = observedPlan(o, desired, v)
	default:
		err = &fault.Fault{Code: fault.CodeInvalidOptions, What: fmt.Sprintf("There is no plan for state %q.", desired.State)}
	}
	if err == nil {
		plan, err = plan.underLock(o, desired)
	}
	if err == nil {
		err = plan.Check(o, desired)
	}
	if err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// withoutOldProofs returns the ledger. A rotation that was proved more than a day ago, but still has both keys in the parameters, counts as
// only prepared: since then, the database may have been restored.
func withoutOldProofs(o Observed, v view) []custody.Entry {
	ledger := slices.Clone(o.Custody.Ledger)
	for i := range ledger {
		if ledger[i].Stage == custody.StageProved && v.traced() && o.Now.Sub(ledger[i].ProvedAt) > proof.MaxAge {
			ledger[i].Stage = custody.StagePrepared
		}
	}
	return ledger
}

// Writes reports whether the plan writes anything.
func (p Plan) Writes() bool {
	return slices.ContainsFunc(p.Steps, func(step Step) bool { return step.Write != nil })
}

func nothing(phase Phase, rotationID, target, reason string, v view) Plan {
	return Plan{
		Phase: phase, Before: phase, RotationID: rotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint,
		Steps: []Step{{Action: ActNothing, Target: target, Reason: reason, Done: true}}, Msg: strings.ToUpper(reason[:1]) + reason[1:] + ".",
	}
}

// inUse returns the keys that the Platform may be using.
func (v view) inUse() []key {
	var keys []key
	for _, k := range []key{v.current, v.previous, v.standaloneCurrent, v.standalonePrevious} {
		if !k.IsEmpty() {
			keys = append(keys, k)
		}
	}
	return keys
}

// born returns since when the current key has been in use, from escrow or else from the last change of the standalone parameter. The
// string says how that is known.
func born(o Observed, v view) (time.Time, string) {
	if kept, ok := o.Custody.Find(v.current.fingerprint); ok && kept.Origin != custody.OriginCaptured {
		return kept.CapturedAt, "in escrow since " + day(kept.CapturedAt)
	}
	return o.SSM.Current.Modified, o.SSM.Current.Name + " was last changed on " + day(o.SSM.Current.Modified)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Action is what a step does.
type Action string

// The actions, in the order of writes.
const (
	ActNothing         Action = "nothing"
	ActLock            Action = "take_lock"
	ActClearLocks      Action = "clear_old_locks"
	ActEscrowRetiring  Action = "escrow_retiring_key"
	ActEscrowFound     Action = "escrow_found_key"
	ActTieBackups      Action = "tie_backups"
	ActEscrowNew       Action = "escrow_new_key"
	ActOpenLedger      Action = "open_ledger"
	ActUpdateLedger    Action = "update_ledger"
	ActPutOmnibus      Action = "put_omnibus"
	ActPutPrevious     Action = "put_previous_key"
	ActPutCurrent      Action = "put_current_key"
	ActPutChunkSize    Action = "put_chunk_size"
	ActPutSwitch       Action = "put_switch"
	ActDeleteCurrent   Action = "delete_current_key"
	ActRecordPrepared  Action = "record_prepared"
	ActRecordProof     Action = "record_proof"
	ActDeleteSwitch    Action = "delete_switch"
	ActDeleteChunkSize Action = "delete_chunk_size"
	ActDeletePrevious  Action = "delete_previous_key"
	ActDeleteLegacy    Action = "delete_legacy_previous_key"
	ActRecordFinished  Action = "record_finished"
	ActRecordAborted   Action = "record_aborted"
	ActRecordReversed  Action = "record_reversed"
	ActUnlock          Action = "release_lock"
)

// Step is one line of a plan. Only Write may contain a secret; it is never shown.
type Step struct {
	Action Action `json:"action"`
	Target string `json:"target"`
	Reason string `json:"reason"`
	Done   bool   `json:"done"`
	Write  *Write `json:"-"`
}

// Kind is how a parameter is written.
type Kind int

// The kinds of writes.
const (
	Create Kind = iota + 1 // PutParameter with Overwrite=false: atomic, fails if the name exists
	Put                    // PutParameter with Overwrite=true, over the observed version
	Delete                 // DeleteParameters of Names, the first of them in the observed version; a missing name is no error
)

// Write is one write to SSM. It is complete: carrying it out requires no further decision.
type Write struct {
	Kind  Kind
	Name  string
	Names []string // only for Delete
	Value secret.Secret
	Was   secret.Secret // only for Delete: the observed value, unless the name is deleted in any version
	Type  string        // always SecureString today
	After int64         // the observed version; a Put must create version After+1. 0 if the name did not exist, or is deleted in any version

	custody.Attributes // as observed; the tier may be raised (allow_advanced_tier)
}

// Targets returns the names that the write changes.
func (w Write) Targets() []string {
	if w.Kind == Delete {
		return w.Names
	}
	return []string{w.Name}
}

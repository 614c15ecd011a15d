package rotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Plan is what is to be done and why. Steps without a Write are checks or say why nothing is to be done.
type Plan struct {
	Phase      Phase // the phase once the plan is carried out
	Before     Phase // the phase that was found
	RotationID string
	Current    secret.Fingerprint // of the key in use once the plan is carried out; empty while that key is only in Made
	Made       secret.Fingerprint // of a key that this plan puts into escrow and that exists nowhere yet
	Previous   secret.Fingerprint
	Steps      []Step
	Msg        string
	Warnings   []string
	Evidence   []proof.Evidence
	Progress   *proof.Progress
	Proof      *proof.Proof
	Then       []Step            // what finalized would do after this one; see PreviewFinalize
	Escrow     string            // the parameter that holds the old key
	Baseline   *custody.Baseline // what the ledger's entry of this rotation names
	Platform   *custody.Platform // likewise

	// Needs says what else must be observed before there is an answer; a plan that needs something has no steps.
	Needs Need
	Lock  int // for NeedLock

	Born      time.Time // since when the current key is in use, as far as is known
	BroughtBy string    // the rotation that brought the current key; empty if none of ours did, or escrow was not read
}

// Need is an observation that costs something and is made only when the answer depends on it.
type Need int

// The needs, in the order of their cost.
const (
	NeedNothing     Need = iota
	NeedEscrow           // escrow/<fingerprint> of the keys in use: one read
	NeedLock             // the lock that Plan.Lock numbers: one read
	NeedInventory        // everything under custody_prefix: a read for each ten names
	NeedDescription      // DescribeParameters: KMS keys, tiers and policies, which only writes need
)

// Make turns what is observed and what is desired into a plan, or says why there is none.
func Make(o Observed, desired Desired, prints proof.Fingerprinter) (Plan, error) {
	v, err := newView(o, desired, prints)
	if err != nil {
		return Plan{}, err
	}
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
		err = &fault.Fault{Code: fault.CodeInvalidOptions, What: fmt.Sprintf("No plan leads to state %q.", desired.State)}
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

// Writes says whether carrying out the plan changes anything.
func (p Plan) Writes() bool {
	for _, step := range p.Steps {
		if step.Write != nil {
			return true
		}
	}
	return false
}

func nothing(phase Phase, rotationID, target, reason string, v view) Plan {
	return Plan{
		Phase: phase, Before: phase, RotationID: rotationID, Current: v.current.fingerprint, Previous: v.previous.fingerprint,
		Steps: []Step{{Action: ActNothing, Target: target, Reason: reason, Done: true}}, Msg: strings.ToUpper(reason[:1]) + reason[1:] + ".",
	}
}

// inUse are the keys that the Platform may be using.
func (v view) inUse() []key {
	var keys []key
	for _, k := range []key{v.current, v.previous, v.standaloneCurrent, v.standalonePrevious} {
		if !k.IsEmpty() {
			keys = append(keys, k)
		}
	}
	return keys
}

// born tells since when the current key is in use: by escrow, or else by the standalone parameter's last change.
func born(o Observed, v view) (time.Time, string) {
	if kept, ok := o.Custody.Find(v.current.fingerprint); ok && kept.Origin != custody.OriginCaptured {
		return kept.CapturedAt, "escrow has it since " + day(kept.CapturedAt)
	}
	return o.SSM.Current.Modified, o.SSM.Current.Name + " was last changed on " + day(o.SSM.Current.Modified)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Action is what a step does.
type Action string

// The actions, in the order in which the contract's "Order of writes" has them.
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

// Step is one line of a plan. What it shows holds no secret; what it writes is in Write.
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
	Create Kind = iota + 1 // PutParameter with Overwrite=false: atomic, fails when the name exists
	Put                    // PutParameter with Overwrite=true onto the version that was observed
	Delete                 // DeleteParameters of Names; absent is success
)

// Write is one write to SSM, complete: carrying it out needs no further decision.
type Write struct {
	Kind  Kind
	Name  string
	Names []string // for Delete alone
	Value secret.Secret
	Type  string // always SecureString today
	After int64  // the version observed; the write's own must be After+1. 0 for a name that did not exist

	custody.Attributes // as observed; of the tier see allow_advanced_tier
}

// Targets are the names that a write touches.
func (w Write) Targets() []string {
	if w.Kind == Delete {
		return w.Names
	}
	return []string{w.Name}
}

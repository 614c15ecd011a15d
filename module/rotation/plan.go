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
	if err != nil {
		return Plan{}, err
	}
	if err := plan.Check(o, desired); err != nil {
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

// nothing is the plan where all is as desired.
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

// born tells since when the current key is in use: by escrow if a rotation of ours brought it, else by the standalone
// parameter's last change, which is later than the truth when somebody wrote the same value again.
func born(o Observed, v view) (time.Time, string) {
	if kept, ok := o.Custody.Find(v.current.fingerprint); ok && kept.Origin != custody.OriginCaptured {
		return kept.CapturedAt, "escrow has it since " + day(kept.CapturedAt)
	}
	return o.SSM.Current.Modified, o.SSM.Current.Name + " was last changed on " + day(o.SSM.Current.Modified)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

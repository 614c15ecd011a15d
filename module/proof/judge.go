package proof

import (
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Asked is what is asked of the judge, from the options.
type Asked struct {
	App             string
	RotationID      string
	Verify          []Verify  // empty: VerifyDatabase
	Accept          []string  // ids of records that may stay unreadable if the baseline says that they were
	AttestedBy      string    // who looked, for VerifyAttested
	BackendsReadyAt time.Time // when the role saw the backends ready; zero when not known
	Tool            string    // the tool's version, for the proof
}

// Verify is a way to prove that a rotation is complete.
type Verify string

// The ways of the option verify, the strongest first.
const (
	VerifyDatabase Verify = "database" // every record was read and opened
	VerifyAttested Verify = "attested" // a named person looked at the Encryption tab
)

// Verdict is what one look says of the rotation. It is complete if there is a Proof.
type Verdict struct {
	Current, Previous secret.Fingerprint
	Checks            []Check
	Msg               string
	Warnings          []string
	Evidence          []Evidence
	Progress          *Progress
	Started           bool // backends and cron run with both keys, in the right order
	Proof             *Proof
	// Pending is not nil while what is asked for is not there yet but may still come.
	Pending *fault.Fault
	// Unconfirmed: the counts say that it is complete, but they are not of one instant: read all once more.
	Unconfirmed bool
}

// Check is one line of a verdict; a result shows it as a step.
type Check struct {
	Action string `json:"action"`
	Target string `json:"target"`
	Reason string `json:"reason"`
	Done   bool   `json:"done"`
}

// Evidence is one check with its outcome.
type Evidence struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Progress counts records; see Records for the classes.
type Progress struct {
	Total      int     `json:"total"`
	Current    int     `json:"current"`
	Previous   int     `json:"previous"`
	Unreadable int     `json:"unreadable"`
	Orphaned   int     `json:"orphaned"`
	Rewritten  int     `json:"rewritten"`
	Percent    float64 `json:"percent"`
	ETASeconds *int    `json:"eta_seconds"` // nil while no rate is known
}

// Judge makes the checks in order. What may still come is Pending; what waiting cannot put right is a fault.
func Judge(o Observed, asked Asked, prints Fingerprinter) (Verdict, error) {
	if err := o.Parameters.ready(prints); err != nil {
		return Verdict{}, err
	}
	if o.Platform == nil {
		return Verdict{}, &fault.Fault{Code: fault.CodePlatformNotFound, What: "The Platform's containers were not looked at."}
	}
	if len(asked.Verify) == 0 {
		asked.Verify = []Verify{VerifyDatabase}
	}
	database, project := "", o.Platform.Project
	if o.Records != nil {
		database = o.Records.Database
	}
	current, previous := prints.Of(o.Parameters.Current.Value), prints.Of(o.Parameters.Previous.Value)
	v := Verdict{
		Current: current, Previous: previous,
		Checks: []Check{
			{Action: "check_parameters", Target: o.Parameters.Switch.Name, Reason: "both keys and the switch must be there before anything starts", Done: true},
			{Action: "check_backends", Target: project, Reason: "all backends must run with both keys before cron starts"},
			{Action: "check_cron", Target: project, Reason: "rotation runs inside cron, at its start"},
			{Action: "prove_records", Target: database, Reason: proves(asked)},
		},
		Evidence: []Evidence{{Check: "parameters", OK: true, Detail: fmt.Sprintf("current %s, previous %s, switch on; last changed %s", current, previous, stamp(o.changed()))}},
	}
	for i, check := range []struct {
		name  string
		check func(Observed, Asked) (string, *fault.Fault, error)
	}{{"backends", Observed.backendsStarted}, {"cron", Observed.cronStarted}} {
		detail, pending, err := check.check(o, asked)
		if err != nil {
			return Verdict{}, err
		}
		v.Evidence = append(v.Evidence, Evidence{Check: check.name, OK: pending == nil, Detail: detail})
		v.Checks[i+1].Done = pending == nil
		if pending != nil {
			v.pend(pending, "Both keys are in place.")
			return v, nil
		}
	}
	v.Started = true
	err := v.prove(o, asked, prints)
	return v, err
}

// pend puts off the verdict. What is pending comes with a sentence on the keys once it becomes a failure.
func (v *Verdict) pend(pending *fault.Fault, keys string) {
	v.Msg = pending.What
	pending.What += " " + keys
	v.Pending = pending
}

// prove wants every way that was asked for to say that the rotation is complete.
func (v *Verdict) prove(o Observed, asked Asked, prints Fingerprinter) error {
	proof := &Proof{
		Format: Format, App: asked.App, RotationID: asked.RotationID, Previous: v.Previous, Current: v.Current,
		MadeAt: o.Now.UTC().Truncate(time.Second), Tool: asked.Tool,
	}
	for _, way := range []struct {
		name  Verify
		check func(*Verdict, Observed, Asked, *Proof) (string, error)
	}{{VerifyDatabase, (*Verdict).provedByRecords}, {VerifyAttested, (*Verdict).provedByPerson}} {
		if !slices.Contains(asked.Verify, way.name) {
			continue
		}
		said, err := way.check(v, o, asked, proof)
		if err != nil || v.Pending != nil {
			return err
		}
		proof.Verify = append(proof.Verify, way.name)
		v.Msg += said
	}
	proof.Sign(prints, o.Parameters.Current.Value)
	v.Proof = proof
	v.Checks[3].Done = true
	return nil
}

func proves(asked Asked) string {
	if slices.Contains(asked.Verify, VerifyDatabase) {
		return "only records that open with the new key prove that the rotation is complete"
	}
	return fmt.Sprintf("completion is taken from %q, which is weaker than opening every record", asked.Verify)
}

// provedByPerson takes somebody's word.
func (v *Verdict) provedByPerson(_ Observed, asked Asked, proof *Proof) (string, error) {
	v.Evidence = append(v.Evidence, Evidence{Check: "attested", OK: true, Detail: asked.AttestedBy + " attests that the Encryption tab shows no record that is left"})
	v.Warnings = append(v.Warnings, "Completion is attested by "+asked.AttestedBy+", who looked at the Encryption tab: it is weaker than opening every record.")
	proof.AttestedBy = asked.AttestedBy
	return fmt.Sprintf(" %s attests that it is complete.", asked.AttestedBy), nil
}

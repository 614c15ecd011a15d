package proof

import (
	"fmt"
	"slices"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Asked holds the options that the judge needs.
type Asked struct {
	App             string
	RotationID      string
	Verify          []Verify  // empty: VerifyDatabase
	Accept          []string  // IDs of records that may stay unreadable if they already were in the baseline
	AttestedBy      string    // the person who looked, for VerifyAttested
	BackendsReadyAt time.Time // when the role saw the backends ready; zero if not known
	Tool            string    // version of this tool, for the proof
}

// Verify is a way to prove that a rotation is complete.
type Verify string

// The values of the option verify, the strongest first.
const (
	VerifyDatabase Verify = "database" // every record was read and opened
	VerifyAttested Verify = "attested" // a named person looked at the Encryption tab
)

// Verdict is the judgment of one observation. The rotation is complete if there is a Proof.
type Verdict struct {
	Current, Previous secret.Fingerprint
	Checks            []Check
	Msg               string
	Warnings          []string
	Evidence          []Evidence
	Progress          *Progress
	Started           bool // backends and cron run with both keys, in the right order
	Proof             *Proof
	// Pending is not nil while the rotation is not complete but may still complete.
	Pending *fault.Fault
	// Unconfirmed: the counts say that the rotation is complete, but they are not from a single snapshot. Scan again.
	Unconfirmed bool
}

// Check is one line of a verdict. A result shows it as a step.
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
	ETASeconds *int    `json:"eta_seconds"` // nil while the rate is not known
}

// Judge makes the checks in order. If waiting may help, the verdict is Pending; if waiting cannot help, Judge returns a fault.
func Judge(o Observed, asked Asked, prints Fingerprinter) (Verdict, error) {
	if err := o.Parameters.ready(prints); err != nil {
		return Verdict{}, err
	}
	if o.Platform == nil {
		return Verdict{}, &fault.Fault{Code: fault.CodePlatformNotFound, What: "The Platform's containers were not observed."}
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
			{Action: "check_parameters", Target: o.Parameters.Switch.Name, Reason: "both keys and the switch must exist before anything starts", Done: true},
			{Action: "check_backends", Target: project, Reason: "all backends must run with both keys before cron starts"},
			{Action: "check_cron", Target: project, Reason: "cron re-encrypts the records when it starts"},
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

// pend makes the verdict pending. keys is a sentence about the keys, which is shown if the pending fault becomes an error.
func (v *Verdict) pend(pending *fault.Fault, keys string) {
	v.Msg = pending.What
	pending.What += " " + keys
	v.Pending = pending
}

// prove makes the proof if every way in asked.Verify confirms that the rotation is complete.
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

// provedByPerson relies on the word of a person.
func (v *Verdict) provedByPerson(_ Observed, asked Asked, proof *Proof) (string, error) {
	v.Evidence = append(v.Evidence, Evidence{Check: "attested", OK: true, Detail: asked.AttestedBy + " attests that the Encryption tab shows no record left to re-encrypt"})
	v.Warnings = append(v.Warnings, "Completion is attested by "+asked.AttestedBy+", who checked the Encryption tab. This is weaker than opening every record.")
	proof.AttestedBy = asked.AttestedBy
	return fmt.Sprintf(" %s attests that the rotation is complete.", asked.AttestedBy), nil
}

package control

import (
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Result is what seqera_crypto_rotation returns; the contract's "Return values".
type Result struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase,omitempty"`
	RotationID      string              `json:"rotation_id"`
	Fingerprints    secret.Fingerprints `json:"fingerprints"`
	Steps           []rotation.Step     `json:"steps"`
	Then            []rotation.Step     `json:"then,omitempty"`
	Diff            []rotation.Diff     `json:"diff,omitempty"`
	Warnings        []string            `json:"warnings,omitempty"`
	KeyAgeDays      *int                `json:"key_age_days,omitempty"`
	KeyRotationID   string              `json:"key_rotation_id,omitempty"`
	Evidence        []proof.Evidence    `json:"evidence"`
	Proof           *proof.Proof        `json:"proof,omitempty"`
	Escrow          *escrow             `json:"escrow,omitempty"`
	Baseline        *custody.Baseline   `json:"baseline,omitempty"`
	Platform        *custody.Platform   `json:"platform,omitempty"`
	LastRecords     *int                `json:"last_records,omitempty"`
	Tool            *Tool               `json:"tool,omitempty"`
	ApprovedBy      string              `json:"approved_by,omitempty"`
	APICalls        parameters.Calls    `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

type escrow struct {
	Parameter string `json:"parameter"`
	Version   int64  `json:"version"`
}

// result tells what was done, or in check mode would be: the same plan, with the steps that were carried out marked.
func (s *Session) result(plan rotation.Plan, request ansible.Request, failed bool) Result {
	out := Result{
		Msg: plan.Msg, Phase: plan.Phase, RotationID: plan.RotationID, Fingerprints: secret.Fingerprints{Current: plan.Current, Previous: plan.Previous},
		Steps: append([]rotation.Step{}, plan.Steps...), Then: plan.Then, KeyAgeDays: s.KeyAge(plan), KeyRotationID: plan.BroughtBy, Warnings: plan.Warnings, Evidence: append([]proof.Evidence{}, plan.Evidence...), Proof: plan.Proof, Baseline: plan.Baseline,
		DurationSeconds: ansible.Seconds(s.Now().Sub(s.began)),
	}
	out.Platform, out.LastRecords = s.rotated(plan), s.Observed.Custody.LastRecords()
	program := s.tool()
	out.Tool, out.ApprovedBy = &program, s.Desired.ApprovedBy
	if entry, ok := s.Observed.Custody.Entry(plan.RotationID); ok {
		out.ApprovedBy = entry.ApprovedBy
	}
	out.APICalls = s.Store.Calls()
	out.Changed = len(s.done) > 0
	if failed && plan.Writes() {
		out.Phase = plan.Reached(s.Observed, s.Desired, s.Fingerprinter)
	}
	if plan.Writes() && request.CheckMode {
		out.Changed = true
		out.Msg = "Would be done: " + lower(plan.Msg)
	}
	if request.Diff {
		out.Diff = plan.Diffs(s.Observed, s.Desired, s.Fingerprinter)
	}
	if plan.Escrow != "" {
		// Escrow is created once and never overwritten: its version is 1.
		out.Escrow = &escrow{Parameter: plan.Escrow, Version: 1}
	}
	return out
}

// rotated is the Platform of the rotation that is open, also where the run failed.
func (s *Session) rotated(plan rotation.Plan) *custody.Platform {
	entry, ok := s.Observed.Custody.Entry(s.Desired.RotationID)
	if !ok {
		entry, ok = s.Observed.Custody.Open()
	}
	if plan.Platform == nil && ok && !entry.Stage.Over() {
		return entry.Platform
	}
	return plan.Platform
}

func lower(sentence string) string {
	if sentence == "" {
		return ""
	}
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

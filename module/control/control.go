// Package control is the control node's side of the module: the states prepared, finalized and aborted. It observes SSM, plans,
// takes the lease, applies the plan and returns the result. It must not know how containers run or how records are read.
package control

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Run brings one installation to the desired state. rounds is for fingerprints (secret.NewFingerprinter).
func Run(ctx context.Context, request ansible.Request, env options.Env, version string, rounds int) (any, error) {
	asked, err := options.ParseRotation(request.Params, env)
	if err != nil {
		return nil, err
	}
	store, err := parameters.Open(ctx, parameters.Config(asked.AWS))
	if err != nil {
		return nil, err
	}
	s, err := New(asked, store, secret.NewFingerprinter(asked.AppName, rounds))
	if err != nil {
		return nil, err
	}
	s.tool = sync.OnceValue(func() Tool { return tool(version) })
	go s.tool()
	return s.run(ctx, request)
}

func (s *Session) run(ctx context.Context, request ansible.Request) (any, error) {
	plan, err := s.decide(ctx)
	if err == nil && !request.CheckMode {
		plan, err = s.apply(ctx, plan)
	}
	if err == nil && request.CheckMode && s.Desired.State == rotation.StatePrepared && !s.Desired.CaptureOnly {
		plan.Then, err = s.previewFinalize(ctx, plan)
	}
	err = s.withWritten(err)
	return s.result(plan, request, err != nil), err
}

func (s *Session) decide(ctx context.Context) (rotation.Plan, error) {
	if err := s.Observe(ctx); err != nil {
		return rotation.Plan{}, err
	}
	s.Desired.Tool = s.tool().short()
	return s.Plan(ctx)
}

// previewFinalize plans the end of a rotation that is running or due, for a dry run. It uses the planner of the state finalized.
func (s *Session) previewFinalize(ctx context.Context, plan rotation.Plan) ([]rotation.Step, error) {
	if !plan.Writes() && plan.Phase != rotation.PhasePrepared && plan.Phase != rotation.PhaseRotated {
		return nil, nil
	}
	end, err := s.planned(ctx, func() (rotation.Plan, error) {
		return rotation.PreviewFinalize(s.Observed, s.Desired, plan, s.Fingerprinter)
	})
	return end.Steps, err
}

// Result is what seqera_crypto_rotation returns (docs/return-values.md).
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
	EndedAt         time.Time           `json:"ended_at,omitzero"`
	Evidence        []proof.Evidence    `json:"evidence"`
	Proof           *proof.Proof        `json:"proof,omitempty"`
	Escrow          *escrow             `json:"escrow,omitempty"`
	Baseline        *custody.Baseline   `json:"baseline,omitempty"`
	Platform        *custody.Platform   `json:"platform,omitempty"`
	LastRecords     *int                `json:"last_records,omitempty"`
	Tool            *Tool               `json:"tool,omitempty"`
	ApprovedBy      string              `json:"approved_by,omitempty"`
	Backups         []string            `json:"backups,omitempty"` // of the ledger's entry
	APICalls        parameters.Calls    `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

type escrow struct {
	Parameter string `json:"parameter"`
	Version   int64  `json:"version"`
}

// result reports the plan, with the steps that were carried out marked as done. In check mode no step is.
func (s *Session) result(plan rotation.Plan, request ansible.Request, failed bool) Result {
	out := Result{
		Msg: plan.Msg, Phase: plan.Phase, RotationID: plan.RotationID, Fingerprints: secret.Fingerprints{Current: plan.Current, Previous: plan.Previous},
		Steps: append([]rotation.Step{}, plan.Steps...), Then: plan.Then, KeyAgeDays: s.KeyAge(plan), KeyRotationID: plan.BroughtBy, EndedAt: plan.EndedAt.UTC().Truncate(time.Second), Warnings: plan.Warnings, Evidence: append([]proof.Evidence{}, plan.Evidence...), Proof: plan.Proof, Baseline: plan.Baseline,
		DurationSeconds: ansible.Seconds(s.Now().Sub(s.began)),
	}
	out.Platform, out.LastRecords = s.rotated(plan), s.Observed.Custody.LastRecords()
	program := s.tool()
	out.Tool, out.ApprovedBy = &program, s.Desired.ApprovedBy
	if entry, ok := s.Observed.Custody.Entry(plan.RotationID); ok {
		out.ApprovedBy, out.Backups = entry.ApprovedBy, entry.Backups
	}
	out.APICalls = s.Store.Calls()
	out.Changed = len(s.done) > 0
	if failed && plan.Writes() {
		out.Phase, out.Fingerprints = plan.Reached(s.Observed, s.Desired, s.Fingerprinter)
	}
	if plan.Writes() && request.CheckMode {
		out.Changed = true
		out.Msg = "Would be done: " + lower(plan.Msg)
	}
	if request.Diff {
		out.Diff = plan.Diffs(s.Observed, s.Desired, s.Fingerprinter)
	}
	if plan.Escrow != "" && (!plan.Writes() || s.inEscrow(plan)) {
		// An escrow parameter is created once and never overwritten, so its version is 1.
		out.Escrow = &escrow{Parameter: plan.Escrow, Version: 1}
	}
	return out
}

// inEscrow reports whether the key in plan.Escrow was in escrow before, or was put there by this run.
func (s *Session) inEscrow(plan rotation.Plan) bool {
	_, held := s.Observed.Custody.Find(secret.Fingerprint(path.Base(plan.Escrow)))
	return held || slices.ContainsFunc(s.done, func(step rotation.Step) bool { return step.Write.Name == plan.Escrow })
}

// rotated returns the Platform of the open rotation, even if the run failed.
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

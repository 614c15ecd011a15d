package main

import (
	"math"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// result is what seqera_crypto_rotation returns; the contract's "Return values".
type result struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase,omitempty"`
	RotationID      string              `json:"rotation_id"`
	Fingerprints    fingerprints        `json:"fingerprints"`
	Steps           []rotation.Step     `json:"steps"`
	Then            []rotation.Step     `json:"then,omitempty"`
	Diff            []rotation.Diff     `json:"diff,omitempty"`
	Warnings        []string            `json:"warnings,omitempty"`
	KeyAgeDays      *int                `json:"key_age_days,omitempty"`
	KeyRotationID   string              `json:"key_rotation_id,omitempty"`
	Progress        *rotation.Progress  `json:"progress,omitempty"`
	Evidence        []rotation.Evidence `json:"evidence"`
	Proof           *rotation.Proof     `json:"proof,omitempty"`
	Escrow          *escrow             `json:"escrow,omitempty"`
	Baseline        *custody.Baseline   `json:"baseline,omitempty"`
	Platform        *custody.Platform   `json:"platform,omitempty"`
	LastRecords     *int                `json:"last_records,omitempty"`
	APICalls        calls               `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

type fingerprints struct {
	Current  secret.Fingerprint `json:"current"`
	Previous secret.Fingerprint `json:"previous"`
}

type escrow struct {
	Parameter string `json:"parameter"`
	Version   int64  `json:"version"`
}

type calls struct {
	Reads  int64 `json:"reads"`
	Writes int64 `json:"writes"`
}

// result tells what was done, or in check mode would be: the same plan, with the steps that were carried out marked.
func (r *run) result(plan rotation.Plan, request ansible.Request, failed bool) result {
	out := result{
		Msg: plan.Msg, Phase: plan.Phase, RotationID: plan.RotationID, Fingerprints: fingerprints{plan.Current, plan.Previous},
		Steps: plan.Steps, Then: plan.Then, KeyAgeDays: r.keyAge(plan), KeyRotationID: plan.BroughtBy, Warnings: plan.Warnings, Progress: plan.Progress, Evidence: plan.Evidence, Proof: plan.Proof, Baseline: plan.Baseline,
		DurationSeconds: seconds(r.now().Sub(r.began).Seconds()),
	}
	out.Platform, out.LastRecords = r.rotated(plan), r.world.Custody.LastRecords()
	out.APICalls.Reads, out.APICalls.Writes = r.store.Calls()
	if out.Steps == nil {
		out.Steps = []rotation.Step{}
	}
	if out.Evidence == nil {
		out.Evidence = []rotation.Evidence{}
	}
	out.Changed = len(r.done) > 0
	if failed && plan.Writes() {
		out.Phase = plan.Reached(r.world, r.wish, r.prints)
	}
	if plan.Writes() && request.CheckMode {
		out.Changed = true
		out.Msg = "Would be done: " + lower(plan.Msg)
	}
	if request.Diff {
		out.Diff = plan.Diffs(r.world, r.wish, r.prints)
	}
	if plan.Escrow != "" {
		// Escrow is created once and never overwritten: its version is 1.
		out.Escrow = &escrow{Parameter: plan.Escrow, Version: 1}
	}
	return out
}

// rotated is the Platform of the rotation that is open, also where the run failed.
func (r *run) rotated(plan rotation.Plan) *custody.Platform {
	entry, ok := r.world.Custody.Entry(r.wish.RotationID)
	if !ok {
		entry, ok = r.world.Custody.Open()
	}
	if plan.Platform == nil && ok && !entry.Stage.Over() {
		return entry.Platform
	}
	return plan.Platform
}

// keyAge is the current key's age in whole days; nil where the plan did not need to know it.
func (r *run) keyAge(plan rotation.Plan) *int {
	if plan.Born.IsZero() {
		return nil
	}
	age := int(r.world.Now.Sub(plan.Born) / (24 * time.Hour))
	return &age
}

func lower(sentence string) string {
	if sentence == "" {
		return ""
	}
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

func seconds(s float64) float64 { return math.Round(s*1000) / 1000 }

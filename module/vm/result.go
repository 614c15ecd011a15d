package vm

import (
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Result is what seqera_crypto_rotation returns of the state rotating; the contract's "Return values".
type Result struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase,omitempty"`
	RotationID      string              `json:"rotation_id"`
	Fingerprints    secret.Fingerprints `json:"fingerprints"`
	Steps           []proof.Check       `json:"steps"`
	Warnings        []string            `json:"warnings,omitempty"`
	Progress        *proof.Progress     `json:"progress,omitempty"`
	Evidence        []proof.Evidence    `json:"evidence"`
	Proof           *proof.Proof        `json:"proof,omitempty"`
	APICalls        parameters.Calls    `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

func result(v proof.Verdict, rotationID string, calls parameters.Calls, took time.Duration) Result {
	out := Result{
		Msg: v.Msg, Fingerprints: secret.Fingerprints{Current: v.Current, Previous: v.Previous}, Steps: list(v.Checks), Warnings: v.Warnings, Progress: v.Progress,
		Evidence: list(v.Evidence), Proof: v.Proof, APICalls: calls, DurationSeconds: ansible.Seconds(took),
	}
	switch {
	case v.Proof != nil:
		out.Phase = rotation.PhaseRotated
	case v.Started:
		out.Phase = rotation.PhaseRotating
	case v.Msg != "":
		out.Phase = rotation.PhasePrepared
	}
	if v.Checks != nil {
		out.RotationID = rotationID
	}
	return out
}

package custody

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Stage is how far a rotation has come.
type Stage string

// The stages of a ledger entry.
const (
	StageOpen     Stage = "open"     // both keys are in escrow; the omnibus may or may not have changed
	StagePrepared Stage = "prepared" // omnibus and standalone parameters hold both keys and the switch
	StageProved   Stage = "proved"   // the proof is on record; removal may have begun
	StageFinished Stage = "finished" // no trace is left
	StageAborting Stage = "aborting" // it is proved that no record is under the new key; restoring the old key may have begun
	StageAborted  Stage = "aborted"  // the old key is restored, no trace is left
)

// Over reports whether the rotation has ended.
func (s Stage) Over() bool { return s == StageFinished || s == StageAborted }

// Entry is the ledger entry of one rotation, at <custody_prefix>/ledger/<rotation_id>. It contains no key.
type Entry struct {
	Version    int64      `json:"-"` // the parameter's version as observed
	Attributes Attributes `json:"-"`

	App           string             `json:"app_name"`
	RotationID    string             `json:"rotation_id"`
	Stage         Stage              `json:"stage"`
	Previous      secret.Fingerprint `json:"previous"`
	Current       secret.Fingerprint `json:"current"`
	Backups       []string           `json:"backups,omitempty"`
	BackupsWaived bool               `json:"backups_waived,omitempty"`
	ChunkSize     *ChunkSize         `json:"chunk_size,omitempty"`
	OpenedAt      time.Time          `json:"opened_at"`
	PreparedAt    time.Time          `json:"prepared_at,omitzero"`
	ProvedAt      time.Time          `json:"proved_at,omitzero"`
	FinishedAt    time.Time          `json:"finished_at,omitzero"`
	AbortedAt     time.Time          `json:"aborted_at,omitzero"`
	ReversedAt    time.Time          `json:"reversed_at,omitzero"` // when Previous and Current were swapped, to restore the old key
	By            Holder             `json:"by"`
	Tool          string             `json:"tool,omitempty"` // the binary that opened it: version, and the first 16 digits of its SHA-256
	ApprovedBy    string             `json:"approved_by,omitempty"`
	Versions      map[string]int64   `json:"versions,omitempty"` // parameter → version that this rotation wrote
	Baseline      *Baseline          `json:"baseline,omitempty"`
	Platform      *Platform          `json:"platform,omitempty"`
	Proof         json.RawMessage    `json:"proof,omitempty"`
	ProofDigest   string             `json:"proof_digest,omitempty"` // SHA-256 of the whole proof, as the option proof passed it
}

// Reversed reports whether the rotation restores, or has restored, the old key with its two keys swapped.
func (e Entry) Reversed() bool { return !e.ReversedAt.IsZero() }

// Left returns the key that a rotation that is over left in use.
func (e Entry) Left() secret.Fingerprint {
	if e.Stage == StageAborted && !e.Reversed() {
		return e.Previous
	}
	return e.Current
}

// over returns when a rotation that is over was finished or aborted.
func (e Entry) over() time.Time {
	if e.Stage == StageAborted {
		return e.AbortedAt
	}
	return e.FinishedAt
}

// EndedAt returns when the rotation was finished or reversed. It is zero if the rotation is not over, or if its new key was never in use.
func (e Entry) EndedAt() time.Time {
	if e.Stage == StageFinished || e.Stage == StageAborted && e.Reversed() {
		return e.over()
	}
	return time.Time{}
}

// GoingBack reports whether a run that restores the old key was interrupted before it had written the parameters.
func (e Entry) GoingBack() bool {
	return e.Stage == StageAborting || e.Reversed() && e.Stage == StageOpen
}

// Baseline identifies the baseline of the records that was taken before the rotation. Its file stays on the VM.
type Baseline struct {
	Path    string    `json:"path,omitempty"`
	Digest  string    `json:"digest"`
	Total   int       `json:"total"`
	TakenAt time.Time `json:"taken_at"`

	// Provisional is set if a backend was still writing when the baseline was taken. A baseline taken later replaces it before cron
	// starts.
	Provisional bool `json:"provisional,omitempty"`
}

// Platform identifies the compose project of a rotation, so that a run that finds the Platform down starts the same one.
type Platform struct {
	Project  string              `json:"project"`
	Dir      string              `json:"dir"`
	Files    []string            `json:"files,omitempty"`
	EnvFiles []string            `json:"env_files,omitempty"`
	Profiles []string            `json:"profiles,omitempty"`
	Mounts   map[string][]string `json:"mounts,omitempty"` // service: source:target
}

// Equal reports whether two Platforms are the same, or both are nil.
func (p *Platform) Equal(other *Platform) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.Project == other.Project && p.Dir == other.Dir && slices.Equal(p.Files, other.Files) && slices.Equal(p.EnvFiles, other.EnvFiles) &&
		slices.Equal(p.Profiles, other.Profiles) && maps.EqualFunc(p.Mounts, other.Mounts, slices.Equal)
}

// ChunkSize is the chunk size before the rotation set its own. The end of the rotation restores it.
type ChunkSize struct {
	Omnibus    *string `json:"omnibus,omitempty"`    // nil: there was no entry
	Standalone *string `json:"standalone,omitempty"` // nil: there was no parameter
}

// Shown returns a copy of c that is safe to print: see Plainly.
func (c *ChunkSize) Shown() *ChunkSize {
	if c == nil {
		return nil
	}
	shown := *c
	for _, value := range []**string{&shown.Omnibus, &shown.Standalone} {
		if *value != nil {
			text := Plainly(**value)
			*value = &text
		}
	}
	return &shown
}

// Plainly returns a switch ("true" or "false") or a number unchanged, and masks any other value: somebody may have put a key there.
func Plainly(value string) string {
	if _, err := strconv.Atoi(value); err == nil || value == "true" || value == "false" {
		return value
	}
	return secret.Mask
}

// LedgerName returns <prefix>/ledger/<rotation_id>.
func LedgerName(prefix, rotationID string) string { return prefix + "/ledger/" + rotationID }

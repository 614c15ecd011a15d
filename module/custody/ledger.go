package custody

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Stage is how far a rotation came.
type Stage string

// The stages of a ledger entry.
const (
	StageOpen     Stage = "open"     // both keys are in escrow; the omnibus may or may not have changed
	StagePrepared Stage = "prepared" // omnibus and standalone parameters hold both keys and the switch
	StageProved   Stage = "proved"   // the proof is on record; removal may have begun
	StageFinished Stage = "finished" // no trace is left
	StageAborting Stage = "aborting" // it is proved that no record is under the new key; going back may have begun
	StageAborted  Stage = "aborted"  // the old key is back, no trace is left
)

// Over says whether the rotation has ended.
func (s Stage) Over() bool { return s == StageFinished || s == StageAborted }

// Entry is the ledger's record of one rotation, at <custody_prefix>/ledger/<rotation_id>. It holds no key.
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
	ReversedAt    time.Time          `json:"reversed_at,omitzero"` // when Previous and Current changed places, to go back to the old key
	By            Holder             `json:"by"`
	Tool          string             `json:"tool,omitempty"` // what opened it: version, and the first 16 digits of the binary's SHA-256
	ApprovedBy    string             `json:"approved_by,omitempty"`
	Versions      map[string]int64   `json:"versions,omitempty"` // parameter → version that this rotation wrote
	Baseline      *Baseline          `json:"baseline,omitempty"`
	Platform      *Platform          `json:"platform,omitempty"`
	Proof         json.RawMessage    `json:"proof,omitempty"`
	Lock          int                `json:"lock,omitempty"`         // the number under which it was last written
	ProofDigest   string             `json:"proof_digest,omitempty"` // SHA-256 of the proof as it was handed over
}

// Reversed says whether the rotation goes back, or went back, with its keys in each other's place.
func (e Entry) Reversed() bool { return !e.ReversedAt.IsZero() }

// Left is the key that the rotation left in use, once it is over.
func (e Entry) Left() secret.Fingerprint {
	if e.Stage == StageAborted && !e.Reversed() {
		return e.Previous
	}
	return e.Current
}

// GoingBack says whether going back was cut off before the parameters were as it wants them.
func (e Entry) GoingBack() bool {
	return e.Stage == StageAborting || e.Reversed() && e.Stage == StageOpen
}

// Baseline names what was seen of the records before the rotation. The file itself stays on the VM.
type Baseline struct {
	Path    string    `json:"path,omitempty"`
	Digest  string    `json:"digest"`
	Total   int       `json:"total"`
	TakenAt time.Time `json:"taken_at"`

	// Provisional: the backend still wrote when it was taken. One that was taken later takes its place, before cron starts.
	Provisional bool `json:"provisional,omitempty"`
}

// Platform says which compose project was rotated, so that a run that finds it down still starts the same one.
type Platform struct {
	Project  string              `json:"project"`
	Dir      string              `json:"dir"`
	Files    []string            `json:"files,omitempty"`
	EnvFiles []string            `json:"env_files,omitempty"`
	Profiles []string            `json:"profiles,omitempty"`
	Mounts   map[string][]string `json:"mounts,omitempty"` // service: source:target
}

// Equal says whether two name the same, or neither names one.
func (p *Platform) Equal(other *Platform) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.Project == other.Project && p.Dir == other.Dir && slices.Equal(p.Files, other.Files) && slices.Equal(p.EnvFiles, other.EnvFiles) &&
		slices.Equal(p.Profiles, other.Profiles) && maps.EqualFunc(p.Mounts, other.Mounts, slices.Equal)
}

// ChunkSize is what omnibus and standalone parameter said before the rotation set its own, to be given back at its end.
type ChunkSize struct {
	Omnibus    *string `json:"omnibus,omitempty"`    // nil: there was no entry
	Standalone *string `json:"standalone,omitempty"` // nil: there was no parameter
}

// Shown is c with nothing in it but numbers: somebody may have put a key where a chunk size belongs.
func (c *ChunkSize) Shown() *ChunkSize {
	if c == nil {
		return nil
	}
	shown := func(value *string) *string {
		if value == nil {
			return nil
		}
		text := Plainly(*value)
		return &text
	}
	return &ChunkSize{Omnibus: shown(c.Omnibus), Standalone: shown(c.Standalone)}
}

// Plainly shows what a switch or a chunk size may hold, and nothing else: somebody may have put a key there.
func Plainly(value string) string {
	if _, err := strconv.Atoi(value); err == nil || value == "true" || value == "false" {
		return value
	}
	return secret.Mask
}

// LedgerName gives <prefix>/ledger/<rotation_id>.
func LedgerName(prefix, rotationID string) string { return prefix + "/ledger/" + rotationID }

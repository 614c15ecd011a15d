package proof

import (
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Fingerprinter derives fingerprints and MAC keys from crypto keys. *secret.Fingerprinter implements it; each call may take tens of
// milliseconds.
type Fingerprinter interface {
	Of(key secret.Secret) secret.Fingerprint
	MACKey(key secret.Secret, app string) []byte
}

// Observed is what was observed on the VM. Parts that were not observed are nil or zero; the verdict says so and does not guess.
type Observed struct {
	Now        time.Time
	Parameters Parameters
	Platform   *Platform
	Records    *Records

	BaselineLost string  // a sentence that says why the given baseline cannot be used
	Known        []Known // how many records there were before, even if the baseline itself is lost
}

// Names are the standalone SSM parameters (Seqera's configuration overview; the installer's 005_parameter_store.tf).
type Names struct {
	Current        string // <config_prefix>/tower/crypto/secretKey
	Previous       string // <config_prefix>/tower/secret-rotation/previous-key
	LegacyPrevious string // <config_prefix>/tower/secret-rotation/secretKey, the page's older name
	Switch         string // <config_prefix>/tower/secret-rotation/enabled
	ChunkSize      string // <config_prefix>/tower/secret-rotation/chunk-size
}

// NamesBelow returns the names for a config_prefix.
func NamesBelow(configPrefix string) Names {
	return Names{
		Current:        configPrefix + "/tower/crypto/secretKey",
		Previous:       configPrefix + "/tower/secret-rotation/previous-key",
		LegacyPrevious: configPrefix + "/tower/secret-rotation/secretKey",
		Switch:         configPrefix + "/tower/secret-rotation/enabled",
		ChunkSize:      configPrefix + "/tower/secret-rotation/chunk-size",
	}
}

// Parameters are the standalone parameters that a backend reads when it starts.
type Parameters struct {
	Current  Parameter
	Previous Parameter
	Switch   Parameter

	Ahead time.Duration // how far SSM's clock is ahead of this machine's, within a second; it applies to Modified
}

// Parameter is one SSM parameter, as GetParameters returns it.
type Parameter struct {
	Name     string
	Exists   bool
	Value    secret.Secret
	Type     string // String, StringList, SecureString
	Version  int64
	Modified time.Time
}

// Secure returns a fault if the parameter exists and is not a SecureString.
func (p Parameter) Secure() error {
	if !p.Exists || p.Type == "SecureString" {
		return nil
	}
	return fault.New(fault.CodeNotSecureString, "Recreate it as a SecureString, as the installer does. Its value has been stored in clear text.",
		"%s", "SSM parameter "+p.Name+" is a "+p.Type+", not a SecureString.")
}

// On reports whether the value is "true".
func (p Parameter) On() bool { return p.Value.Reveal() == "true" }

// Role is what a compose service is to a rotation.
type Role string

// The roles of services.
const (
	RoleMigrate Role = "migrate"
	RoleBackend Role = "backend"
	RoleCron    Role = "cron"
	RoleOther   Role = "other"
)

// HoldsKeys reports whether services of this role read the keys.
func (r Role) HoldsKeys() bool { return r == RoleBackend || r == RoleCron }

// Platform is the state of a compose project, from the Docker Engine and the health URLs.
type Platform struct {
	Project   string              `json:"project"`
	Services  []Service           `json:"services"`
	Mounts    map[string][]string `json:"mounts"` // by service: source:target, sorted; the source is a path or the name of a volume
	Readiness Readiness           `json:"readiness"`
	ReadSince time.Time           `json:"-"` // when the scan began, if nothing was running then
}

// Service is one container of the project. Times come from the Engine; they are zero if the container never started or finished.
type Service struct {
	Name         string    `json:"name"`
	Role         Role      `json:"role"`
	Container    string    `json:"container"`
	Image        string    `json:"image"`
	State        string    `json:"state"`            // created, running, restarting, exited, dead, paused
	Health       string    `json:"health,omitempty"` // healthy, unhealthy, starting; empty if there is no health check
	StartedAt    time.Time `json:"started_at,omitzero"`
	FinishedAt   time.Time `json:"finished_at,omitzero"`
	ExitCode     int       `json:"exit_code"`
	RestartCount int       `json:"restart_count"`
}

// Readiness is the response to GET /api/service-info. Ready means status 200, or 301 with a redirect to https.
type Readiness struct {
	URL    string `json:"url"`
	Ready  bool   `json:"ready"`
	Status int    `json:"status"` // 0 when there was no answer
	Detail string `json:"detail,omitempty"`
	// The Platform's version, if the response has it.
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"at"` // time of the request, by the VM's clock
}

// Records is the result of a scan. Every row of tw_secret is counted in exactly one of Current, Previous, Unreadable, Orphaned and
// Unseen. Rewritten counts the orphaned rows whose content differs from the baseline.
type Records struct {
	Database      string   `json:"database"` // host:port/name, never a login
	Total         int      `json:"total"`
	Current       int      `json:"current"`
	Previous      int      `json:"previous"`
	Unreadable    int      `json:"unreadable"`
	Orphaned      int      `json:"orphaned"`
	Rewritten     int      `json:"rewritten"`
	Carried       int      `json:"carried"`        // unchanged rows that keep their class from the baseline and were not opened again; also counted in their class
	Deleted       int      `json:"deleted"`        // rows of credentials that are marked as deleted; also counted in their class
	UnreadableIDs []string `json:"unreadable_ids"` // tw_secret.id, ascending, at most 100
	NotRewritten  []string `json:"not_rewritten"`  // IDs of orphaned rows that are not proved rewritten, at most 100
	Notes         []string `json:"notes"`          // what was not read (an unknown column, another table)
	Before        *Before  `json:"before,omitempty"`

	Exact  bool     `json:"-"` // counted in one consistent snapshot, in which each record is as it was judged
	Unseen int      `json:"-"` // records that changed during the scan; in no other class
	Unread []Unread `json:"-"` // the unreadable records, at most 10,000
}

// Before compares the records with a baseline. Total after = Total + Created - Removed.
type Before struct {
	Digest  string    `json:"digest"` // of the baseline
	TakenAt time.Time `json:"taken_at"`
	Total   int       `json:"total"`
	Created int       `json:"created"`
	Removed int       `json:"removed"`

	Provisional bool `json:"provisional,omitempty"` // a backend was still writing with the old key, so the baseline proves no record rewritten
}

// Unread is an unreadable record, compared with the baseline.
type Unread struct {
	ID      string
	Before  bool // it was already unreadable in the baseline
	Changed bool // its content differs from the baseline
}

// Database is where the Platform's records are, and the login to read them with.
type Database struct {
	Host     string
	Port     int
	Name     string
	User     string
	Password secret.Secret
	TLS      string // disabled, preferred, required, verify-ca
	CAFile   string // PEM, for verify-ca; empty: the system's certificate authorities
}

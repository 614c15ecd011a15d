package proof

import (
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Fingerprinter derives from a key what may be published or binds a document to it; *secret.Fingerprinter does, slowly.
type Fingerprinter interface {
	Of(key secret.Secret) secret.Fingerprint
	MACKey(key secret.Secret, app string) []byte
}

// Observed is what the VM shows. Parts that nobody looked at are nil or zero, and the verdict says so rather than guessing.
type Observed struct {
	Now        time.Time
	Parameters Parameters
	Platform   *Platform
	Records    *Records

	BaselineLost string  // a sentence that says why there is no baseline although one was asked for
	Known        []Known // how many records there were before, also where the baseline itself is lost
}

// Names are the standalone SSM parameters (Seqera's configuration overview; the installer's 005_parameter_store.tf).
type Names struct {
	Current        string // <config_prefix>/tower/crypto/secretKey
	Previous       string // <config_prefix>/tower/secret-rotation/previous-key
	LegacyPrevious string // <config_prefix>/tower/secret-rotation/secretKey, the page's older name
	Switch         string // <config_prefix>/tower/secret-rotation/enabled
	ChunkSize      string // <config_prefix>/tower/secret-rotation/chunk-size
}

// NamesBelow derives the names from the option config_prefix.
func NamesBelow(configPrefix string) Names {
	return Names{
		Current:        configPrefix + "/tower/crypto/secretKey",
		Previous:       configPrefix + "/tower/secret-rotation/previous-key",
		LegacyPrevious: configPrefix + "/tower/secret-rotation/secretKey",
		Switch:         configPrefix + "/tower/secret-rotation/enabled",
		ChunkSize:      configPrefix + "/tower/secret-rotation/chunk-size",
	}
}

// Parameters are the standalone parameters that a backend reads at its start.
type Parameters struct {
	Current  Parameter
	Previous Parameter
	Switch   Parameter

	Ahead time.Duration // how far SSM's clock is ahead of this machine's, to a second; see Modified
}

// Parameter is one SSM parameter as GetParameters shows it.
type Parameter struct {
	Name     string
	Exists   bool
	Value    secret.Secret
	Type     string // String, StringList, SecureString
	Version  int64
	Modified time.Time
}

// Secure refuses a parameter that should be encrypted and is not.
func (p Parameter) Secure() error {
	if !p.Exists || p.Type == "SecureString" {
		return nil
	}
	return fault.New(fault.CodeNotSecureString, "Recreate it as a SecureString, as the installer does; its value has been stored in clear.",
		"%s", "SSM parameter "+p.Name+" is a "+p.Type+", not a SecureString.")
}

// On reports whether the parameter is a switch that is on.
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

// HoldsKeys says whether services of this role read the keys.
func (r Role) HoldsKeys() bool { return r == RoleBackend || r == RoleCron }

// Platform is what the Docker Engine and the health URLs say of one compose project.
type Platform struct {
	Project   string              `json:"project"`
	Services  []Service           `json:"services"`
	Mounts    map[string][]string `json:"mounts"` // by service: source:target, sorted; the source is a path or the name of a volume
	Readiness Readiness           `json:"readiness"`
}

// Service is one container of the project. Times are the Engine's; zero when it never started or finished.
type Service struct {
	Name         string    `json:"name"`
	Role         Role      `json:"role"`
	Container    string    `json:"container"`
	Image        string    `json:"image"`
	State        string    `json:"state"`            // created, running, restarting, exited, dead, paused
	Health       string    `json:"health,omitempty"` // healthy, unhealthy, starting; empty without a health check
	StartedAt    time.Time `json:"started_at,omitzero"`
	FinishedAt   time.Time `json:"finished_at,omitzero"`
	ExitCode     int       `json:"exit_code"`
	RestartCount int       `json:"restart_count"`
}

// Readiness is the answer of GET /api/service-info. Ready means 200, or 301 where it redirects to https.
type Readiness struct {
	URL    string `json:"url"`
	Ready  bool   `json:"ready"`
	Status int    `json:"status"` // 0 when there was no answer
	Detail string `json:"detail,omitempty"`
	// Of the Platform, where the answer tells it.
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"at"` // when it was asked, by the VM's clock
}

// Records is what a scan of the database found. Every row of tw_secret is in exactly one of Current, Previous,
// Unreadable, Orphaned, or Unseen. Rewritten counts orphaned rows whose content differs from the baseline's.
type Records struct {
	Database      string   `json:"database"` // host:port/name, never a login
	Total         int      `json:"total"`
	Current       int      `json:"current"`
	Previous      int      `json:"previous"`
	Unreadable    int      `json:"unreadable"`
	Orphaned      int      `json:"orphaned"`
	Rewritten     int      `json:"rewritten"`
	Carried       int      `json:"carried"`        // rows that are as the baseline has them, classed as there and not opened again; also in one of the classes
	Deleted       int      `json:"deleted"`        // rows of credentials that are marked deleted; also in one of the classes
	UnreadableIDs []string `json:"unreadable_ids"` // tw_secret.id, ascending, at most 100
	NotRewritten  []string `json:"not_rewritten"`  // ids of orphaned rows still as the baseline has them, at most 100
	Notes         []string `json:"notes"`          // what was not looked at (an unknown column, another table)
	Before        *Before  `json:"before,omitempty"`

	Exact  bool     `json:"-"` // counted in one consistent snapshot, each record as it was judged
	Unseen int      `json:"-"` // changed while they were read; in none of the classes
	Unread []Unread `json:"-"` // the unreadable ones, at most 10,000
}

// Before compares the records with a baseline. Total after = Total + Created - Removed.
type Before struct {
	Digest  string    `json:"digest"` // of the baseline
	TakenAt time.Time `json:"taken_at"`
	Total   int       `json:"total"`
	Created int       `json:"created"`
	Removed int       `json:"removed"`
}

// Unread is an unreadable record, and what the baseline says of it.
type Unread struct {
	ID      string
	Before  bool // it was unreadable then
	Changed bool // its content is another one now
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

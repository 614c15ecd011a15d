// Package rotation is the planner: what is observed (Observed) and what is desired (Desired) become a Plan, an ordered list of
// writes to SSM with their reasons. It is pure: no clock, no log, no network, no file, no map order. It must not know how
// parameters are read, where containers run or how records are encrypted.
package rotation

import (
	"cmp"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Observed is what was observed. Parts that nobody looked at are nil or zero, and the plan says so rather than guessing.
type Observed struct {
	Now     time.Time
	Caller  custody.Holder
	SSM     Parameters
	Custody custody.Inventory // lock, ledger, escrow, as far as they were read

	// What the VM shows, for the phase alone; zero where nobody looked.
	Platform *proof.Platform
	Records  *proof.Records
}

// Parameters are the Platform's SSM parameters.
type Parameters struct {
	Omnibus        Parameter
	Current        Parameter
	Previous       Parameter
	LegacyPrevious Parameter // under the page's older name
	Switch         Parameter
	ChunkSize      Parameter
	Described      bool // KMS keys, tiers and policies were asked for

	Ahead time.Duration // how far SSM's clock is ahead of this machine's, to a second; see Modified
}

// All gives each of them, there or not, to be read or changed in place.
func (p *Parameters) All() []*Parameter {
	return []*Parameter{&p.Omnibus, &p.Current, &p.Previous, &p.LegacyPrevious, &p.Switch, &p.ChunkSize}
}

// Standalone gives those that the VM sees.
func (p Parameters) Standalone() proof.Parameters {
	return proof.Parameters{Current: p.Current.Parameter, Previous: p.Previous.Parameter, Switch: p.Switch.Parameter, Ahead: p.Ahead}
}

// Parameter is one SSM parameter with what DescribeParameters adds.
type Parameter struct {
	proof.Parameter
	custody.Attributes
}

// State is the desired state of one Platform installation.
type State string

// The states that a plan leads to.
const (
	StatePrepared  State = "prepared"
	StateFinalized State = "finalized"
	StateAborted   State = "aborted"
	StateObserved  State = "" // seqera_crypto_rotation_info changes nothing: its plan is the phase alone
)

// Phase is how far a rotation is, as one word.
type Phase string

// The phases of the contract.
const (
	PhaseIdle         Phase = "idle"         // no rotation, none due
	PhaseDue          Phase = "due"          // the key is to be rotated
	PhasePrepared     Phase = "prepared"     // omnibus and standalone parameters hold both keys and the switch
	PhaseRotating     Phase = "rotating"     // cron re-encrypts
	PhaseRotated      Phase = "rotated"      // every record is proved, the entries are still there
	PhaseFinalized    Phase = "finalized"    // this rotation is over
	PhaseAborted      Phase = "aborted"      // this rotation was taken back
	PhaseInconsistent Phase = "inconsistent" // nothing explains what was found
)

// Names are the SSM parameters of one installation.
type Names struct {
	proof.Names
	Omnibus string
	Custody string // a prefix
}

// The omnibus's entries of a rotation (platform facts: "Parameters").
const (
	EntryCurrent   = "TOWER_CRYPTO_SECRET"
	EntryPrevious  = "TOWER_CRYPTO_PREVIOUS_SECRET"
	EntrySwitch    = "TOWER_CRYPTO_ROTATE_KEYS"
	EntryChunkSize = "TOWER_CRYPTO_ROTATE_CHUNK_SIZE"
)

// Standalone says who makes the standalone parameters agree with the omnibus.
type Standalone string

// The choices of the option standalone.
const (
	StandaloneWrite  Standalone = "write"  // we do
	StandaloneDelete Standalone = "delete" // we delete the current key, terraform apply creates all three
)

// Desired is what is wanted, from the options.
type Desired struct {
	State         State
	App           string
	Names         Names
	RotationID    string // empty: the open rotation's, else MadeID
	MadeID        string // the id to use when a rotation begins without a name
	NewKey        secret.Secret
	FromEscrow    secret.Fingerprint // of an escrowed key to rotate to
	EscrowKeyID   string             // KMS key of what is new under custody_prefix; empty: the omnibus's
	MadeKey       secret.Secret      // a fresh key, used only where NewKey is empty and escrow holds none for this rotation
	MaxAgeDays    *int
	Backups       []string
	BackupsWaived bool
	ChunkSize     *int
	AllowAdvanced bool
	Standalone    Standalone
	Proof         *proof.Proof
	Baseline      *custody.Baseline // prepared, and aborted with Reverse: what was taken before anything was written
	Platform      *custody.Platform // prepared: the compose project that is rotated
	CaptureOnly   bool              // prepared: end when the ledger is open
	Reverse       bool              // aborted: go back by re-encrypting, where some record may be under the new key
	Adopt         bool              // prepared: take over a rotation that somebody began by hand
	Tool          string            // prepared: what the ledger says of the binary
	ApprovedBy    string            // prepared: for the ledger
}

// namedEntry is the ledger's entry of a rotation that begins, with its name alone: the one asked for, else the one made for it.
func (d Desired) namedEntry() custody.Entry {
	return custody.Entry{RotationID: cmp.Or(d.RotationID, d.MadeID)}
}

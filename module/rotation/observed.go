// Package rotation is the planner. It turns what was observed (Observed) and what is desired (Desired) into a Plan: an ordered list of
// writes to SSM, each with a reason. It is pure: it uses no clock, log, network or file, and does not depend on map order. It must not
// know how parameters are read, where containers run or how records are encrypted.
package rotation

import (
	"cmp"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Observed is what was observed. Parts that were not observed are nil or zero; the plan says so and does not guess.
type Observed struct {
	Now     time.Time
	Caller  custody.Holder
	SSM     Parameters
	Custody custody.Inventory // locks, ledger and escrow, as far as they were read

	// What was observed on the VM; used only for the phase.
	Platform *proof.Platform
	Records  *proof.Records
}

// Parameters are the Platform's SSM parameters.
type Parameters struct {
	Omnibus        Parameter
	Current        Parameter
	Previous       Parameter
	LegacyPrevious Parameter // the previous key under the page's older name
	Switch         Parameter
	ChunkSize      Parameter
	Described      bool // KMS keys, tiers and policies were read

	Ahead time.Duration // how far SSM's clock is ahead of this machine's, within a second; it applies to Modified
}

// All returns pointers to all parameters, whether they exist or not.
func (p *Parameters) All() []*Parameter {
	return []*Parameter{&p.Omnibus, &p.Current, &p.Previous, &p.LegacyPrevious, &p.Switch, &p.ChunkSize}
}

// Standalone returns the parameters that the VM may read.
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

// The states for which there is a plan.
const (
	StatePrepared  State = "prepared"
	StateFinalized State = "finalized"
	StateAborted   State = "aborted"
	StateObserved  State = "" // for seqera_crypto_rotation_info: a plan with only the phase and no writes
)

// Phase is how far a rotation has come.
type Phase string

// The phases of the contract.
const (
	PhaseIdle         Phase = "idle"         // no rotation, none due
	PhaseDue          Phase = "due"          // the key is old enough to rotate
	PhasePrepared     Phase = "prepared"     // omnibus and standalone parameters hold both keys and the switch
	PhaseRotating     Phase = "rotating"     // cron re-encrypts
	PhaseRotated      Phase = "rotated"      // every record is proved, the rotation entries still exist
	PhaseFinalized    Phase = "finalized"    // this rotation is over
	PhaseAborted      Phase = "aborted"      // this rotation was undone
	PhaseInconsistent Phase = "inconsistent" // nothing explains what was found
)

// Names are the SSM parameters of one installation.
type Names struct {
	proof.Names
	Omnibus string
	Custody string // custody_prefix
}

// The entries in the omnibus that a rotation uses.
const (
	EntryCurrent   = "TOWER_CRYPTO_SECRET"
	EntryPrevious  = "TOWER_CRYPTO_PREVIOUS_SECRET"
	EntrySwitch    = "TOWER_CRYPTO_ROTATE_KEYS"
	EntryChunkSize = "TOWER_CRYPTO_ROTATE_CHUNK_SIZE"
)

// Standalone says how the standalone parameters are brought in line with the omnibus.
type Standalone string

// The choices of the option standalone.
const (
	StandaloneWrite  Standalone = "write"  // this tool writes them
	StandaloneDelete Standalone = "delete" // this tool deletes the current key, and terraform apply creates all three
)

// Desired is the desired state, from the options.
type Desired struct {
	State         State
	App           string
	Names         Names
	RotationID    string // empty: the ID of the open rotation, or else MadeID
	MadeID        string // the ID for a rotation that starts without a name
	NewKey        secret.Secret
	FromEscrow    secret.Fingerprint // the escrowed key to rotate to
	EscrowKeyID   string             // KMS key for new parameters under custody_prefix; empty: the KMS key of the omnibus
	MadeKey       secret.Secret      // a new key, used only if NewKey is empty and escrow has no key for this rotation
	MaxAgeDays    *int
	Backups       []string
	BackupsWaived bool
	ChunkSize     *int
	AllowAdvanced bool
	Standalone    Standalone
	Proof         *proof.Proof
	Baseline      *custody.Baseline // prepared, and aborted with Reverse: the baseline from before the first write
	Platform      *custody.Platform // prepared: the compose project
	CaptureOnly   bool              // prepared: stop when the ledger entry is open
	Reverse       bool              // aborted: return to the old key by re-encrypting, if records may be under the new key
	Adopt         bool              // prepared: take over a rotation that somebody started by hand
	Tool          string            // prepared: identifies the binary, for the ledger
	ApprovedBy    string            // prepared: who approved the rotation, for the ledger
}

// namedEntry returns the ledger entry of a new rotation, with only its name: RotationID or else MadeID.
func (d Desired) namedEntry() custody.Entry {
	return custody.Entry{RotationID: cmp.Or(d.RotationID, d.MadeID)}
}

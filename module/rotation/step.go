package rotation

import (
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Action is what a step does.
type Action string

// The actions, in the order in which the contract's "Order of writes" has them.
const (
	ActNothing         Action = "nothing"
	ActLock            Action = "take_lock"
	ActClearLocks      Action = "clear_old_locks"
	ActEscrowRetiring  Action = "escrow_retiring_key"
	ActEscrowFound     Action = "escrow_found_key"
	ActTieBackups      Action = "tie_backups"
	ActEscrowNew       Action = "escrow_new_key"
	ActOpenLedger      Action = "open_ledger"
	ActUpdateLedger    Action = "update_ledger"
	ActPutOmnibus      Action = "put_omnibus"
	ActPutPrevious     Action = "put_previous_key"
	ActPutCurrent      Action = "put_current_key"
	ActPutChunkSize    Action = "put_chunk_size"
	ActPutSwitch       Action = "put_switch"
	ActDeleteCurrent   Action = "delete_current_key"
	ActRecordPrepared  Action = "record_prepared"
	ActRecordProof     Action = "record_proof"
	ActDeleteSwitch    Action = "delete_switch"
	ActDeleteChunkSize Action = "delete_chunk_size"
	ActDeletePrevious  Action = "delete_previous_key"
	ActDeleteLegacy    Action = "delete_legacy_previous_key"
	ActRecordFinished  Action = "record_finished"
	ActRecordAborted   Action = "record_aborted"
	ActRecordReversed  Action = "record_reversed"
	ActUnlock          Action = "release_lock"
)

// Step is one line of a plan. What it shows holds no secret; what it writes is in Write.
type Step struct {
	Action Action `json:"action"`
	Target string `json:"target"`
	Reason string `json:"reason"`
	Done   bool   `json:"done"`
	Write  *Write `json:"-"`
}

// Kind is how a parameter is written.
type Kind int

// The kinds of writes.
const (
	Create Kind = iota + 1 // PutParameter with Overwrite=false: atomic, fails when the name exists
	Put                    // PutParameter with Overwrite=true onto the version that was observed
	Delete                 // DeleteParameters of Names; absent is success
)

// Write is one write to SSM, complete: carrying it out needs no further decision.
type Write struct {
	Kind  Kind
	Name  string
	Names []string // for Delete alone
	Value secret.Secret
	Type  string // always SecureString today
	After int64  // the version observed; the write's own must be After+1. 0 for a name that did not exist

	custody.Attributes // as observed; of the tier see allow_advanced_tier
}

// Targets are the names that a write touches.
func (w Write) Targets() []string {
	if w.Kind == Delete {
		return w.Names
	}
	return []string{w.Name}
}

// Package rotation is the planner: what is observed (Observed) and what is desired (Desired) become a Plan, an ordered list of
// writes to SSM with their reasons. It is pure: no clock, no log, no network, no file, no map order. It must not know how
// parameters are read, where containers run or how records are encrypted.
package rotation

import (
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/proof"
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

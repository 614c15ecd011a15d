package control

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"math/big"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Session is one call of the module on the control node: what is desired, and what was observed so far. It is not safe for
// concurrent use.
type Session struct {
	Store         *parameters.Store
	Fingerprinter *secret.Fingerprinter
	Desired       rotation.Desired
	Observed      rotation.Observed
	Now           func() time.Time

	tool   func() Tool // identifies this binary; waits until its file is hashed, so call it after reading SSM
	began  time.Time
	done   []rotation.Step // steps that wrote something, even if the plan failed later
	unsure []string        // steps that may have written something
}

// New returns a session. Its errors are faults about options.
func New(asked options.Rotation, store *parameters.Store, prints *secret.Fingerprinter) (*Session, error) {
	given, err := proof.Parse(asked.Proof)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	s := &Session{Store: store, Fingerprinter: prints, Now: time.Now, began: now, tool: func() Tool { return Tool{} }, Observed: rotation.Observed{Now: now, Caller: self()}}
	s.Desired = rotation.Desired{
		State: rotation.State(asked.State), App: asked.AppName,
		Names:      rotation.Names{Names: proof.NamesBelow(asked.ConfigPrefix), Omnibus: asked.OmnibusParameter, Custody: asked.CustodyPrefix},
		RotationID: asked.RotationID, NewKey: asked.NewSecret, MaxAgeDays: asked.MaxAgeDays, Backups: asked.Backups, BackupsWaived: asked.BackupsWaived,
		ChunkSize: asked.ChunkSize, AllowAdvanced: asked.AllowAdvancedTier, Standalone: rotation.Standalone(asked.Standalone), Proof: given,
		FromEscrow: secret.Fingerprint(asked.NewSecretFromEscrow), EscrowKeyID: asked.EscrowKMSKeyID, CaptureOnly: asked.CaptureOnly, Reverse: asked.Reverse, Adopt: asked.Adopt,
		ApprovedBy: asked.ApprovedBy,
	}
	if s.Desired.Baseline, err = records.Named(asked.Baseline); err != nil {
		return nil, err
	}
	if s.Desired.State != rotation.StatePrepared {
		return s, nil
	}
	s.Desired.MadeID = now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:4])
	if s.Desired.MadeKey, err = makeKey(); err != nil {
		return nil, err
	}
	if s.Desired.Platform, err = ParsePlatform(asked.Platform); err != nil {
		return nil, err
	}
	// Compute the fingerprint of the new key on another core while SSM is read.
	next := s.Desired.NewKey
	if next.IsEmpty() {
		next = s.Desired.MadeKey
	}
	go prints.Of(next)
	return s, nil
}

// ParsePlatform returns the part of the option platform that the ledger keeps, or nil if the option is not set.
func ParsePlatform(given map[string]any) (*custody.Platform, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // the option is not set
	}
	kept := &custody.Platform{}
	text, err := json.Marshal(given)
	if err == nil {
		err = json.Unmarshal(text, kept)
	}
	if err != nil || kept.Project == "" || kept.Dir == "" {
		return nil, fault.New(fault.CodeInvalidOptions, "Pass it unchanged; it must have project and dir.",
			"The option platform is not what seqera_crypto_rotation_info returned as compose.")
	}
	return kept, nil
}

// makeKey makes a key that no human ever sees: 40 letters and digits (238 bits), each equally likely.
func makeKey() (secret.Secret, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	key := make([]byte, 40)
	for i := range key {
		at, err := rand.Int(rand.Reader, big.NewInt(int64(len(letters))))
		if err != nil {
			return secret.Secret{}, err
		}
		key[i] = letters[at.Int64()]
	}
	return secret.New(string(key)), nil
}

// Observe reads the Platform's parameters and, if the rotation is named, its ledger entry. It makes one call to SSM.
func (s *Session) Observe(ctx context.Context) error {
	var ledger string
	if s.Desired.RotationID != "" && s.Desired.Names.Omnibus != "" {
		ledger = custody.LedgerName(s.Desired.Names.Custody, s.Desired.RotationID)
	}
	ssm, found, err := s.Store.ReadPlatform(ctx, s.Desired.Names, ledger)
	if err != nil {
		return err
	}
	s.Observed.SSM, s.Observed.Custody = ssm, custody.Inventory{}
	return s.add(found[ledger])
}

// ReadEscrow reads the escrow documents of the keys in use.
func (s *Session) ReadEscrow(ctx context.Context) error {
	var names []string
	for _, fingerprint := range rotation.InUse(s.Observed, s.Desired, s.Fingerprinter) {
		names = append(names, custody.EscrowName(s.Desired.Names.Custody, fingerprint))
	}
	s.Observed.Custody.Asked = true
	return s.read(ctx, names...)
}

// ReadInventory lists everything under custody_prefix.
func (s *Session) ReadInventory(ctx context.Context) (err error) {
	s.Observed.Custody, err = s.Store.ReadInventory(ctx, s.Desired.Names.Custody)
	s.mark()
	return err
}

func (s *Session) read(ctx context.Context, names ...string) error {
	found, err := s.Store.Read(ctx, names...)
	for _, name := range names {
		if err == nil {
			err = s.add(found[name])
		}
	}
	return err
}

func (s *Session) add(document proof.Parameter) error {
	err := parameters.AddTo(&s.Observed.Custody, s.Desired.Names.Custody, document)
	s.mark()
	return err
}

// mark sets, for the holder of each lock, whether it is a process on this machine and whether it is alive.
func (s *Session) mark() {
	for i := range s.Observed.Custody.Locks {
		holder := &s.Observed.Custody.Locks[i].Holder
		holder.Local = holder.Machine == s.Observed.Caller.Machine
		holder.Alive = holder.Local && alive(*holder)
	}
}

// Plan returns the plan. It observes whatever the planner asks for, and nothing else.
func (s *Session) Plan(ctx context.Context) (rotation.Plan, error) {
	return s.planned(ctx, func() (rotation.Plan, error) { return rotation.Make(s.Observed, s.Desired, s.Fingerprinter) })
}

func (s *Session) planned(ctx context.Context, by func() (rotation.Plan, error)) (rotation.Plan, error) {
	for {
		plan, err := by()
		if err != nil || plan.Needs == rotation.NeedNothing {
			return plan, err
		}
		if err := s.fetch(ctx, plan.Needs); err != nil {
			return rotation.Plan{}, err
		}
	}
}

// fetch makes one of the observations that cost extra calls and that only some plans need.
func (s *Session) fetch(ctx context.Context, need rotation.Need) error {
	switch need {
	case rotation.NeedEscrow:
		return s.ReadEscrow(ctx)
	case rotation.NeedInventory:
		return s.ReadInventory(ctx)
	case rotation.NeedDescription:
		s.Observed.Caller.ARN = s.Store.Caller(ctx)
		return s.Store.Describe(ctx, s.Desired.Names.Custody, &s.Observed)
	case rotation.NeedNothing:
	}
	return nil
}

// KeyAge returns the current key's age in whole days, or nil if the plan did not need it.
func (s *Session) KeyAge(plan rotation.Plan) *int {
	if plan.Born.IsZero() {
		return nil
	}
	age := int(s.Observed.Now.Sub(plan.Born) / (24 * time.Hour))
	return &age
}

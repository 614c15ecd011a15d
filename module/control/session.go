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

// Session is one call of the module on the control node: what is desired, and what was observed so far. It is for one goroutine.
type Session struct {
	Store         *parameters.Store
	Fingerprinter *secret.Fingerprinter
	Desired       rotation.Desired
	Observed      rotation.Observed
	Now           func() time.Time

	tool   func() Tool // which program runs; it waits for the hash of its file, so SSM is read first
	began  time.Time
	done   []rotation.Step // what was written, whatever became of the plan
	unsure []string        // what may have been
}

// New makes a session. Its errors are faults about options.
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
	// While SSM is read the other core computes what a new rotation needs next.
	next := s.Desired.NewKey
	if next.IsEmpty() {
		next = s.Desired.MadeKey
	}
	go prints.Of(next)
	return s, nil
}

// ParsePlatform takes from what seqera_crypto_rotation_info returned as compose what the ledger keeps; nil where nothing is given.
func ParsePlatform(given map[string]any) (*custody.Platform, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // no platform was named
	}
	kept := &custody.Platform{}
	text, err := json.Marshal(given)
	if err == nil {
		err = json.Unmarshal(text, kept)
	}
	if err != nil || kept.Project == "" || kept.Dir == "" {
		return nil, fault.New(fault.CodeInvalidOptions, "Give it unchanged; it must have project and dir.",
			"The option platform is not what seqera_crypto_rotation_info returned as compose.")
	}
	return kept, nil
}

// makeKey makes a key that no human ever sees: 40 alphanumerics (238 bits), each equally likely.
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

// Observe reads the Platform's parameters, and the ledger's entry where the rotation has a name: one call.
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

// ReadEscrow reads what escrow has of the keys in use.
func (s *Session) ReadEscrow(ctx context.Context) error {
	var names []string
	for _, fingerprint := range rotation.InUse(s.Observed, s.Desired, s.Fingerprinter) {
		names = append(names, custody.EscrowName(s.Desired.Names.Custody, fingerprint))
	}
	s.Observed.Custody.Asked = true
	return s.read(ctx, names...)
}

// ReadInventory lists all of custody.
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

// mark says of each lock's holder whether it is a process of this machine, and alive.
func (s *Session) mark() {
	for i := range s.Observed.Custody.Locks {
		holder := &s.Observed.Custody.Locks[i].Holder
		holder.Local = holder.Machine == s.Observed.Caller.Machine
		holder.Alive = holder.Local && alive(*holder)
	}
}

// Plan makes the plan, and observes what that needs, and no more.
func (s *Session) Plan(ctx context.Context) (rotation.Plan, error) {
	return s.planned(ctx, func() (rotation.Plan, error) { return rotation.Make(s.Observed, s.Desired, s.Fingerprinter) })
}

func (s *Session) planned(ctx context.Context, by func() (rotation.Plan, error)) (rotation.Plan, error) {
	for {
		plan, err := by()
		if err != nil || plan.Needs == rotation.NeedNothing {
			return plan, err
		}
		if err := s.fetch(ctx, plan.Needs, plan.Lock); err != nil {
			return rotation.Plan{}, err
		}
	}
}

// fetch reads what costs more and is wanted only sometimes.
func (s *Session) fetch(ctx context.Context, need rotation.Need, lock int) error {
	switch need {
	case rotation.NeedEscrow:
		return s.ReadEscrow(ctx)
	case rotation.NeedLock:
		s.Observed.Custody.Locked = true
		return s.read(ctx, custody.LockName(s.Desired.Names.Custody, lock))
	case rotation.NeedInventory:
		return s.ReadInventory(ctx)
	case rotation.NeedDescription:
		s.Observed.Caller.ARN = s.Store.Caller(ctx)
		return s.Store.Describe(ctx, s.Desired.Names.Custody, &s.Observed)
	case rotation.NeedNothing:
	}
	return nil
}

// KeyAge is the current key's age in whole days; nil where the plan did not need to know it.
func (s *Session) KeyAge(plan rotation.Plan) *int {
	if plan.Born.IsZero() {
		return nil
	}
	age := int(s.Observed.Now.Sub(plan.Born) / (24 * time.Hour))
	return &age
}

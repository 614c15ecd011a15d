package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	infoModule = "seqera_crypto_rotation_info"
	lockTries  = 3
	keyLength  = 40 // alphanumerics of a key that the module makes: 238 bits
)

// run is one call of the module: the wish, the rooms it works with, and the world as far as it was observed.
type run struct {
	asked  options.Rotation
	wish   rotation.Wish
	store  *parameters.Store
	prints *secret.Fingerprinter
	now    func() time.Time
	began  time.Time
	world  rotation.World
	done   []rotation.Step // what was written, whatever became of the plan
	unsure []string        // what may have been
	told   *rotation.Fault // the failure that says so already
}

func newRun(asked options.Rotation, store *parameters.Store, prints *secret.Fingerprinter) (*run, error) {
	proof, err := rotation.ParseProof(asked.Proof)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r := &run{
		asked: asked, store: store, prints: prints, now: time.Now, began: now,
		world: rotation.World{Now: now, Caller: self()},
	}
	r.wish = rotation.Wish{
		State: rotation.State(asked.State), App: asked.AppName,
		Names:      rotation.NamesFor(asked.OmnibusParameter, asked.ConfigPrefix, asked.PreviousKeyName, asked.CustodyPrefix),
		RotationID: asked.RotationID, NewKey: asked.NewSecret, MaxAgeDays: asked.MaxAgeDays, Backups: asked.Backups, BackupsWaived: asked.BackupsWaived,
		ChunkSize: asked.ChunkSize, AllowAdvanced: asked.AllowAdvancedTier, Standalone: rotation.Standalone(asked.Standalone), Proof: proof, Tool: version,
		ProofMaxAge: time.Duration(asked.ProofMaxAge) * time.Second, Accept: asked.AcceptUnreadable, LogPattern: asked.CompleteLogPattern, AttestedBy: asked.AttestedBy,
		FromEscrow: secret.Fingerprint(asked.NewSecretFromEscrow), EscrowKeyID: asked.EscrowKMSKeyID, CaptureOnly: asked.CaptureOnly,
	}
	for _, way := range asked.Verify {
		r.wish.Verify = append(r.wish.Verify, rotation.Verify(way))
	}
	if r.wish.State == rotation.StateRotating {
		// The VM's instance role can read the standalone parameters alone.
		r.wish.Names.Omnibus = ""
		r.wish.BackendsReadyAt, _ = time.Parse(time.RFC3339, asked.BackendsReadyAt)
		return r, nil
	}
	made, err := makeKey()
	if err != nil {
		return nil, err
	}
	r.wish.MadeKey = made
	r.wish.MadeID = now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:4])
	if r.wish.State == rotation.StatePrepared {
		if r.wish.Baseline, err = records.Named(asked.Baseline); err != nil {
			return nil, err
		}
		if r.wish.Platform, err = composed(asked.Platform); err != nil {
			return nil, err
		}
		// While SSM is read the other core computes what a new rotation needs next.
		next := r.wish.NewKey
		if next.IsEmpty() {
			next = made
		}
		go r.prints.Of(next)
	}
	return r, nil
}

// composed takes from what seqera_crypto_rotation_info returned as compose what the ledger keeps.
func composed(given map[string]any) (*custody.Platform, error) {
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // no platform was named
	}
	kept := &custody.Platform{}
	text, err := json.Marshal(given)
	if err == nil {
		err = json.Unmarshal(text, kept)
	}
	if err != nil || kept.Project == "" || kept.Dir == "" {
		return nil, &rotation.Fault{
			Code: rotation.CodeInvalidOptions, What: "The option platform is not what seqera_crypto_rotation_info returned as compose.", State: "Nothing was written.",
			Next: "Give it unchanged; it must have project and dir.",
		}
	}
	return kept, nil
}

// makeKey makes a key that no human ever sees: alphanumerics, each equally likely.
func makeKey() (secret.Secret, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	key := make([]byte, 0, keyLength)
	random := make([]byte, 2*keyLength)
	for len(key) < keyLength {
		if _, err := rand.Read(random); err != nil {
			return secret.Secret{}, fmt.Errorf("no random bytes for a new key: %w", err)
		}
		for _, b := range random {
			// 248 is the largest multiple of 62 in a byte; what lies above would favour the first letters.
			if b < 248 && len(key) < keyLength {
				key = append(key, letters[b%62])
			}
		}
	}
	return secret.New(string(key)), nil
}

func access(a options.AWS) parameters.Config {
	return parameters.Config{
		Region: a.Region, Profile: a.Profile, AccessKey: a.AccessKey.Reveal(), SecretKey: a.SecretKey, SessionToken: a.SessionToken, EndpointURL: a.EndpointURL,
		AssumeRoleARN: a.AssumeRoleARN, CABundle: a.AWSCABundle, ValidateCerts: a.ValidateCerts,
	}
}

// readParameters is one batched read: the Platform's parameters and the ledger's entry of a named rotation.
func (r *run) readParameters(ctx context.Context) (rotation.Parameters, custody.Shelf, error) {
	var shelf custody.Shelf
	var ledger string
	if r.wish.RotationID != "" && r.wish.Names.Omnibus != "" {
		ledger = custody.LedgerName(r.wish.Names.Custody, r.wish.RotationID)
	}
	ssm, found, err := r.store.ReadPlatform(ctx, r.wish.Names, ledger)
	if err == nil {
		err = parameters.AddTo(&shelf, r.wish.Names.Custody, found[ledger])
	}
	r.mark(&shelf)
	return ssm, shelf, err
}

// readEscrow reads what escrow has of the keys in use.
func (r *run) readEscrow(ctx context.Context) error {
	var names []string
	for _, fingerprint := range rotation.InUse(r.world, r.wish, r.prints) {
		names = append(names, custody.EscrowName(r.wish.Names.Custody, fingerprint))
	}
	found, err := r.store.Read(ctx, names...)
	if err != nil {
		return err
	}
	r.world.Custody.Asked = true
	for _, name := range names {
		if err := parameters.AddTo(&r.world.Custody, r.wish.Names.Custody, found[name]); err != nil {
			return err
		}
	}
	return nil
}

// readLock reads one lock by its number.
func (r *run) readLock(ctx context.Context, number int) error {
	name := custody.LockName(r.wish.Names.Custody, number)
	found, err := r.store.Read(ctx, name)
	if err != nil {
		return err
	}
	r.world.Custody.Locked = true
	err = parameters.AddTo(&r.world.Custody, r.wish.Names.Custody, found[name])
	r.mark(&r.world.Custody)
	return err
}

func (r *run) readShelf(ctx context.Context) (custody.Shelf, error) {
	shelf, err := r.store.ReadShelf(ctx, r.wish.Names.Custody)
	r.mark(&shelf)
	return shelf, err
}

// mark says of each lock's holder whether it is a process of this machine, and alive.
func (r *run) mark(shelf *custody.Shelf) {
	for i := range shelf.Locks {
		holder := &shelf.Locks[i].Holder
		holder.Local = holder.Machine == r.world.Caller.Machine
		holder.Alive = holder.Local && alive(*holder)
	}
}

package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
)

// seedPlan is how many records of each kind are made, and from which number. The same plan and key give the same rows.
type seedPlan struct {
	Records  int // sound credentials of several users
	Damaged  int // credentials whose secret no key opens, besides
	Orphaned int // secrets that no credential accounts for, besides
	Deleted  int // sound credentials marked deleted, besides
	Seed     uint64
}

func runSeed(ctx context.Context, conf config, args []string, logger *log.Logger) error {
	flags := flag.NewFlagSet("seed", flag.ContinueOnError)
	var plan seedPlan
	flags.IntVar(&plan.Records, "records", 300, "sound credentials")
	flags.IntVar(&plan.Damaged, "damaged", 0, "credentials whose secret does not decrypt")
	flags.IntVar(&plan.Orphaned, "orphaned", 0, "secrets without a credential")
	flags.IntVar(&plan.Deleted, "deleted", 0, "credentials marked deleted")
	flags.Uint64Var(&plan.Seed, "seed", 1, "number that the invented content follows from")
	vectors := flags.String("vectors", "", "records of the published library to seal again (JSON file, - for standard input)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	parameter := "/config/" + conf.AppName + "/tower/crypto/secretKey"
	key, err := readParameter(ctx, newSSM(conf), parameter)
	if err != nil || key == "" {
		return errors.Join(fmt.Errorf("no key to seal under in SSM parameter %s", parameter), err)
	}
	keys := newKeyring([]byte(key), nil)
	published, err := readVectors(*vectors, os.Stdin)
	if err != nil {
		return err
	}
	credentials, rows, err := invent(plan, published, keys)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, loginFrom(conf.Properties), logger)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := insertAll(ctx, db, credentials, rows); err != nil {
		return err
	}
	logger.Printf("INFO seeded %d credentials and %d secrets", len(credentials), len(rows))
	return nil
}

func insertAll(ctx context.Context, db *sql.DB, credentials []credential, rows []secretRow) error {
	if err := createSchema(ctx, db); err != nil {
		return err
	}
	return inTransaction(ctx, db, func(tx *sql.Tx) error {
		if err := insertCredentials(ctx, tx, credentials...); err != nil {
			return err
		}
		return insertSecrets(ctx, tx, rows...)
	})
}

// invent makes the rows of a plan, and those of the published records.
func invent(plan seedPlan, published []published, keys keyring) ([]credential, []secretRow, error) {
	credentials := inventCredentials(plan)
	for _, p := range published {
		credentials = append(credentials, p.credential)
	}
	rows, err := onEveryCore(credentials, func(c credential) (secretRow, error) {
		return rowOf(c, keys, randomReader{randomOf(plan.Seed, c.ID)})
	})
	if err != nil {
		return nil, nil, err
	}
	offset := len(credentials) - len(published)
	for i, p := range published {
		if rows[offset+i].ID != p.secretID {
			return nil, nil, fmt.Errorf("published record %s got the id %s, not %s", p.ID, rows[offset+i].ID, p.secretID)
		}
	}
	for i := range plan.Damaged {
		rows[i].Secure = damage(rows[i].Secure, i)
	}
	orphans, err := inventOrphans(plan, keys)
	return credentials, append(rows, orphans...), err
}

// inventCredentials puts the ones to be damaged first and the deleted ones last.
func inventCredentials(plan seedPlan) []credential {
	all := make([]credential, 0, plan.Records+plan.Damaged+plan.Deleted)
	for i := range plan.Records + plan.Damaged + plan.Deleted {
		random := randomOf(plan.Seed, fmt.Sprintf("credential/%d", i))
		provider, plain := content(random)
		all = append(all, credential{
			ID: base64.RawURLEncoding.EncodeToString(bytesOf(random, saltBytes)), UserID: int64(1 + random.IntN(12)),
			Name: fmt.Sprintf("%s-%d", provider, i), Provider: provider, Salt: bytesOf(random, saltBytes),
			Deleted: i >= plan.Records+plan.Damaged, plain: plain,
		})
	}
	return all
}

func inventOrphans(plan seedPlan, keys keyring) ([]secretRow, error) {
	ids := make([]string, plan.Orphaned)
	for i := range ids {
		ids[i] = base64.StdEncoding.EncodeToString(bytesOf(randomOf(plan.Seed, fmt.Sprintf("orphan/%d", i)), saltBytes))
	}
	return onEveryCore(ids, func(id string) (secretRow, error) {
		random := randomOf(plan.Seed, id)
		_, plain := content(random)
		secure, err := keys.seal(orphanSalt(id), plain, randomReader{random})
		return secretRow{ID: id, Secure: secure}, err
	})
}

// content invents what a credential holds.
func content(random *rand.Rand) (provider string, plain []byte) {
	word := func(n int) string { return base64.RawURLEncoding.EncodeToString(bytesOf(random, n)) }
	var keys map[string]string
	switch random.IntN(4) {
	case 0:
		provider, keys = "aws", map[string]string{"accessKey": "AKIA" + word(12), "secretKey": word(30)}
	case 1:
		provider, keys = "github", map[string]string{"username": "user-" + word(3), "password": "ghp_" + word(27)}
	case 2:
		provider, keys = "container-reg", map[string]string{"userName": "u", "password": "päß" + word(9), "registry": "registry.example.org"}
	default:
		provider, keys = "google", map[string]string{"data": `{"type":"service_account","private_key":"` + word(900) + `"}`}
	}
	plain, err := json.Marshal(keys)
	if err != nil {
		panic(err) // a map of strings always marshals
	}
	return provider, plain
}

// randomOf gives a source of its own to each thing, so that neither order nor number of workers matters.
func randomOf(seed uint64, name string) *rand.Rand {
	var start [32]byte
	binary.LittleEndian.PutUint64(start[:], seed)
	copy(start[8:], orphanSalt(name))
	return rand.New(rand.NewChaCha8(start)) //nolint:gosec // invented content that must come out the same each time
}

func bytesOf(random *rand.Rand, n int) []byte {
	out := make([]byte, n)
	_, _ = io.ReadFull(randomReader{random}, out)
	return out
}

// randomReader reads bytes from a rand.Rand.
type randomReader struct{ random *rand.Rand }

func (r randomReader) Read(into []byte) (int, error) {
	for i := range into {
		into[i] = byte(r.random.Uint32()) //nolint:gosec // the low byte is what is wanted
	}
	return len(into), nil
}

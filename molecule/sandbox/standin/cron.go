package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

// runCron re-encrypts at its start when the switch is on, and stays up afterwards either way, like the real service.
func runCron(ctx context.Context, conf config, logger *log.Logger) error {
	set, err := loadSettings(ctx, conf, logger)
	if err != nil {
		return err
	}
	var api door
	go func() { // crons that are no containers share one port: the others do without
		if err := serve(ctx, conf.API, &api); err != nil {
			logger.Printf("WARN no /health: %v", err)
		}
	}()
	db, err := openDatabase(ctx, set.database, logger)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	api.open(addHealth(http.NewServeMux(), true))
	logger.Printf("INFO Startup completed")
	switch {
	case !set.rotate:
	case len(set.previous) == 0:
		logger.Printf("ERROR secret key rotation is enabled but no previous key is configured: nothing is re-encrypted")
	default:
		r := rotator{
			db: db, keys: newKeyring(set.current, set.previous), chunk: set.chunkSize, opts: conf.Options, log: logger,
			crash: func() { os.Exit(1) },
		}
		if err := r.run(ctx); err != nil && !errors.Is(err, errStopped) {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// errStopped: SANDBOX_CRON_STOP_AFTER was reached.
var errStopped = errors.New("stopped re-encrypting")

// rotator re-encrypts tw_secret from the previous key to the current one, a transaction a chunk. Records that no key opens are
// left as they are and named.
type rotator struct {
	db    *sql.DB
	keys  keyring
	chunk int
	opts  options
	log   *log.Logger
	crash func()
	done  int // records looked at
}

func (r *rotator) run(ctx context.Context) error {
	salts, err := loadSalts(ctx, r.db)
	if err != nil {
		return err
	}
	ids, err := secretIDs(ctx, r.db)
	if err != nil {
		return err
	}
	r.log.Printf("INFO secret key rotation of %d records in chunks of %d", len(ids), r.chunk)
	for len(ids) > 0 {
		size := min(r.chunk, len(ids))
		if err := inTransaction(ctx, r.db, func(tx *sql.Tx) error { return r.rewrite(ctx, tx, ids[:size], salts) }); err != nil {
			return err
		}
		ids = ids[size:]
	}
	return nil
}

// rewrite does one chunk. The costly derivations run on every core before the first row is touched.
func (r *rotator) rewrite(ctx context.Context, tx *sql.Tx, ids []string, salts map[string][]byte) error {
	rows, err := readSecrets(ctx, tx, ids)
	if err != nil {
		return err
	}
	fresh, err := onEveryCore(rows, func(row secretRow) ([]byte, error) { return r.reseal(row, salts) })
	if err != nil {
		return err
	}
	for i, row := range rows {
		if err := r.pace(ctx); err != nil {
			return err
		}
		if fresh[i] == nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE tw_secret SET secure = ?, version = version + 1 WHERE id = ? AND version = ?`,
			fresh[i], row.ID, row.Version); err != nil {
			return fmt.Errorf("update secret %s: %w", row.ID, err)
		}
	}
	return nil
}

// reseal gives the record under the current key, or nil where nothing is to be written.
func (r *rotator) reseal(row secretRow, salts map[string][]byte) ([]byte, error) {
	salt, known := salts[row.ID]
	if !known {
		salt = orphanSalt(row.ID)
	}
	plain, by, err := r.keys.open(salt, row.Secure)
	switch {
	case errors.Is(err, errNoKey):
		r.log.Printf("ERROR secret key rotation: Encrypted data ID %s: corrupted or missing data", row.ID)
		return nil, nil
	case err != nil:
		return nil, err
	case by == current:
		return nil, nil
	case !known:
		r.log.Printf("WARN secret key rotation: Encrypted data ID %s: orphaned", row.ID)
	}
	return r.keys.seal(salt, plain, rand.Reader)
}

// pace waits, crashes or stops as the options ask, before each record.
func (r *rotator) pace(ctx context.Context) error {
	if err := sleep(ctx, r.opts.CronRecordDelay); err != nil {
		return err
	}
	if r.opts.CronStopAfter > 0 && r.done == r.opts.CronStopAfter {
		return errStopped
	}
	if r.opts.CronCrashAfter > 0 && r.done == r.opts.CronCrashAfter {
		r.log.Printf("ERROR out of memory after %d records, as SANDBOX_CRON_CRASH_AFTER asks", r.done)
		r.crash()
	}
	r.done++
	return nil
}

// orphanSalt is the salt of a record that no credential accounts for. The real Platform must know such salts from tables that
// are not public; the stand-in makes them from the id, so that nobody can find them in the database.
func orphanSalt(id string) []byte {
	sum := sha256.Sum256([]byte("stand-in/orphan/" + id))
	return sum[:saltBytes]
}

// loadSalts maps tw_secret.id to the salt of the credential that it belongs to.
func loadSalts(ctx context.Context, db *sql.DB) (map[string][]byte, error) {
	all, err := readCredentials(ctx, db)
	if err != nil {
		return nil, err
	}
	ids, err := onEveryCore(all, func(c credential) (string, error) { return sealed.ID(sealed.Path(c.UserID, c.ID), c.Salt) })
	if err != nil {
		return nil, err
	}
	salts := make(map[string][]byte, len(all))
	for i, c := range all {
		salts[ids[i]] = c.Salt
	}
	return salts, nil
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

const saltBytes = 16

// errNoCredential: there is no row of that id, or it has no secret.
var errNoCredential = errors.New("no such credential")

// credential is a row of tw_credentials and what its secret holds.
type credential struct {
	ID       string
	UserID   int64
	Name     string
	Provider string
	Deleted  bool
	Salt     []byte
	plain    []byte
}

// store is the database as a backend sees it.
type store struct {
	db   *sql.DB
	keys keyring
}

// create seals and inserts a credential in one transaction.
func (s *store) create(ctx context.Context, c credential, random io.Reader) error {
	row, err := rowOf(c, s.keys, random)
	if err != nil {
		return err
	}
	return inTransaction(ctx, s.db, func(tx *sql.Tx) error {
		if err := insertCredentials(ctx, tx, c); err != nil {
			return err
		}
		return insertSecrets(ctx, tx, row)
	})
}

// check says which of this service's keys opens a credential.
func (s *store) check(ctx context.Context, id string) (which, error) {
	var userID int64
	var salt, secure []byte
	err := s.db.QueryRowContext(ctx, `SELECT user_id, salt FROM tw_credentials WHERE id = ?`, id).Scan(&userID, &salt)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errNoCredential
	}
	if err != nil {
		return "", fmt.Errorf("read the credential: %w", err)
	}
	secretID, err := sealed.ID(sealed.Path(userID, id), salt)
	if err != nil {
		return "", err
	}
	err = s.db.QueryRowContext(ctx, `SELECT secure FROM tw_secret WHERE id = ?`, secretID).Scan(&secure)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errNoCredential
	}
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	_, name, err := s.keys.open(salt, secure)
	return name, err
}

// secretRow is a row of tw_secret.
type secretRow struct {
	ID      string
	Secure  []byte
	Version int64
}

func rowOf(c credential, keys keyring, random io.Reader) (secretRow, error) {
	id, err := sealed.ID(sealed.Path(c.UserID, c.ID), c.Salt)
	if err != nil {
		return secretRow{}, err
	}
	secure, err := keys.seal(c.Salt, c.plain, random)
	if err != nil {
		return secretRow{}, err
	}
	return secretRow{ID: id, Secure: secure}, nil
}

func insertCredentials(ctx context.Context, tx *sql.Tx, all ...credential) error {
	for _, c := range all {
		_, err := tx.ExecContext(ctx, `INSERT INTO tw_credentials
			(id, user_id, name, provider, deleted, version, salt, keys_meta, date_created, last_updated)
			VALUES (?, ?, ?, ?, ?, 0, ?, '{}', NOW(6), NOW(6))`,
			c.ID, c.UserID, c.Name, c.Provider, c.Deleted, c.Salt)
		if err != nil {
			return fmt.Errorf("insert credential %s: %w", c.ID, err)
		}
	}
	return nil
}

func insertSecrets(ctx context.Context, tx *sql.Tx, all ...secretRow) error {
	for _, row := range all {
		_, err := tx.ExecContext(ctx, `INSERT INTO tw_secret (id, secure, date_created, version) VALUES (?, ?, NOW(6), 0)`,
			row.ID, row.Secure)
		if err != nil {
			return fmt.Errorf("insert secret %s: %w", row.ID, err)
		}
	}
	return nil
}

func inTransaction(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", errors.Join(err, ctx.Err())) // if ctx has ended, Commit says only that the transaction is over
	}
	return nil
}

package main

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readCredentials(ctx context.Context, db querier) ([]credential, error) {
	return collect(ctx, db, func(rows *sql.Rows) (c credential, err error) {
		return c, rows.Scan(&c.ID, &c.UserID, &c.Salt)
	}, `SELECT id, user_id, salt FROM tw_credentials WHERE salt IS NOT NULL`)
}

func secretIDs(ctx context.Context, db querier) ([]string, error) {
	return collect(ctx, db, func(rows *sql.Rows) (id string, err error) {
		err = rows.Scan(&id)
		return id, err
	}, `SELECT id FROM tw_secret ORDER BY id`)
}

// readSecrets reads and locks the rows of these ids.
func readSecrets(ctx context.Context, tx querier, ids []string) ([]secretRow, error) {
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(ids)), ", ")
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return collect(ctx, tx, scanSecret,
		`SELECT id, secure, version FROM tw_secret WHERE id IN (`+marks+`) ORDER BY id FOR UPDATE`, args...)
}

func allSecrets(ctx context.Context, db querier) ([]secretRow, error) {
	return collect(ctx, db, scanSecret, `SELECT id, secure, version FROM tw_secret`)
}

func scanSecret(rows *sql.Rows) (row secretRow, err error) {
	return row, rows.Scan(&row.ID, &row.Secure, &row.Version)
}

func collect[T any](ctx context.Context, db querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the database: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read the database: %w", err)
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// onEveryCore maps items, in order, with as many workers as there are cores. It returns an error of any item.
func onEveryCore[In, Out any](items []In, do func(In) (Out, error)) ([]Out, error) {
	out := make([]Out, len(items))
	errs := make([]error, len(items))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(items)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				out[i], errs[i] = do(items[i])
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

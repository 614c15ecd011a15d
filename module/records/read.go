package records

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

const (
	pageBytes = 4 << 20 // of ciphertext are held at a time, and one record more
	listPage  = 5000    // rows of id and version
)

// expect makes room for as many rows as there are, so that the lists need not grow, which takes as much memory once more.
func (s *Scanner) expect(ctx context.Context, connection *sql.Conn) error {
	var credentials, records int
	row := connection.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM tw_credentials), (SELECT COUNT(*) FROM tw_secret)")
	if err := row.Scan(&credentials, &records); err != nil {
		return err
	}
	s.links.rows = slices.Grow(s.links.rows, max(0, credentials-len(s.links.rows)))
	s.records.rows = slices.Grow(s.records.rows, records)
	return nil
}

// list reads id and version of every record and marks what is new or changed. It is what a poll costs when nothing is.
func (s *Scanner) list(ctx context.Context, connection asker) error {
	return s.records.each(func(after *string) (string, bool, error) {
		rows, err := page(ctx, connection, "SELECT id, version FROM tw_secret", after, listPage)
		if err != nil {
			return "", false, err
		}
		defer func() { _ = rows.Close() }()
		count, last := 0, ""
		var id sql.RawBytes
		var version sql.NullInt64
		for rows.Next() {
			if err := rows.Scan(&id, &version); err != nil {
				return "", false, err
			}
			if count++; count == listPage {
				last = string(id)
			}
			if one := s.upsert(id); one.version != version.Int64 {
				one.stale = true
			}
		}
		return last, count == listPage, rows.Err()
	})
}

// confirm reads every record whole and marks those that are not as they were judged.
func (s *Scanner) confirm(ctx context.Context, connection asker) error {
	return s.records.each(func(after *string) (string, bool, error) {
		rows, err := page(ctx, connection, "SELECT id, version, secure FROM tw_secret", after, s.options.Page)
		if err != nil {
			return "", false, err
		}
		defer func() { _ = rows.Close() }()
		count, size, last, more := 0, 0, "", false
		var id, secure sql.RawBytes
		var version sql.NullInt64
		for !more && rows.Next() {
			if err := rows.Scan(&id, &version, &secure); err != nil {
				return "", false, err
			}
			one := s.upsert(id)
			one.stale = one.stale || one.version != version.Int64 || one.digest != digestOf(secure)
			count, size = count+1, size+len(secure)
			// The driver reads what is left of a page; a page of large records is left early.
			if more = count == s.options.Page || size > pageBytes; more {
				last = string(id)
			}
		}
		if err := ended(rows); err != nil {
			return "", false, err
		}
		return last, more, s.pace(ctx, count)
	})
}

// ended closes rows that may be left early, and says what was wrong with them. Err before Close would wait for ever where ctx
// ends while RawBytes are held.
func ended(rows *sql.Rows) error {
	err := rows.Close()
	return cmp.Or(rows.Err(), err)
}

// meet finds the record that a pass came to, or begins a new one.
func (s *Scanner) upsert(id []byte) *record {
	n, plain := nameOf(id)
	if known := s.records.see(n); known != nil {
		return known
	}
	if !plain {
		s.odd[n] = string(id)
	}
	added := s.records.add(n)
	added.stale = true
	s.fresh++
	return added
}

// each makes one pass over a table: read reads the page after a key and gives the page's last key and whether there is more.
func (r *table[T]) each(read func(after *string) (last string, more bool, err error)) error {
	r.begin()
	var after *string
	for {
		last, more, err := read(after)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		after = &last
	}
	r.sweep()
	return nil
}

// page reads rows in key order, as the column's own collation has it.
func page(ctx context.Context, connection asker, query string, after *string, limit int) (*sql.Rows, error) {
	if after == nil {
		return connection.QueryContext(ctx, query+" ORDER BY id LIMIT ?", limit)
	}
	return connection.QueryContext(ctx, query+" WHERE id > ? ORDER BY id LIMIT ?", *after, limit)
}

// row is one of tw_secret.
type row struct {
	name    name
	version int64
	secure  []byte
}

// fetch reads the records of these names. One that is gone meanwhile is not among what it gives; where they are large, the
// last ones are not either, and are asked for again.
func (s *Scanner) fetch(ctx context.Context, names []name) (found []row, more bool, err error) {
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = s.id(n)
	}
	query := "SELECT id, version, secure FROM tw_secret WHERE id IN (?" + strings.Repeat(", ?", len(names)-1) + ")" //nolint:gosec // marks alone
	rows, err := s.db.pool.QueryContext(ctx, query, args...)                                                        //nolint:gosec // as above
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		if size > pageBytes {
			return found, true, nil
		}
		var id sql.RawBytes
		var version sql.NullInt64
		one := row{}
		if err := rows.Scan(&id, &version, &one.secure); err != nil {
			return nil, false, err
		}
		one.name, _ = nameOf(id)
		one.version = version.Int64
		found, size = append(found, one), size+len(one.secure)
	}
	return found, false, rows.Err()
}

// pace waits as long as the limit of records a second wants.
func (s *Scanner) pace(ctx context.Context, records int) error {
	if s.options.PerSecond < 1 || records == 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(records) * time.Second / time.Duration(s.options.PerSecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

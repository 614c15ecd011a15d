package records

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

const (
	pageBytes = 4 << 20 // bytes of ciphertext after which a page ends
	listPage  = 5000    // rows per page when only ID and version are read
)

// expect allocates memory for all rows at once: growing the lists would need twice the memory.
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

// list reads ID and version of every record, and marks new and changed records as stale. If nothing changed, this is all that a poll
// does.
func (s *Scanner) list(ctx context.Context, connection asker) error {
	return s.records.each(func(after *string) (last string, more bool, err error) {
		query, args := page("SELECT id, version FROM tw_secret", after, listPage)
		count := 0
		var id sql.RawBytes
		var version sql.NullInt64
		err = each(ctx, connection, func(rows *sql.Rows) (bool, error) {
			if err := rows.Scan(&id, &version); err != nil {
				return false, err
			}
			if count++; count == listPage {
				last = string(id)
			}
			if one := s.upsert(id); one.version != version.Int64 {
				one.stale = true
			}
			return false, nil
		}, query, args...)
		return last, count == listPage, err
	})
}

// confirm reads every record completely, and marks records that differ from what was judged as stale.
func (s *Scanner) confirm(ctx context.Context, connection asker) error {
	return s.records.each(func(after *string) (last string, more bool, err error) {
		query, args := page("SELECT id, version, secure FROM tw_secret", after, s.options.Page)
		count, size := 0, 0
		var id, secure sql.RawBytes
		var version sql.NullInt64
		err = each(ctx, connection, func(rows *sql.Rows) (bool, error) {
			if err := rows.Scan(&id, &version, &secure); err != nil {
				return false, err
			}
			one := s.upsert(id)
			one.stale = one.stale || one.version != version.Int64 || one.digest != digestOf(secure)
			count, size = count+1, size+len(secure)
			// End a page of large records early; the driver discards the rest of it.
			if more = count == s.options.Page || size > pageBytes; more {
				last = string(id)
			}
			return more, nil
		}, query, args...)
		if err == nil {
			err = s.pace(ctx, count)
		}
		return last, more, err
	})
}

// each passes the rows of a query to scan until scan has enough.
func each(ctx context.Context, from asker, scan func(*sql.Rows) (enough bool, err error), query string, args ...any) error {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	enough := false
	for !enough && err == nil && rows.Next() {
		enough, err = scan(rows)
	}
	return cmp.Or(err, ended(rows))
}

// ended closes rows and returns their error. Calling Err before Close would block forever if ctx ends while RawBytes are in use.
func ended(rows *sql.Rows) error {
	err := rows.Close()
	return cmp.Or(rows.Err(), err)
}

// upsert returns the record with this id, adding it if it is new.
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

// each makes one pass over a table. read reads the page after a key, and returns the last key of the page and whether there is more.
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

// page returns the query for the rows after a key, in the order of the column's collation.
func page(query string, after *string, limit int) (string, []any) {
	if after == nil {
		return query + " ORDER BY id LIMIT ?", []any{limit}
	}
	return query + " WHERE id > ? ORDER BY id LIMIT ?", []any{*after, limit}
}

// row is a row of tw_secret.
type row struct {
	name    name
	version int64
	secure  []byte
}

// fetch reads the records with these names, except those that are gone. more means that it stopped early because of large records.
func (s *Scanner) fetch(ctx context.Context, names []name) (found []row, more bool, err error) {
	args := make([]any, len(names))
	for i, n := range names {
		args[i] = s.id(n)
	}
	query := "SELECT id, version, secure FROM tw_secret WHERE id IN (?" + strings.Repeat(", ?", len(names)-1) + ")"
	size := 0
	err = each(ctx, s.db.pool, func(rows *sql.Rows) (bool, error) {
		if more = size > pageBytes; more {
			return true, nil
		}
		var id sql.RawBytes
		var version sql.NullInt64
		one := row{}
		if err := rows.Scan(&id, &version, &one.secure); err != nil {
			return false, err
		}
		one.name, _ = nameOf(id)
		one.version = version.Int64
		found, size = append(found, one), size+len(one.secure)
		return false, nil
	}, query, args...)
	return found, more, err
}

// pace waits as long as the limit of records per second requires.
func (s *Scanner) pace(ctx context.Context, records int) error {
	if s.options.PerSecond < 1 || records == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(records) * time.Second / time.Duration(s.options.PerSecond)):
		return nil
	}
}

// head is the name of a row, and the number of the last pass that saw it.
type head struct {
	name name
	seen uint32
}

// table holds the rows of a database table, in the order of the database, so a pass over unchanged rows needs no search. It contains
// no pointers, so the garbage collector skips it.
type table[T any] struct {
	head  func(*T) *head
	rows  []T
	index []int32 // indexes of rows, sorted by name, as of the start of the pass; nil after rows were dropped
	pass  uint32
	next  int
}

func (r *table[T]) begin() {
	r.sort()
	r.pass++
	r.next = 0
}

// sort updates the index.
func (r *table[T]) sort() {
	if r.index != nil && len(r.index) == len(r.rows) {
		return
	}
	r.index = make([]int32, len(r.rows))
	for i := range r.index {
		r.index[i] = int32(i)
	}
	slices.SortFunc(r.index, func(a, b int32) int {
		one, other := &r.head(&r.rows[a]).name, &r.head(&r.rows[b]).name
		return bytes.Compare(one[:], other[:])
	})
}

// see returns a row that the pass has found, and marks it as seen. It returns nil if the row is new since the pass began.
func (r *table[T]) see(n name) *T {
	at := r.next
	if at >= len(r.rows) || r.head(&r.rows[at]).name != n {
		if _, at = r.find(n); at < 0 {
			return nil
		}
	}
	r.next = at + 1
	r.head(&r.rows[at]).seen = r.pass
	return &r.rows[at]
}

// find returns a row and its index, or nil and -1. It requires an index: call begin or sort first.
func (r *table[T]) find(n name) (*T, int) {
	i, ok := slices.BinarySearchFunc(r.index, n, func(at int32, n name) int {
		return bytes.Compare(r.head(&r.rows[at]).name[:], n[:])
	})
	if !ok {
		return nil, -1
	}
	return &r.rows[r.index[i]], int(r.index[i])
}

// add appends a row that the pass has found. The pointer is valid until the next add.
func (r *table[T]) add(n name) *T {
	var row T
	r.rows = append(r.rows, row)
	added := &r.rows[len(r.rows)-1]
	*r.head(added) = head{n, r.pass}
	return added
}

// sweep drops the rows that the completed pass did not see.
func (r *table[T]) sweep() {
	before := len(r.rows)
	r.rows = slices.DeleteFunc(r.rows, func(row T) bool { return r.head(&row).seen != r.pass })
	if len(r.rows) != before {
		r.index = nil
	}
}

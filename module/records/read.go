package records

import (
	"context"
	"database/sql"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

const pageBytes = 4 << 20 // of ciphertext are held at a time, and one record more

// readLinks reads the credentials and computes, for new or changed ones, what their record is called. It gives them by
// the record's id.
func (s *Scanner) readLinks(ctx context.Context, connection *sql.Conn) (map[string]link, error) {
	now, fresh, err := s.readCredentials(ctx, connection)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(fresh))
	err = s.spread(ctx, len(fresh), func(i int) (err error) {
		one := now[fresh[i]]
		ids[i], err = sealed.ID(sealed.Path(one.user, fresh[i]), []byte(one.salt))
		s.derived.Add(1)
		return err
	})
	for i, credential := range fresh {
		one := now[credential]
		one.id = ids[i]
		if one.id == "" {
			delete(now, credential) // interrupted: the next scan computes it
			continue
		}
		now[credential] = one
	}
	s.links = now
	owners := make(map[string]link, len(now))
	for _, one := range now {
		if one.id != "" {
			owners[one.id] = one
		}
	}
	return owners, err
}

// readCredentials gives all credentials, those whose record's id is known with it, and the names of the others. One
// without a user or a salt cannot account for a record.
func (s *Scanner) readCredentials(ctx context.Context, connection *sql.Conn) (now map[string]link, fresh []string, err error) {
	query := "SELECT id, user_id, salt, NULL FROM tw_credentials"
	if s.db.schema.deleted {
		query = "SELECT id, user_id, salt, deleted FROM tw_credentials"
	}
	rows, err := connection.QueryContext(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	now = map[string]link{}
	for rows.Next() {
		var id string
		var user sql.NullInt64
		var salt, deleted []byte
		if err := rows.Scan(&id, &user, &salt, &deleted); err != nil {
			return nil, nil, err
		}
		one := link{user: user.Int64, salt: string(salt), deleted: isSet(deleted)}
		before, known := s.links[id]
		switch {
		case !user.Valid || len(salt) == 0:
		case known && before.user == one.user && before.salt == one.salt && before.id != "":
			one.id = before.id
		default:
			fresh = append(fresh, id)
		}
		now[id] = one
	}
	return now, fresh, rows.Err()
}

// isSet says whether the column deleted means deleted: a boolean, a bit or a time, depending on the version.
func isSet(value []byte) bool {
	return len(value) > 0 && !slices.Contains([]string{"0", "\x00", "false"}, string(value))
}

// row is one of tw_secret.
type row struct {
	id      string
	version int64
	secure  []byte
}

// readPage reads the rows after a key, in key order, as the column's own collation has it. A page ends early when it
// would hold too many bytes.
func (s *Scanner) readPage(ctx context.Context, connection *sql.Conn, after *string) (page []row, more bool, err error) {
	query, args := "SELECT id, version, secure FROM tw_secret ORDER BY id LIMIT ?", []any{s.options.Page}
	if after != nil {
		query, args = "SELECT id, version, secure FROM tw_secret WHERE id > ? ORDER BY id LIMIT ?", []any{*after, s.options.Page}
	}
	rows, err := connection.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		if size > pageBytes {
			return page, true, nil
		}
		var one row
		var version sql.NullInt64
		if err := rows.Scan(&one.id, &version, &one.secure); err != nil {
			return nil, false, err
		}
		one.version = version.Int64
		page, size = append(page, one), size+len(one.secure)
	}
	return page, len(page) == s.options.Page, rows.Err()
}

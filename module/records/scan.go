package records

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Keys are the keys that a record may be under. Previous is empty outside a rotation.
type Keys struct{ Current, Previous secret.Secret }

// Options of a scan; zero values mean all cores and pages of 500 rows.
type Options struct {
	Workers  int
	Page     int
	Baseline *Baseline
}

// Scanner scans again and again, and derives a key only for what changed since the last time: a derivation costs some
// 13 ms, all the rest nearly nothing. It holds about 200 bytes a record between scans. For one goroutine.
type Scanner struct {
	db      *DB
	keys    Keys
	options Options

	links   map[string]link // by credential: what its record is called
	records map[string]record
	likely  atomic.Int32 // the class found last: the key to try first
	derived atomic.Int64 // key derivations so far
}

type class int32

const (
	current class = iota
	previous
	unreadable
	orphaned
)

// link is what a credential says of its record.
type link struct {
	user    int64
	salt    [saltLength]byte
	length  int // of the salt; longer ones are cut off and never match
	id      string
	deleted bool
}

const saltLength = 16 // tw_credentials.salt is VARBINARY(16)

// record is what is remembered of a row of tw_secret.
type record struct {
	version int64
	digest  digest
	class   class
	key     sealed.Key // derived from the current key and the record's salt
	hasKey  bool
	seen    bool
	deleted bool
}

type digest [12]byte

func digestOf(secure []byte) digest {
	sum := sha256.Sum256(secure)
	return digest(sum[:12])
}

// NewScanner makes a scanner over an open database.
func NewScanner(db *DB, keys Keys, options Options) *Scanner {
	if options.Workers < 1 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Page < 1 {
		options.Page = 500
	}
	return &Scanner{db: db, keys: keys, options: options, links: map[string]link{}, records: map[string]record{}}
}

// Close overwrites the derived keys.
func (s *Scanner) Close() {
	clear(s.records)
	clear(s.links)
}

// Scan reads every record in one consistent snapshot and counts by class. A record "opens" when the padding is right and
// the plaintext is a JSON object, since AES-CBC authenticates nothing. Its errors are faults.
func (s *Scanner) Scan(ctx context.Context) (rotation.Records, error) {
	connection, err := s.db.pool.Conn(ctx)
	if err != nil {
		return rotation.Records{}, s.db.fault(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := connection.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return rotation.Records{}, s.db.fault(err)
	}
	defer func() { _, _ = connection.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") }()
	byID, err := s.readLinks(ctx, connection)
	if err != nil {
		return rotation.Records{}, err
	}
	if err := s.readRecords(ctx, connection, byID); err != nil {
		return rotation.Records{}, err
	}
	return s.count(), nil
}

// readLinks reads the credentials and computes, for new ones, what their record is called.
func (s *Scanner) readLinks(ctx context.Context, connection *sql.Conn) (map[string]link, error) {
	query := "SELECT id, user_id, salt, NULL FROM tw_credentials"
	if s.db.deleted {
		query = "SELECT id, user_id, salt, deleted FROM tw_credentials"
	}
	rows, err := connection.QueryContext(ctx, query)
	if err != nil {
		return nil, s.db.fault(err)
	}
	defer func() { _ = rows.Close() }()
	now := map[string]link{}
	var fresh []string
	for rows.Next() {
		var id string
		var user sql.NullInt64
		var salt, deleted []byte
		if err := rows.Scan(&id, &user, &salt, &deleted); err != nil {
			return nil, s.db.fault(err)
		}
		one := link{user: user.Int64, length: len(salt), deleted: isSet(deleted)}
		copy(one.salt[:], salt)
		if before, ok := s.links[id]; ok && before.user == one.user && before.salt == one.salt && before.length == one.length {
			one.id = before.id
		} else {
			fresh = append(fresh, id)
		}
		now[id] = one
	}
	if err := rows.Err(); err != nil {
		return nil, s.db.fault(err)
	}
	if err := s.name(ctx, now, fresh); err != nil {
		return nil, err
	}
	s.links = now
	byID := make(map[string]link, len(now))
	for _, one := range now {
		byID[one.id] = one
	}
	return byID, nil
}

// name computes the ids of the records of the credentials named, on all workers.
func (s *Scanner) name(ctx context.Context, links map[string]link, fresh []string) error {
	ids := make([]string, len(fresh))
	err := s.spread(ctx, len(fresh), func(i int) {
		one := links[fresh[i]]
		if one.length > saltLength {
			return
		}
		if id, err := sealed.ID(sealed.Path(one.user, fresh[i]), one.salt[:one.length]); err == nil {
			ids[i] = id
		}
		s.derived.Add(1)
	})
	for i, credential := range fresh {
		one := links[credential]
		one.id = ids[i]
		links[credential] = one
		delete(s.records, one.id) // a key that was derived from an earlier salt opens nothing any more
	}
	return err
}

// isSet says whether the column deleted means deleted: a boolean, a bit or a time, depending on the version.
func isSet(value []byte) bool {
	return len(value) > 0 && !slices.Contains([]string{"0", "\x00", "false"}, string(value))
}

type row struct {
	id      string
	version int64
	secure  []byte
}

// readRecords reads tw_secret in key order, page by page, and classifies what is new or changed.
func (s *Scanner) readRecords(ctx context.Context, connection *sql.Conn, byID map[string]link) error {
	for id, known := range s.records {
		known.seen = false
		s.records[id] = known
	}
	after := ""
	for {
		page, err := s.readPage(ctx, connection, after)
		if err != nil {
			return err
		}
		if err := s.classify(ctx, page, byID); err != nil {
			return err
		}
		if len(page) < s.options.Page {
			break
		}
		after = page[len(page)-1].id
	}
	for id, known := range s.records {
		if !known.seen {
			delete(s.records, id)
		}
	}
	return nil
}

func (s *Scanner) readPage(ctx context.Context, connection *sql.Conn, after string) ([]row, error) {
	rows, err := connection.QueryContext(ctx, "SELECT id, COALESCE(version, 0), secure FROM tw_secret WHERE id > ? ORDER BY id LIMIT ?", after, s.options.Page)
	if err != nil {
		return nil, s.db.fault(err)
	}
	defer func() { _ = rows.Close() }()
	var page []row
	for rows.Next() {
		var one row
		if err := rows.Scan(&one.id, &one.version, &one.secure); err != nil {
			return nil, s.db.fault(err)
		}
		page = append(page, one)
	}
	if err := rows.Err(); err != nil {
		return nil, s.db.fault(err)
	}
	return page, nil
}

func (s *Scanner) classify(ctx context.Context, page []row, byID map[string]link) error {
	judged := make([]record, len(page))
	err := s.spread(ctx, len(page), func(i int) {
		one := page[i]
		before, known := s.records[one.id]
		owner, owned := byID[one.id]
		judged[i] = record{version: one.version, digest: digestOf(one.secure), seen: true, deleted: owner.deleted, key: before.key, hasKey: before.hasKey}
		switch {
		case !owned:
			judged[i].class = orphaned
		case known && before.version == one.version && before.digest == judged[i].digest && before.class != orphaned:
			judged[i].class = before.class
		default:
			s.open(&judged[i], one.secure, owner)
		}
	})
	for i, one := range page {
		s.records[one.id] = judged[i]
	}
	return err
}

// open tries both keys, the likelier first.
func (s *Scanner) open(r *record, secure []byte, owner link) {
	salt := owner.salt[:owner.length]
	withCurrent := func() bool {
		if !r.hasKey {
			key, err := sealed.Derive([]byte(s.keys.Current.Reveal()), salt)
			s.derived.Add(1)
			if err != nil {
				return false
			}
			r.key, r.hasKey = key, true
		}
		_, err := sealed.OpenObject(r.key, secure)
		return err == nil
	}
	withPrevious := func() bool {
		if s.keys.Previous.IsEmpty() {
			return false
		}
		key, err := sealed.Derive([]byte(s.keys.Previous.Reveal()), salt)
		s.derived.Add(1)
		if err != nil {
			return false
		}
		_, err = sealed.OpenObject(key, secure)
		return err == nil
	}
	r.class = unreadable
	tries := []struct {
		class class
		open  func() bool
	}{{current, withCurrent}, {previous, withPrevious}}
	if class(s.likely.Load()) == previous {
		slices.Reverse(tries)
	}
	for _, try := range tries {
		if try.open() {
			r.class = try.class
			s.likely.Store(int32(try.class))
			return
		}
	}
}

// spread runs work for 0…n-1 on all workers and stops early when ctx ends.
func (s *Scanner) spread(ctx context.Context, n int, work func(i int)) error {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(s.options.Workers, n) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return s.db.fault(context.Canceled)
	}
	return nil
}

package records

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Keys are the keys that a record may be under. Previous is empty outside a rotation.
type Keys struct{ Current, Previous secret.Secret }

// Options of a scan; zero values mean all cores, pages of at least 100 rows, and no baseline.
type Options struct {
	Workers  int
	Page     int // rows
	Baseline *Baseline
}

// Scanner scans again and again, and derives a key only for what changed since the last time: a derivation costs some
// 13 ms, all the rest nearly nothing. It holds about 250 bytes a record between scans. For one goroutine.
type Scanner struct {
	db      *DB
	keys    Keys
	options Options

	links   map[string]link // by credential
	records map[string]record
	scans   uint32
	lean    atomic.Int32 // which key is likelier: positive for the current one
	derived atomic.Int64 // key derivations so far
}

// link is what a credential says of its record.
type link struct {
	user    int64
	salt    string
	id      string // of the record; empty where the credential accounts for none
	deleted bool
}

// record is what is remembered of a row of tw_secret.
type record struct {
	version int64
	digest  digest
	scan    uint32      // the last one that saw it
	key     *sealed.Key // derived from the current key and the credential's salt; nil where it was not needed yet
	class   class
	deleted bool
}

// NewScanner makes a scanner over an open database.
func NewScanner(db *DB, keys Keys, options Options) *Scanner {
	if options.Workers < 1 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Page < 1 {
		options.Page = max(100, 8*options.Workers) // enough for each worker, little to hold
	}
	return &Scanner{db: db, keys: keys, options: options, links: map[string]link{}, records: map[string]record{}}
}

// Close overwrites the derived keys. The database stays open.
func (s *Scanner) Close() {
	for _, one := range s.records {
		one.wipe()
	}
	clear(s.records)
	clear(s.links)
}

func (r record) wipe() {
	if r.key != nil {
		clear(r.key[:])
	}
}

// Scan reads every record in one consistent snapshot and counts by class. A record "opens" when the padding is right and
// the plaintext is a JSON object, since AES-CBC authenticates nothing. Its errors are faults: those of Open, and
// invalid_options for a baseline of another database. After one, scan again: what was learnt is kept.
func (s *Scanner) Scan(ctx context.Context) (rotation.Records, error) {
	if err := s.scan(ctx); err != nil {
		return rotation.Records{}, s.db.fault(ctx, err)
	}
	return s.count()
}

func (s *Scanner) scan(ctx context.Context) error {
	connection, err := s.db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	// No idle connection is kept, so this ends the connection, and with it the transaction.
	defer func() { _ = connection.Close() }()
	if _, err := connection.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"); err != nil {
		return err
	}
	owners, err := s.readLinks(ctx, connection)
	if err != nil {
		return err
	}
	return s.readRecords(ctx, connection, owners)
}

// readRecords reads tw_secret in key order, page by page, classifies what is new or changed, and forgets what is gone.
func (s *Scanner) readRecords(ctx context.Context, connection *sql.Conn, owners map[string]link) error {
	s.scans++
	var after *string
	for {
		page, more, err := s.readPage(ctx, connection, after)
		if err != nil {
			return err
		}
		if err := s.classify(ctx, page, owners); err != nil {
			return err
		}
		if !more {
			break
		}
		after = &page[len(page)-1].id
	}
	for id, one := range s.records {
		if one.scan != s.scans {
			one.wipe()
			delete(s.records, id)
		}
	}
	return nil
}

// spread runs work for 0…n-1 on all workers and stops early when one fails or ctx ends. A panic becomes an error: the
// protocol's recover does not reach these goroutines, and stderr is not for stack traces.
func (s *Scanner) spread(ctx context.Context, n int, work func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(s.options.Workers, n) {
		group.Go(func() {
			defer func() {
				if recovered := recover(); recovered != nil {
					cancel(internal(fmt.Sprintf("a worker failed: %v", recovered)))
				}
			}()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					cancel(internal(err.Error()))
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

func internal(what string) *rotation.Fault {
	return &rotation.Fault{
		Code: rotation.CodeInternal, What: "Reading the records failed: " + what + ".", State: nothingWritten,
		Next: "This is a mistake of this tool or of its build; please report it with this message.",
	}
}

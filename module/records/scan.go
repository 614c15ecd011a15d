package records

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// maxScans is how often a scan starts over because the database changed while it was read.
const maxScans = 10

// Keys are the keys that a record may be under. Previous is empty outside a rotation.
type Keys struct{ Current, Previous secret.Secret }

// Options of a scanner. The zero value means all cores, pages of at least 100 rows, no limit and no baseline.
type Options struct {
	Workers   int
	Page      int // rows per page
	PerSecond int // maximum number of records to read per second
	Baseline  *Baseline
	// Carry lets an unchanged record keep its class from a baseline that was taken under the current key. Never use it for a proof.
	Carry bool
}

// Scanner scans the records repeatedly, and derives keys (about 13 ms each) only for changed records. It holds about 100 bytes per
// record, and no derived key. Except for Looked, it is not safe for concurrent use.
type Scanner struct {
	db      *DB
	keys    Keys
	options Options

	links      table[link]
	owners     []int32 // indexes of links.rows, sorted by record
	longSalts  map[name][]byte
	records    table[record]
	odd        map[name]string // IDs that cannot be restored from their names
	incomplete int             // number of credentials without a user or salt, which cannot have a record
	fresh      int             // number of new records in this poll
	unsettled  bool            // links changed since the last settle

	lean    atomic.Int32 // which key is likelier to open a new record: negative for the previous key
	derived atomic.Int64 // number of key derivations so far
	looked  atomic.Int64
	toLook  atomic.Int64
	changes int // number of records judged since the scanner was made

	deriveKey func(secretKey, salt []byte) (sealed.Key, error)
	identify  func(path string, salt []byte) (string, error)
}

// NewScanner returns a scanner for an open database.
func NewScanner(db *DB, keys Keys, options Options) *Scanner {
	if options.Workers < 1 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Page < 1 {
		options.Page = max(100, 8*options.Workers) // enough rows for each worker, but little memory
	}
	if options.PerSecond > 0 {
		options.Page = max(1, min(options.Page, options.PerSecond))
	}
	if options.Baseline == nil {
		options.Baseline = &Baseline{}
	}
	s := &Scanner{db: db, keys: keys, options: options, longSalts: map[name][]byte{}, odd: map[name]string{}, deriveKey: sealed.Derive, identify: sealed.ID}
	s.records.head = func(r *record) *head { return &r.head }
	s.links.head = func(l *link) *head { return &l.head }
	s.links.rows = options.Baseline.links
	options.Baseline.links = nil
	return s
}

// Poll judges records that are new or have another version, and counts all records. Its counts are not from a single snapshot: call
// Scan before you call a rotation complete. Its errors are faults, as for Scan.
func (s *Scanner) Poll(ctx context.Context) (proof.Records, error) {
	err := s.poll(ctx)
	if err != nil {
		return proof.Records{}, s.db.fault(ctx, err)
	}
	return s.count(false)
}

func (s *Scanner) poll(ctx context.Context) error {
	s.fresh = 0
	err := s.db.snapshot(ctx, func(c *sql.Conn) error {
		if len(s.records.rows) == 0 {
			if err := s.expect(ctx, c); err != nil {
				return err
			}
		}
		return s.list(ctx, c)
	})
	if err != nil {
		return err
	}
	if s.fresh > 0 {
		if err := s.link(ctx); err != nil {
			return err
		}
	}
	return s.judgeAndCount(ctx)
}

func (s *Scanner) judgeAndCount(ctx context.Context) error {
	before := s.unseenOrStale()
	err := s.judgeStale(ctx)
	s.changes += before - s.unseenOrStale()
	return err
}

// Scan reads every record and credential in one consistent snapshot and counts the records by class. A record opens if the padding is
// right and the plaintext is a JSON object, because AES-CBC has no authentication. Scan judges unknown records outside the snapshot,
// then reads everything again. Its errors are faults, as for Open; after an error, the scanner keeps what it has found.
func (s *Scanner) Scan(ctx context.Context) (proof.Records, error) {
	exact, err := s.scan(ctx)
	if err != nil {
		return proof.Records{}, s.db.fault(ctx, err)
	}
	return s.count(exact)
}

func (s *Scanner) scan(ctx context.Context) (exact bool, err error) {
	if len(s.records.rows) == 0 {
		if err := s.poll(ctx); err != nil {
			return false, err
		}
	}
	for range maxScans {
		unlinked := 0
		err := s.db.snapshot(ctx, func(c *sql.Conn) (err error) {
			if unlinked, err = s.credentials(ctx, c, false); err != nil {
				return err
			}
			return s.confirm(ctx, c)
		})
		if err != nil {
			return false, err
		}
		if unlinked > 0 {
			if err := s.link(ctx); err != nil {
				return false, err
			}
		}
		s.settle()
		if unlinked == 0 && s.unseenOrStale() == 0 {
			return true, nil
		}
		if err := s.judgeAndCount(ctx); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Use makes the scanner use another connection to the same database, after the first one broke.
func (s *Scanner) Use(db *DB) { s.db = db }

// Looked returns how many of the stale records are judged so far, and how many there are. It is safe for concurrent use.
func (s *Scanner) Looked() (done, of int) { return int(s.looked.Load()), int(s.toLook.Load()) }

// Changes returns how many new or changed records were found since the scanner was made.
func (s *Scanner) Changes() int { return s.changes }

// onAllWorkers calls work for 0 to n-1 on all workers, until a call fails or ctx ends. It turns a panic into an error.
func (s *Scanner) onAllWorkers(ctx context.Context, n int, work func(i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(s.options.Workers, n) {
		group.Go(func() (err error) {
			defer func() {
				if recovered := recover(); recovered != nil {
					err = internal(fmt.Sprintf("a worker failed: %v", recovered))
				}
			}()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := work(i); err != nil {
					return internal(err.Error())
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

func internal(what string) *fault.Fault {
	return fault.New(fault.CodeInternal, "This is a bug in this tool or its build. Please report it with this message.",
		"%s", "Reading the records failed: "+what+".")
}

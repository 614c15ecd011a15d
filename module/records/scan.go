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

// maxScans is how often a scan begins again because the database changed while it was read.
const maxScans = 10

// Keys are the keys that a record may be under. Previous is empty outside a rotation.
type Keys struct{ Current, Previous secret.Secret }

// Options of a scan; zero values mean all cores, pages of at least 100 rows, no limit and no baseline.
type Options struct {
	Workers   int
	Page      int // rows
	PerSecond int // records whose content is read
	Baseline  *Baseline
	// An unchanged record keeps the class of a baseline that was taken under the current key. Never for a proof.
	Carry bool
}

// Scanner looks again and again, and derives a key (some 13 ms) only for what changed. It holds about 100 bytes a record, and no key.
// It is for one goroutine, but for Looked.
type Scanner struct {
	db      *DB
	keys    Keys
	options Options

	links     table[link]
	owners    []int32 // of links.rows, by the record that they account for
	longSalts map[name][]byte
	records   table[record]
	odd       map[name]string // ids that are not made from their names
	strangers int             // credentials that cannot account for a record
	fresh     int             // records met that were not known
	unsettled bool            // links changed since owners was made

	lean    atomic.Int32 // which key is likelier: positive for the current one
	derived atomic.Int64 // key derivations so far
	looked  atomic.Int64
	toLook  atomic.Int64
	changes int // records judged since the scanner was made

	deriveKey func(secretKey, salt []byte) (sealed.Key, error)
	identify  func(path string, salt []byte) (string, error)
}

// NewScanner makes a scanner over an open database.
func NewScanner(db *DB, keys Keys, options Options) *Scanner {
	if options.Workers < 1 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Page < 1 {
		options.Page = max(100, 8*options.Workers) // enough for each worker, little to hold
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

// Poll judges and counts what is new or has another version. Its counts are not of one instant: Scan before a rotation is called
// complete. Its errors are those of Scan.
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

// Scan reads every record and credential in one consistent snapshot and counts by class. A record opens if the padding is right and
// the plaintext is a JSON object, since AES-CBC authenticates nothing. What the snapshot shows as unknown is judged outside it, then
// all is read again. Its errors are faults, those of Open; after one, what was learnt is kept.
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

// Use goes on over another connection to the same database, after the first broke.
func (s *Scanner) Use(db *DB) { s.db = db }

// Looked says how many of the records that are to be judged now are, and how many these are. Any goroutine may ask.
func (s *Scanner) Looked() (done, of int) { return int(s.looked.Load()), int(s.toLook.Load()) }

// Changes counts the records that were found new or changed since the scanner was made.
func (s *Scanner) Changes() int { return s.changes }

// onAllWorkers runs work for 0…n-1 until one fails or ctx ends. A panic becomes an error: nobody else recovers it.
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
	return fault.New(fault.CodeInternal, "This is a mistake of this tool or of its build; please report it with this message.",
		"%s", "Reading the records failed: "+what+".")
}

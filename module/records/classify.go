package records

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

// class says what a record is. Every record has exactly one class.
type class uint8

const (
	unseen     class = iota // not judged yet
	current                 // opens with the current key
	previous                // opens with the previous key
	unreadable              // has a credential but opens with neither key
	orphaned                // has no credential
)

const leanMost = 4 // this many records in a row that open with the other key change which key is tried first

// digest is the start of the SHA-256 of a record's ciphertext. Two different contents have the same digest with probability 2^-48.
type digest [6]byte

func digestOf(secure []byte) digest {
	sum := sha256.Sum256(secure)
	return digest(sum[:])
}

// record is what the scanner remembers of a row of tw_secret.
type record struct {
	head
	version int64
	digest  digest
	class   class
	stale   bool // the row has changed since, or was never judged
	deleted bool // its credential is marked as deleted
	carried bool // it keeps its class from the baseline and was not opened
}

// judgeStale judges the stale records, page by page, on all workers. It holds no snapshot, because each key derivation takes about
// 13 ms.
func (s *Scanner) judgeStale(ctx context.Context) error {
	s.looked.Store(0)
	s.toLook.Store(int64(s.unseenOrStale()))
	if s.toLook.Load() == 0 {
		return nil
	}
	s.records.sort()
	for at := 0; ; {
		names, next := s.stale(at)
		if len(names) == 0 {
			return nil
		}
		found, more, err := s.fetch(ctx, names)
		if err != nil {
			return err
		}
		if err := s.classify(ctx, found); err != nil {
			return err
		}
		if err := s.pace(ctx, len(found)); err != nil {
			return err
		}
		s.looked.Add(int64(len(found)))
		if !more {
			at = next // records of this page that are still stale are gone from the database
		}
	}
}

// stale returns the names of a page of stale records, searching from index at on, and the index after them.
func (s *Scanner) stale(at int) (names []name, next int) {
	for ; at < len(s.records.rows) && len(names) < s.options.Page; at++ {
		if s.records.rows[at].stale {
			names = append(names, s.records.rows[at].name)
		}
	}
	return names, at
}

// classify judges rows on all workers. If it is interrupted, it keeps what it has found so far.
func (s *Scanner) classify(ctx context.Context, rows []row) error {
	return s.onAllWorkers(ctx, len(rows), func(i int) error {
		one, _ := s.records.find(rows[i].name)
		if one == nil {
			return nil // its ID changed its spelling meanwhile: the next pass finds it
		}
		now, err := s.judge(*one, &rows[i])
		if err == nil {
			*one = now // no two workers judge the same row
		}
		return err
	})
}

// judge returns the record with its class. If the content did not change since it was last judged, the class stays.
func (s *Scanner) judge(before record, now *row) (record, error) {
	one := before
	one.version, one.digest, one.stale = now.version, digestOf(now.secure), false
	owner := s.ownerOf(one.name)
	if owner == nil {
		one.class = orphaned
		return one, nil
	}
	if before.class != unseen && before.digest == one.digest {
		return one, nil
	}
	if was, known := s.options.Baseline.class(one.name, one.digest); known && s.tells(was) {
		if one.class, one.carried = was, true; was == current {
			one.class = s.options.Baseline.under
		}
		return one, nil
	}
	// Try the current key first: a record that was rewritten is under it.
	order := [2]class{current, previous}
	if before.class == unseen && s.lean.Load() < 0 {
		order = [2]class{previous, current}
	}
	one.carried = false
	err := s.open(&one, now.secure, s.saltOf(owner), order)
	return one, err
}

// tells reports whether an unchanged record may keep its class from the baseline without being opened.
func (s *Scanner) tells(was class) bool {
	switch s.options.Baseline.under {
	case previous:
		return was == current
	case current:
		return s.options.Carry && (was == current || was == unreadable)
	default:
		return false
	}
}

// open tries the keys in order and sets the class of r.
func (s *Scanner) open(r *record, secure, salt []byte, order [2]class) error {
	r.class = unreadable
	for _, try := range order {
		opens, err := s.opens(try, secure, salt)
		if err != nil {
			r.class, r.stale = unseen, true
			return err
		}
		if opens {
			r.class = try
			s.learn(try)
			return nil
		}
	}
	return nil
}

// opens reports whether a record opens with the key that class try stands for.
func (s *Scanner) opens(try class, secure, salt []byte) (bool, error) {
	from := s.keys.Current
	if try == previous {
		from = s.keys.Previous
		if from.IsEmpty() || from.Equal(s.keys.Current) {
			return false, nil
		}
	}
	s.derived.Add(1)
	key, err := s.deriveKey([]byte(from.Reveal()), salt)
	defer clear(key[:])
	if err != nil {
		return false, err
	}
	plain, err := sealed.OpenObject(key, secure)
	clear(plain)
	return err == nil, nil
}

// learn counts which key opened a record, so that the likelier key is tried first for the next new record.
func (s *Scanner) learn(found class) {
	step := int32(1)
	if found == previous {
		step = -1
	}
	// Two workers may overwrite each other's step, which does not matter for a guess.
	s.lean.Store(max(-leanMost, min(leanMost, s.lean.Load()+step)))
}

// unseenOrStale counts the stale records.
func (s *Scanner) unseenOrStale() int {
	left := 0
	for i := range s.records.rows {
		if s.records.rows[i].stale {
			left++
		}
	}
	return left
}

const (
	shown = 100    // maximum number of IDs in a result
	kept  = 10_000 // maximum number of unreadable records that are judged one by one; if there are more, the key is wrong or the database is lost
)

// count counts the records by class. exact goes into the result. Its error is a fault for a baseline of another database.
func (s *Scanner) count(exact bool) (proof.Records, error) {
	s.records.sort()
	s.settle()
	r := proof.Records{Database: s.db.identity, Total: len(s.records.rows), Exact: exact, UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}
	b := s.options.Baseline
	created, known, carried := 0, 0, 0
	for _, at := range s.records.index {
		one := &s.records.rows[at]
		was, before := b.find(one.name)
		if before {
			known++
		} else {
			created++
		}
		if one.deleted {
			r.Deleted++
		}
		if one.carried {
			carried++
		}
		s.tally(&r, one, was, before)
	}
	if err := b.validate(known, s.db); err != nil {
		return proof.Records{}, err
	}
	if b.taken() {
		r.Before = &proof.Before{Digest: b.Digest, TakenAt: b.TakenAt, Total: b.Total, Created: created, Removed: b.Total - known, Provisional: b.Provisional}
	}
	slices.Sort(r.UnreadableIDs)
	slices.Sort(r.NotRewritten)
	r.UnreadableIDs, r.NotRewritten = first(r.UnreadableIDs), first(r.NotRewritten)
	r.Carried = carried
	r.Notes = append(r.Notes, s.notes(r)...)
	return r, nil
}

func (s *Scanner) tally(r *proof.Records, one *record, was known, before bool) {
	b := s.options.Baseline
	switch one.class {
	case unseen:
		r.Unseen++
	case current:
		r.Current++
	case previous:
		r.Previous++
	case unreadable:
		r.Unreadable++
		if len(r.Unread) < kept {
			id := s.id(one.name)
			r.UnreadableIDs = append(r.UnreadableIDs, id)
			r.Unread = append(r.Unread, proof.Unread{ID: id, Before: before && was.class == unreadable, Changed: before && was.digest != one.digest})
		}
	case orphaned:
		r.Orphaned++
		same := before && was.digest == one.digest
		// While a rotation is reversed, an unchanged record of class previous is under the old key, which is current again.
		untouched := same && was.class == previous && b.under == previous
		if before && !same || !before && b.proves() || untouched {
			r.Rewritten++
		} else if len(r.NotRewritten) < kept {
			r.NotRewritten = append(r.NotRewritten, s.id(one.name))
		}
	}
}

// notes returns what a reader of the counts must know.
func (s *Scanner) notes(r proof.Records) []string {
	list := slices.Clone(s.db.schema.notes)
	b := s.options.Baseline
	if b.taken() && !b.proves() {
		list = append(list, fmt.Sprintf("the baseline of %s is empty, so records without a credential are not counted as rewritten", stamp(b.TakenAt)))
	}
	if strays := s.strays(); r.Orphaned > 0 && strays > 0 {
		list = append(list, fmt.Sprintf("%d records have no credential, and %d credentials have no record; perhaps they belong together in a way that is not published", r.Orphaned, strays))
	}
	if r.Unseen > 0 {
		list = append(list, fmt.Sprintf("%d records changed while they were read", r.Unseen))
	}
	return list
}

// strays counts the credentials that are not deleted and have no record.
func (s *Scanner) strays() int {
	strays := s.incomplete
	for i := range s.links.rows {
		one := &s.links.rows[i]
		if record, _ := s.records.find(one.record); record == nil && !one.deleted && one.length > 0 {
			strays++
		}
	}
	return strays
}

func first(ids []string) []string { return ids[:min(len(ids), shown)] }

package records

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

// class is what a record is; each is exactly one.
type class uint8

const (
	unseen     class = iota // not judged yet
	current                 // opens with the current key
	previous                // opens with the previous key
	unreadable              // a credential accounts for it, and it opens with neither
	orphaned                // no credential accounts for it
)

const leanMost = 4 // records in a row that open with the other key turn the guess round

// digest is the beginning of the SHA-256 of a record's ciphertext: two contents that differ look alike once in 2^48.
type digest [6]byte

func digestOf(secure []byte) digest {
	sum := sha256.Sum256(secure)
	return digest(sum[:])
}

// record is what is remembered of a row of tw_secret.
type record struct {
	head
	version int64
	digest  digest
	class   class
	stale   bool // what is remembered is not what the database has, or was never judged
	deleted bool // its credential is marked deleted
	carried bool // its class is the baseline's, and it was not opened
}

// judgeStale judges the stale records, page by page, on all workers. It holds no snapshot: a derivation costs some 13 ms.
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
			at = next // what is still stale is gone from the database
		}
	}
}

// stale gives the names of a page of stale records from a place in the list on, and the place after them.
func (s *Scanner) stale(at int) (names []name, next int) {
	for ; at < len(s.records.rows) && len(names) < s.options.Page; at++ {
		if s.records.rows[at].stale {
			names = append(names, s.records.rows[at].name)
		}
	}
	return names, at
}

// classify judges rows on all workers and remembers what it found, also when it was interrupted.
func (s *Scanner) classify(ctx context.Context, rows []row) error {
	return s.onAllWorkers(ctx, len(rows), func(i int) error {
		one, _ := s.records.find(rows[i].name)
		if one == nil {
			return nil // its id changed its form under us: the next pass meets it
		}
		now, err := s.judge(*one, &rows[i])
		if err == nil {
			*one = now // each worker has rows of its own
		}
		return err
	})
}

// judge gives a row its class. A row whose content did not change since it was last judged keeps it.
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
	// What was rewritten is under the current key.
	order := [2]class{current, previous}
	if before.class == unseen && s.lean.Load() < 0 {
		order = [2]class{previous, current}
	}
	one.carried = false
	err := s.open(&one, now.secure, s.saltOf(owner), order)
	return one, err
}

// tells says whether the baseline's class of an unchanged record counts without opening it: under the previous key, or with Carry.
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

// open tries the keys in turn.
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

// opens says whether a record is under one of the keys.
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

// learn leans towards the key that opened a record, so that the next new one is tried with it first.
func (s *Scanner) learn(found class) {
	step := int32(1)
	if found == previous {
		step = -1
	}
	// Two workers may lose a step to each other: a guess need not be exact.
	s.lean.Store(max(-leanMost, min(leanMost, s.lean.Load()+step)))
}

// unseenOrStale counts the records of which nothing is known, or not the last.
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
	shown = 100    // ids that a result lists at most
	kept  = 10_000 // unreadable records that are judged one by one; with more of them the key is wrong, or the database lost
)

// count adds up what is known of the records. Its error is a fault for a baseline of another database.
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
		r.Before = &proof.Before{Digest: b.Digest, TakenAt: b.TakenAt, Total: b.Total, Created: created, Removed: b.Total - known}
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
		// On the way back it is as it was before the rotation began: under the key that is the current one again.
		untouched := same && was.class == previous && b.under == previous
		if before && !same || !before && b.proves() || untouched {
			r.Rewritten++
		} else if len(r.NotRewritten) < kept {
			r.NotRewritten = append(r.NotRewritten, s.id(one.name))
		}
	}
}

// notes says what the numbers do not.
func (s *Scanner) notes(r proof.Records) []string {
	list := slices.Clone(s.db.schema.notes)
	b := s.options.Baseline
	if b.taken() && !b.proves() {
		list = append(list, fmt.Sprintf("the baseline of %s is empty: records that no credential accounts for are not counted as rewritten", stamp(b.TakenAt)))
	}
	if strays := s.strays(); r.Orphaned > 0 && strays > 0 {
		list = append(list, fmt.Sprintf("%d records have no credential, and %d credentials have no record: perhaps they belong together in a way that is not published", r.Orphaned, strays))
	}
	if r.Unseen > 0 {
		list = append(list, fmt.Sprintf("%d records changed while they were read", r.Unseen))
	}
	return list
}

// strays counts the credentials, not deleted, whose record is not there.
func (s *Scanner) strays() int {
	strays := s.strangers
	for i := range s.links.rows {
		one := &s.links.rows[i]
		if record, _ := s.records.find(one.record); record == nil && !one.deleted && one.length > 0 {
			strays++
		}
	}
	return strays
}

func first(ids []string) []string { return ids[:min(len(ids), shown)] }

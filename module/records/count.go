package records

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

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
		if before && was.digest != one.digest || !before && b.proves() {
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

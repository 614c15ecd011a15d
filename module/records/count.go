package records

import (
	"fmt"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

const shown = 100 // ids that a result lists at most

// tally is what the records of the last scan add up to.
type tally struct {
	rotation.Records
	created int // orphaned records that the baseline does not have
	known   int // records that the baseline has
}

// count gives the numbers of the last scan. Its error is a fault for a baseline of another database.
func (s *Scanner) count() (rotation.Records, error) {
	t := s.add()
	if err := s.options.Baseline.fits(t.known, s.db); err != nil {
		return rotation.Records{}, err
	}
	t.Notes = append(t.Notes, s.db.schema.notes...)
	if t.created > 0 {
		t.Notes = append(t.Notes, createdNote(t.created, s.options.Baseline))
	}
	if strays := s.strays(); t.Orphaned > 0 && strays > 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("%d records have no credential, and %d credentials have no record: perhaps they belong together in a way that is not published", t.Orphaned, strays))
	}
	t.UnreadableIDs, t.NotRewritten = first(t.UnreadableIDs), first(t.NotRewritten)
	return t.Records, nil
}

func (s *Scanner) add() tally {
	t := tally{Records: rotation.Records{Database: s.db.identity, Total: len(s.records), UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}}
	for id, one := range s.records {
		was, known := s.options.Baseline.has(id)
		if known {
			t.known++
		}
		if one.deleted {
			t.Deleted++
		}
		switch one.class {
		case current:
			t.Current++
		case previous:
			t.Previous++
		case unreadable:
			t.Unreadable++
			t.UnreadableIDs = append(t.UnreadableIDs, id)
		case orphaned:
			t.Orphaned++
			created := !known && s.options.Baseline != nil
			if created {
				t.created++
			}
			if (known && was != one.text()) || (created && s.options.Baseline.counts()) {
				t.Rewritten++
			} else {
				t.NotRewritten = append(t.NotRewritten, id)
			}
		}
	}
	return t
}

// strays counts the credentials, not deleted, whose record is not there.
func (s *Scanner) strays() int {
	strays := 0
	for _, one := range s.links {
		if _, ok := s.records[one.id]; !ok && !one.deleted {
			strays++
		}
	}
	return strays
}

func first(ids []string) []string {
	slices.Sort(ids)
	return ids[:min(len(ids), shown)]
}

package records

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

const shown = 100 // ids that a result lists at most

// count gives the numbers of the last scan.
func (s *Scanner) count() rotation.Records {
	counts := rotation.Records{
		Database: s.db.identity, Total: len(s.records), UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: append([]string{}, s.db.notes...),
	}
	created := 0
	for id, one := range s.records {
		if one.deleted {
			counts.Deleted++
		}
		switch one.class {
		case current:
			counts.Current++
		case previous:
			counts.Previous++
		case unreadable:
			counts.Unreadable++
			counts.UnreadableIDs = append(counts.UnreadableIDs, id)
		case orphaned:
			counts.Orphaned++
			rewritten, isNew := s.rewritten(id, one)
			if isNew {
				created++
			}
			if rewritten {
				counts.Rewritten++
			} else {
				counts.NotRewritten = append(counts.NotRewritten, id)
			}
		}
	}
	if created > 0 {
		counts.Notes = append(counts.Notes, strconv.Itoa(created)+" records that no credential accounts for are not in the baseline: created since, by a Platform that writes with the new key, and counted as rewritten")
	}
	counts.UnreadableIDs = first(counts.UnreadableIDs)
	counts.NotRewritten = first(counts.NotRewritten)
	return counts
}

func first(ids []string) []string {
	slices.Sort(ids)
	return ids[:min(len(ids), shown)]
}

// rewritten says whether a record that nobody can open differs from what it was before the rotation. A record that the
// baseline does not have was created since.
func (s *Scanner) rewritten(id string, one record) (rewritten, created bool) {
	if s.options.Baseline == nil {
		return false, false
	}
	before, known := s.options.Baseline.Records[id]
	return !known || before != one.text(), !known
}

// text is a record in a baseline: its version and the first 12 bytes of the SHA-256 of its ciphertext.
func (r record) text() string {
	return strconv.FormatInt(r.version, 10) + ":" + hex.EncodeToString(r.digest[:])
}

// Baseline is what a scan saw before a rotation. It holds neither key nor plaintext.
type Baseline struct {
	Format     int               `json:"format"`
	Database   string            `json:"database"`
	TakenAt    time.Time         `json:"taken_at"`
	Total      int               `json:"total"`
	Current    int               `json:"current"`
	Previous   int               `json:"previous"`
	Unreadable int               `json:"unreadable"`
	Orphaned   int               `json:"orphaned"`
	Records    map[string]string `json:"records"` // tw_secret.id → version:digest
}

// Baseline keeps the last scan for comparison.
func (s *Scanner) Baseline(takenAt time.Time) Baseline {
	counts := s.count()
	baseline := Baseline{
		Format: 1, Database: counts.Database, TakenAt: takenAt.UTC().Truncate(time.Second), Total: counts.Total, Current: counts.Current,
		Previous: counts.Previous, Unreadable: counts.Unreadable, Orphaned: counts.Orphaned, Records: make(map[string]string, counts.Total),
	}
	for id, one := range s.records {
		baseline.Records[id] = one.text()
	}
	return baseline
}

// ParseBaseline reads what a playbook handed on; nil stays nil.
func ParseBaseline(document map[string]any) (*Baseline, error) {
	if document == nil {
		return nil, nil //nolint:nilnil // no baseline is a valid choice: orphaned records then cannot be proved
	}
	var baseline Baseline
	text, err := json.Marshal(map[string]any{"format": document["format"], "records": document["records"]})
	if err != nil || json.Unmarshal(text, &baseline) != nil || baseline.Format != 1 || baseline.Records == nil {
		return nil, &rotation.Fault{
			Code: rotation.CodeInvalidOptions, What: "The option baseline is not what seqera_crypto_rotation_info returned.",
			State: "Nothing was written.", Next: "Hand on the value that it returned as baseline, unchanged.",
		}
	}
	return &baseline, nil
}

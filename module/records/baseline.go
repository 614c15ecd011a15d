package records

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

const (
	baselineFormat = 1
	baselineHex    = 12 // digits: two contents that differ look alike once in 2^48
)

// Baseline is what a scan saw before a rotation: which content each record had. It holds neither key nor plaintext.
//
// It proves of a record that no credential accounts for that it was rewritten since. That the rewriting was cron's, with
// the new key, holds only if nobody wrote with the old key after the baseline was taken: take it while no backend runs.
type Baseline struct {
	Format     int               `json:"format"`
	Database   string            `json:"database"` // host:port/name
	TakenAt    time.Time         `json:"taken_at"`
	Total      int               `json:"total"`
	Current    int               `json:"current"`
	Previous   int               `json:"previous"`
	Unreadable int               `json:"unreadable"`
	Orphaned   int               `json:"orphaned"`
	Records    map[string]string `json:"records"` // tw_secret.id → version, colon, first 12 hex digits of SHA-256(secure)
}

// Baseline keeps the last scan, which must have succeeded, for comparison.
func (s *Scanner) Baseline(takenAt time.Time) Baseline {
	t := s.add()
	baseline := Baseline{
		Format: baselineFormat, Database: t.Database, TakenAt: takenAt.UTC().Truncate(time.Second), Total: t.Total, Current: t.Current,
		Previous: t.Previous, Unreadable: t.Unreadable, Orphaned: t.Orphaned, Records: make(map[string]string, t.Total),
	}
	for id, one := range s.records {
		baseline.Records[id] = one.text()
	}
	return baseline
}

// text is a record in a baseline.
func (r record) text() string {
	return strconv.FormatInt(r.version, 10) + ":" + hex.EncodeToString(r.digest[:])[:baselineHex]
}

// ParseBaseline reads what a playbook handed on, numbers also as strings; nil stays nil. Its error is a fault.
func ParseBaseline(document map[string]any) (*Baseline, error) {
	if document == nil {
		return nil, nil //nolint:nilnil // no baseline is a valid choice: orphaned records then cannot be proved
	}
	invalid := func(why string) error {
		return &rotation.Fault{
			Code: rotation.CodeInvalidOptions, What: "The option baseline is not what seqera_crypto_rotation_info returned: " + why + ".",
			State: nothingWritten, Next: "Hand on the value that it returned as baseline, unchanged.",
		}
	}
	b := &Baseline{}
	for name, field := range map[string]*int{"format": &b.Format, "total": &b.Total, "current": &b.Current, "previous": &b.Previous, "unreadable": &b.Unreadable, "orphaned": &b.Orphaned} {
		value, ok := number(document[name])
		if !ok {
			return nil, invalid(name + " is not a number")
		}
		*field = value
	}
	if b.Format != baselineFormat {
		return nil, invalid(fmt.Sprintf("it has format %d, and this version reads format %d", b.Format, baselineFormat))
	}
	if b.Database, _ = document["database"].(string); b.Database == "" {
		return nil, invalid("it does not name the database")
	}
	taken, _ := document["taken_at"].(string)
	var err error
	if b.TakenAt, err = time.Parse(time.RFC3339, taken); err != nil {
		return nil, invalid("taken_at is not a time")
	}
	contents, ok := document["records"].(map[string]any)
	if !ok || len(contents) != b.Total {
		return nil, invalid("its records are not as many as its total says")
	}
	form := regexp.MustCompile(`^-?[0-9]+:[0-9a-f]{12}$`)
	b.Records = make(map[string]string, len(contents))
	for id, content := range contents {
		text, ok := content.(string)
		if !ok || !form.MatchString(text) {
			return nil, invalid("a record in it is not version:digest")
		}
		b.Records[id] = text
	}
	return b, nil
}

func number(value any) (int, bool) {
	switch v := value.(type) {
	case int:
		return v, true
	case float64:
		return int(v), float64(int(v)) == v
	case json.Number:
		n, err := strconv.Atoi(v.String())
		return n, err == nil
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		return n, err == nil
	}
	return 0, false
}

func (b *Baseline) has(id string) (string, bool) {
	if b == nil {
		return "", false
	}
	content, ok := b.Records[id]
	return content, ok
}

// counts says whether records that the baseline does not have count as rewritten: they were created since, by a Platform
// that runs with the new key. An empty baseline proves nothing of the kind.
func (b *Baseline) counts() bool { return len(b.Records) > 0 }

func createdNote(created int, b *Baseline) string {
	text := fmt.Sprintf("%d records that no credential accounts for are not in the baseline of %s: ", created, b.TakenAt.UTC().Format(time.RFC3339))
	if !b.counts() {
		return text + "it is empty, so that they are not counted as rewritten"
	}
	return text + "created since, by a Platform that writes with the new key, and counted as rewritten"
}

// fits refuses a baseline that is of another database: none of its records is here, or the schema has another name. The
// address may differ: a container gets a new one at each start.
func (b *Baseline) fits(known int, db *DB) error {
	if b == nil {
		return nil
	}
	var why string
	switch {
	case !strings.HasSuffix(b.Database, "/"+db.name):
		why = fmt.Sprintf("it is of %s", b.Database)
	case len(b.Records) > 0 && known == 0:
		why = fmt.Sprintf("of its %d records none is there", len(b.Records))
	default:
		return nil
	}
	return &rotation.Fault{
		Code: rotation.CodeInvalidOptions, What: fmt.Sprintf("The option baseline is not of the database %s: %s.", db.identity, why),
		State: nothingWritten, Next: "Hand on the baseline that seqera_crypto_rotation_info took of this Platform before this rotation.",
	}
}

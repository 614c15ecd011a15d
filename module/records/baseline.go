package records

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const (
	baselineFormat = 1
	whoBytes       = 8
	// Inline is the number of records up to which a baseline carries them in itself.
	Inline = 500
)

// Baseline is what a scan saw before a rotation: which content each record had, and which opened. It holds neither key nor
// plaintext. It is bound to what it says by an HMAC under the key that was in use (proof.Fingerprinter.MACKey).
//
// It proves of a record that no credential accounts for that it was rewritten since. That the rewriting was cron's, with
// the new key, holds only if nobody wrote with the old key after the baseline was taken: take it while no backend runs.
//
// Its text, of which Digest is the SHA-256: a line with the fields before Path as a JSON object, then a line a record, in the
// order of the bytes that the ids stand for: id, version, first 12 hex digits of SHA-256(secure), class (c: opens with the key
// in use, p: with the previous one, u: with neither, o: no credential accounts for it), what its credential is known by. A record of
// no credential that is as it was before the rotation that runs is p as well.
type Baseline struct {
	Format     int                `json:"format"`
	App        string             `json:"app_name"`
	Database   string             `json:"database"` // host:port/name
	TakenAt    time.Time          `json:"taken_at"`
	Key        secret.Fingerprint `json:"key"` // that was in use
	Total      int                `json:"total"`
	Current    int                `json:"current"`
	Previous   int                `json:"previous"`
	Unreadable int                `json:"unreadable"`
	Orphaned   int                `json:"orphaned"`

	Path    string   `json:"path,omitempty"` // on the VM
	Digest  string   `json:"digest,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	Records []string `json:"records,omitempty"` // the lines, where they are at most Inline

	rows  []known
	links []link
	under class // what the records that opened then are under now: current, previous, or unseen where that is not known
}

// known is a record of the baseline.
type known struct {
	name   name
	digest digest
	class  class
}

// Baseline makes one of the last scan, which must have succeeded. Its text goes to w as well.
func (s *Scanner) Baseline(app string, prints proof.Fingerprinter, takenAt time.Time, w io.Writer) (*Baseline, error) {
	counted, err := s.count(false)
	if err != nil {
		return nil, err
	}
	b := &Baseline{
		Format: baselineFormat, App: app, Database: counted.Database, TakenAt: takenAt.UTC().Truncate(time.Second), Key: prints.Of(s.keys.Current), Total: counted.Total,
		Current: counted.Current, Previous: counted.Previous, Unreadable: counted.Unreadable, Orphaned: counted.Orphaned,
	}
	sum := sha256.New()
	both := io.MultiWriter(sum, w)
	if _, err := both.Write(b.header()); err != nil {
		return nil, err
	}
	line := make([]byte, 0, 128)
	for _, at := range s.records.index {
		line = s.line(line[:0], &s.records.rows[at])
		if b.Total <= Inline {
			b.Records = append(b.Records, string(line))
		}
		line = append(line, '\n')
		if _, err := both.Write(line); err != nil {
			return nil, err
		}
	}
	b.Digest = hex.EncodeToString(sum.Sum(nil))
	b.MAC = b.mac(prints, s.keys.Current)
	return b, nil
}

func (b *Baseline) header() []byte {
	only := *b
	only.Path, only.Digest, only.MAC, only.Records = "", "", "", nil
	text, err := json.Marshal(only)
	if err != nil {
		return nil // integers, strings and a time of this century always encode
	}
	return append(text, '\n')
}

func (b *Baseline) mac(prints proof.Fingerprinter, key secret.Secret) string {
	mac := hmac.New(sha256.New, prints.MACKey(key, b.App))
	_, _ = mac.Write([]byte("baseline/" + b.Digest))
	return hex.EncodeToString(mac.Sum(nil))
}

// letter is a class in a baseline.
func (c class) letter() byte { return "-cpuo"[c] }

func (s *Scanner) line(line []byte, one *record) []byte {
	line = append(line, s.id(one.name)...)
	line = append(line, ' ')
	line = strconv.AppendInt(line, one.version, 10)
	line = append(line, ' ')
	line = hex.AppendEncode(line, one.digest[:])
	is := one.class
	if was, same := s.options.Baseline.class(one.name, one.digest); is == orphaned && same && was == orphaned && s.options.Baseline.under == previous {
		is = previous
	}
	line = append(line, ' ', is.letter(), ' ')
	if owner := s.ownerOf(one.name); owner != nil {
		return base64.RawStdEncoding.AppendEncode(line, owner.name[:whoBytes])
	}
	return append(line, '-')
}

// read takes in a record's line. The id comes first and may hold spaces.
func (b *Baseline) read(line []byte) bool {
	fields := make([][]byte, 0, 4)
	for range 4 {
		at := bytes.LastIndexByte(line, ' ')
		if at < 0 {
			return false
		}
		fields, line = append(fields, line[at+1:]), line[:at]
	}
	who, letter, content := fields[0], fields[1], fields[2]
	one := known{}
	one.name, _ = nameOf(line)
	if len(content) != 2*len(one.digest) || len(letter) != 1 {
		return false
	}
	if _, err := hex.Decode(one.digest[:], content); err != nil {
		return false
	}
	at := strings.IndexByte("-cpuo", letter[0])
	if at < 0 {
		return false
	}
	one.class = class(at) //nolint:gosec // at most 4
	b.rows = append(b.rows, one)
	if len(who) > 1 {
		owner := link{record: one.name}
		decoded, err := base64.RawStdEncoding.AppendDecode(nil, who)
		if err != nil || len(decoded) != whoBytes {
			return false
		}
		copy(owner.name[:], decoded)
		b.links = append(b.links, owner)
	}
	return true
}

// find gives what the baseline has of a record.
func (b *Baseline) find(n name) (known, bool) {
	at, ok := slices.BinarySearchFunc(b.rows, n, func(one known, n name) int { return bytes.Compare(one.name[:], n[:]) })
	if !ok {
		return known{}, false
	}
	return b.rows[at], true
}

// class gives the baseline's class of a record whose content is unchanged.
func (b *Baseline) class(n name, now digest) (class, bool) {
	was, ok := b.find(n)
	return was.class, ok && was.digest == now
}

// taken says whether there is a baseline at all.
func (b *Baseline) taken() bool { return b.Digest != "" }

// proves says whether records that the baseline lacks count as rewritten: created since, with the new key.
func (b *Baseline) proves() bool { return len(b.rows) > 0 }

// validate refuses a baseline of another database. The address may differ: a container gets a new one at each start.
func (b *Baseline) validate(known int, db *DB) error {
	if !b.taken() {
		return nil
	}
	switch {
	case !strings.HasSuffix(b.Database, "/"+db.name):
		return fault.New(fault.CodeInvalidOptions, "Pass the baseline that seqera_crypto_rotation_info took of this Platform before this rotation.",
			"The option baseline is not of the database %s: it is of %s.", db.identity, b.Database)
	case len(b.rows) > 0 && known == 0:
		return proof.RecordsMissing(fmt.Sprintf("The database %s has none of the %d records that the baseline of %s has.", db.identity, len(b.rows), stamp(b.TakenAt)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

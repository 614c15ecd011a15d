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
	// Inline is the maximum number of records in a baseline that includes its lines (Baseline.Records).
	Inline = 500
)

// Baseline is what a scan saw before a rotation: a hash of the content of each record, and whether the record opened. It contains no
// key and no plaintext. Its MAC is an HMAC with the key that was in use (proof.Fingerprinter.MACKey), so that a change is noticed.
//
// For a record without a credential, the baseline proves that it was rewritten since. It does not prove that cron rewrote it with the
// new key, unless nobody wrote with the old key after the baseline was taken. So take the baseline while no backend runs.
//
// Digest is the SHA-256 of its text. The first line of the text is a JSON object with the fields before Path. Then there is one line
// per record, sorted by the bytes that the ID encodes: ID, version, first 12 hex digits of SHA-256(secure), class (c: opens with the
// key in use, p: opens with the previous key, u: opens with neither, o: has no credential), and the short name of its credential (see
// whoIs), or "-". A record without a credential that is unchanged since before the running rotation has class p as well.
type Baseline struct {
	Format     int                `json:"format"`
	App        string             `json:"app_name"`
	Database   string             `json:"database"` // host:port/name
	TakenAt    time.Time          `json:"taken_at"`
	Key        secret.Fingerprint `json:"key"` // the key that was in use
	Total      int                `json:"total"`
	Current    int                `json:"current"`
	Previous   int                `json:"previous"`
	Unreadable int                `json:"unreadable"`
	Orphaned   int                `json:"orphaned"`
	// Provisional: a backend was still writing with this key. It proves no record rewritten.
	Provisional bool `json:"provisional,omitempty"`

	Path    string   `json:"path,omitempty"` // the file on the VM
	Digest  string   `json:"digest,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	Records []string `json:"records,omitempty"` // the lines, if there are at most Inline

	rows  []known
	links []link
	under class // whether Key is now the current or the previous key; unseen if that is not known
}

// known is a record in the baseline.
type known struct {
	name   name
	digest digest
	class  class
}

// Taking says of which installation a baseline is, when it was taken, and whether it is provisional.
type Taking struct {
	App         string
	At          time.Time
	Provisional bool
}

// Baseline returns a baseline of the last scan, which must have succeeded, and writes its text to w.
func (s *Scanner) Baseline(of Taking, prints proof.Fingerprinter, w io.Writer) (*Baseline, error) {
	counted, err := s.count(false)
	if err != nil {
		return nil, err
	}
	b := &Baseline{
		Format: baselineFormat, App: of.App, Database: counted.Database, TakenAt: of.At.UTC().Truncate(time.Second), Key: prints.Of(s.keys.Current), Total: counted.Total,
		Current: counted.Current, Previous: counted.Previous, Unreadable: counted.Unreadable, Orphaned: counted.Orphaned, Provisional: of.Provisional,
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
		return nil // unreachable: integers, strings and times of this century always encode
	}
	return append(text, '\n')
}

func (b *Baseline) mac(prints proof.Fingerprinter, key secret.Secret) string {
	mac := hmac.New(sha256.New, prints.MACKey(key, b.App))
	_, _ = mac.Write([]byte("baseline/" + b.Digest))
	return hex.EncodeToString(mac.Sum(nil))
}

// letter returns the letter for a class in a baseline.
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

// read parses the line of a record and reports whether it is valid. The ID comes first and may contain spaces.
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

// find returns a record in the baseline.
func (b *Baseline) find(n name) (known, bool) {
	at, ok := slices.BinarySearchFunc(b.rows, n, func(one known, n name) int { return bytes.Compare(one.name[:], n[:]) })
	if !ok {
		return known{}, false
	}
	return b.rows[at], true
}

// class returns the class of a record in the baseline. ok is false if the record is not there or its content has changed.
func (b *Baseline) class(n name, now digest) (class, bool) {
	was, ok := b.find(n)
	return was.class, ok && was.digest == now
}

// taken reports whether there is a baseline.
func (b *Baseline) taken() bool { return b.Digest != "" }

// proves reports whether records that are not in the baseline count as rewritten, because they were created since with the new key.
func (b *Baseline) proves() bool { return len(b.rows) > 0 }

// validate returns a fault for a baseline of another database. known is the number of its records that the database has. The address
// may differ, because a container gets a new address at each start.
func (b *Baseline) validate(known int, db *DB) error {
	if !b.taken() {
		return nil
	}
	switch {
	case !strings.HasSuffix(b.Database, "/"+db.name):
		return fault.New(fault.CodeInvalidOptions, "Pass the baseline that seqera_crypto_rotation_info took of this Platform before this rotation.",
			"The option baseline does not belong to the database %s: it belongs to %s.", db.identity, b.Database)
	case len(b.rows) > 0 && known == 0:
		return proof.RecordsMissing(fmt.Sprintf("The database %s has none of the %d records in the baseline of %s.", db.identity, len(b.rows), stamp(b.TakenAt)))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

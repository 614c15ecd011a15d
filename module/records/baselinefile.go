package records

import (
	"bufio"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const lastLine = "mac " // start of the last line in a baseline's file; the MAC in hexadecimal follows

// WriteBaseline returns a baseline of the last scan and writes it to a gzip file (mode 0600), which atomically replaces an earlier
// one. If the file cannot be written, unkept is the reason, and the returned baseline is still valid.
func (s *Scanner) WriteBaseline(of Taking, prints proof.Fingerprinter, path string) (b *Baseline, unkept error, err error) {
	file, unkept := createTemp(path)
	if unkept != nil {
		b, err = s.Baseline(of, prints, io.Discard)
		return b, unkept, err
	}
	defer func() { _ = os.Remove(file.Name()); _ = file.Close() }()
	packed := gzip.NewWriter(file)
	lines := &tolerant{to: packed}
	if b, err = s.Baseline(of, prints, lines); err != nil {
		return nil, nil, err
	}
	_, _ = fmt.Fprintf(lines, "%s%s\n", lastLine, b.MAC)
	for _, next := range []func() error{func() error { return lines.failed }, packed.Close, file.Sync, func() error { return os.Rename(file.Name(), path) }} {
		if unkept := next(); unkept != nil {
			return b, unkept, nil
		}
	}
	b.Path = path
	return b, nil, nil
}

// tolerant remembers the first error instead of returning it: the baseline is valid even if its file cannot be written.
type tolerant struct {
	to     io.Writer
	failed error
}

func (p *tolerant) Write(text []byte) (int, error) {
	if p.failed == nil {
		_, p.failed = p.to.Write(text)
	}
	return len(text), nil
}

func createTemp(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.CreateTemp(filepath.Dir(path), ".baseline-*") // mode 0600
}

// withoutBaseline says what a lost baseline means.
const withoutBaseline = " Without it, records that nobody can open cannot be proved rewritten, and it is not known which records were already unreadable. All other records can still be proved."

// LoadBaseline reads the option baseline, in any form that this tool returns. lost is a sentence that says why the baseline cannot be
// used. If the option is not a baseline at all, the error is a fault.
func LoadBaseline(document map[string]any, app string, keys Keys, prints proof.Fingerprinter) (b *Baseline, lost string, err error) {
	if len(document) == 0 {
		return nil, "", nil
	}
	given, err := parse(document)
	if err != nil {
		return nil, "", err
	}
	b, lost = given.verify(keys, prints)
	switch {
	case lost != "":
		return nil, lost + withoutBaseline, nil
	case b.App != app:
		return nil, fmt.Sprintf("The baseline of %s belongs to another installation: %q, not %q.", stamp(b.TakenAt), b.App, app) + withoutBaseline, nil
	}
	return b, "", nil
}

// verify loads the records, from the file if necessary, and checks that the baseline was not changed. The string says why it cannot be
// used.
func (b *Baseline) verify(keys Keys, prints proof.Fingerprinter) (*Baseline, string) {
	whole, where := b, "The baseline"
	if b.bare() {
		return nil, fmt.Sprintf("The records of the baseline of %s are lost: only its digest (%.16s) and the number of its records (%d) were passed, without a file.", stamp(b.TakenAt), b.Digest, b.Total)
	}
	if len(b.Records) == 0 && (b.Total > 0 || b.Format == 0) {
		where += " " + b.Path
		file, err := load(b.Path)
		if err != nil {
			return nil, fmt.Sprintf("%s cannot be read: %s.", where, fault.Reason(err))
		}
		whole, whole.Path = file, b.Path
	} else if !b.unpack() {
		return nil, where + " was changed after it was taken: its records are malformed."
	}
	if b.Digest != "" && b.Digest != whole.Digest {
		return nil, fmt.Sprintf("%s is not the one that the ledger names: its digest is %.16s, not %.16s. A run that was interrupted wrote it, or it was changed.", where, whole.Digest, b.Digest)
	}
	for i, key := range []secret.Secret{keys.Current, keys.Previous} {
		if whole.Key != prints.Of(key) {
			continue
		}
		if !hmac.Equal([]byte(whole.mac(prints, key)), []byte(whole.MAC)) {
			return nil, where + " was changed after it was taken: its mac does not match."
		}
		whole.under = []class{current, previous}[i]
		return whole, ""
	}
	return nil, fmt.Sprintf("%s was taken under key %s, which is neither the current nor the previous key.", where, whole.Key)
}

// unpack parses the records that are included in a baseline and checks their digest. It reports whether they are valid.
func (b *Baseline) unpack() bool {
	sum := sha256.New()
	_, _ = sum.Write(b.header())
	for _, line := range b.Records {
		_, _ = io.WriteString(sum, line+"\n")
		if !b.read([]byte(line)) {
			return false
		}
	}
	now := hex.EncodeToString(sum.Sum(nil))
	if b.Digest == "" {
		b.Digest = now
	}
	return b.sound() && b.Digest == now
}

// sound reports whether the number of records matches the header, and the records are sorted.
func (b *Baseline) sound() bool {
	return len(b.rows) == b.Total && slices.IsSortedFunc(b.rows, func(x, y known) int { return strings.Compare(string(x.name[:]), string(y.name[:])) })
}

// load reads a file that WriteBaseline wrote, line by line.
func load(path string) (*Baseline, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's own
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, errors.New("it is not a baseline")
	}
	lines := bufio.NewScanner(unpacked)
	sum := sha256.New()
	b := &Baseline{}
	for number := 0; lines.Scan(); number++ {
		line := lines.Bytes()
		switch {
		case b.MAC != "":
			return nil, errors.New("there is text after its end")
		case number > 0 && strings.HasPrefix(string(line[:min(len(line), len(lastLine))]), lastLine) && strings.Count(string(line), " ") == 1:
			b.MAC = string(line[len(lastLine):])
			continue
		case number == 0 && (json.Unmarshal(line, b) != nil || b.Format != baselineFormat || b.MAC != ""):
			return nil, errors.New("it is not a baseline of this format")
		case number > 0 && !b.read(line):
			return nil, fmt.Errorf("line %d is malformed", number+1)
		}
		_, _ = sum.Write(append(line, '\n'))
	}
	if err := lines.Err(); err != nil {
		return nil, errors.New("it is damaged")
	}
	b.Digest = hex.EncodeToString(sum.Sum(nil))
	if b.MAC == "" || !b.sound() {
		return nil, errors.New("it is not complete")
	}
	return b, nil
}

// bare reports whether the baseline has neither records nor a file. The ledger keeps only that much of a baseline that was passed with
// its records.
func (b *Baseline) bare() bool {
	return len(b.Records) == 0 && b.Path == "" && (b.Total > 0 || b.Format == 0)
}

// parse parses the option baseline. If the records are in a file, only its path is required.
func parse(document map[string]any) (*Baseline, error) {
	invalid := func(why string) error {
		return fault.New(fault.CodeInvalidOptions, "Pass the value that it returned as baseline, unchanged, or the path of the file that it wrote.",
			"%s", "The option baseline is not what seqera_crypto_rotation_info returned: "+why+".")
	}
	b, taken := &Baseline{}, ""
	for name, field := range map[string]*string{"app_name": &b.App, "database": &b.Database, "path": &b.Path, "digest": &b.Digest, "mac": &b.MAC, "key": (*string)(&b.Key), "taken_at": &taken} {
		*field, _ = document[name].(string)
	}
	b.TakenAt, _ = time.Parse(time.RFC3339, taken)
	b.Provisional = strings.EqualFold(fmt.Sprint(document["provisional"]), "true") // a template may have turned it into a string
	lines, isList := document["records"].([]any)
	inline := len(lines) > 0 || !isList && document["records"] != nil
	notNumber := b.numbers(document, inline)
	_, told := document["taken_at"]
	switch {
	case !inline && b.Path != "":
		return &Baseline{Path: b.Path, Digest: b.Digest, Total: b.Total, TakenAt: b.TakenAt, Provisional: b.Provisional}, nil
	case notNumber != "":
		return nil, invalid(notNumber + " is not a number")
	case told && b.TakenAt.IsZero():
		return nil, invalid("taken_at is not a time")
	case !inline && b.bare() && b.Digest == "":
		return nil, invalid("it has neither records nor a path nor a digest")
	case !inline && b.bare():
		return b, nil
	case b.Format != baselineFormat:
		return nil, invalid(fmt.Sprintf("it has format %d, and this version reads format %d", b.Format, baselineFormat))
	case !told:
		return nil, invalid("taken_at is not a time")
	case inline && !isList:
		return nil, invalid("its records are not a list")
	}
	for _, line := range lines {
		text, ok := line.(string)
		if !ok {
			return nil, invalid("one of its records is not a string")
		}
		b.Records = append(b.Records, text)
	}
	return b, nil
}

// numbers parses the counts, which a template may have turned into strings. It returns the name of a count that is not a number. If
// all is true, no count may be missing.
func (b *Baseline) numbers(document map[string]any, all bool) (wrong string) {
	for name, field := range map[string]*int{"format": &b.Format, "total": &b.Total, "current": &b.Current, "previous": &b.Previous, "unreadable": &b.Unreadable, "orphaned": &b.Orphaned} {
		value, given := document[name]
		number, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(value)))
		if err != nil && (given || all) {
			wrong = name
		}
		*field = number
	}
	return wrong
}

// Named returns what the ledger keeps of the option baseline, or nil if the option has no digest. Its error is a fault.
func Named(document map[string]any) (*custody.Baseline, error) {
	if len(document) == 0 {
		return nil, nil //nolint:nilnil // no baseline is a valid choice
	}
	b, err := parse(document)
	if err != nil || b.Digest == "" {
		return nil, err // only a path: the VM reads the file
	}
	return &custody.Baseline{Path: b.Path, Digest: b.Digest, Total: b.Total, TakenAt: b.TakenAt, Provisional: b.Provisional}, nil
}

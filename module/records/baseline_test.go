package records

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 123, time.UTC) }

// quick is a fingerprint that costs nothing.
type quick struct{}

func (quick) Of(key secret.Secret) secret.Fingerprint {
	return secret.Fingerprint(fmt.Sprintf("%.3s", key.Reveal()))
}

func (quick) MACKey(key secret.Secret, app string) []byte { return []byte(app + key.Reveal()) }

// was is a record in the memory of a scanner.
type was struct {
	class   class
	version int64
	secure  string
}

// remembered is a scanner that has scanned already: records by id.
func remembered(keys Keys, baseline *Baseline, records map[string]was) *Scanner {
	s := NewScanner(&DB{identity: "db:3306/tower", name: "tower"}, keys, Options{Baseline: baseline})
	s.records.begin()
	for id, one := range records {
		r := s.upsert([]byte(id))
		r.class, r.version, r.digest, r.stale = one.class, one.version, digestOf([]byte(one.secure)), false
		if one.class != orphaned {
			owner := s.links.add(whoIs([]byte(id), 1, []byte("salt")))
			owner.record, owner.length = r.name, 4
		}
	}
	s.records.sort()
	s.unsettled = true
	return s
}

// before is the baseline of records under the old key.
func before(t *testing.T, records map[string]was) *Baseline {
	t.Helper()
	b, err := remembered(Keys{Current: keys().Previous}, nil, records).Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	return b
}

func handedOn(t *testing.T, b *Baseline) map[string]any {
	t.Helper()
	text, err := json.Marshal(b)
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	return document
}

func recalled(t *testing.T, document map[string]any) *Baseline {
	t.Helper()
	return loaded(t, document, keys())
}

func loaded(t *testing.T, document map[string]any, keys Keys) *Baseline {
	t.Helper()
	b, lost, err := LoadBaseline(document, "app", keys, quick{})
	require.NoError(t, err)
	require.Empty(t, lost)
	return b
}

func TestWhatChangedSinceTheBaselineIsAccountedFor(t *testing.T) {
	then := map[string]was{
		"a": {orphaned, 0, "1"}, "b": {orphaned, 3, "1"}, "c": {orphaned, 0, "1"}, "lost": {unreadable, 0, "1"}, "mended": {unreadable, 0, "1"}, "mine": {current, 0, "1"}, "gone": {current, 0, "1"},
	}
	b := recalled(t, handedOn(t, before(t, then)))
	got, err := remembered(keys(), b, map[string]was{
		"a": {orphaned, 0, "1"}, "b": {orphaned, 3, "2"}, "c": {orphaned, 1, "1"}, "new": {orphaned, 0, "1"}, "also new": {current, 0, "1"},
		"lost": {unreadable, 0, "1"}, "mended": {current, 1, "2"}, "mine": {unreadable, 0, "2"},
	}).count(true)
	require.NoError(t, err)
	assert.Equal(t, []int{8, 2, 0, 2, 4, 2}, []int{got.Total, got.Current, got.Previous, got.Unreadable, got.Orphaned, got.Rewritten})
	assert.Equal(t, []string{"a", "c"}, got.NotRewritten, "another version of the same content is not rewritten")
	assert.Equal(t, &proof.Before{Digest: b.Digest, TakenAt: b.TakenAt, Total: 7, Created: 2, Removed: 1}, got.Before)
	assert.Equal(t, got.Total, got.Before.Total+got.Before.Created-got.Before.Removed)
	assert.ElementsMatch(t, []proof.Unread{{ID: "lost", Before: true}, {ID: "mine", Changed: true}}, got.Unread)
	assert.Equal(t, []string{"lost", "mine"}, got.UnreadableIDs)
}

func TestOnTheWayBackARecordOfNobodyCountsThatNeverLeft(t *testing.T) {
	old, next := Keys{Current: keys().Previous}, Keys{Current: keys().Current, Previous: keys().Previous}
	began, err := remembered(old, nil, map[string]was{"left": {orphaned, 0, "1"}, "never left": {orphaned, 0, "1"}, "mine": {current, 0, "1"}}).Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	halfWay := map[string]was{"left": {orphaned, 1, "2"}, "never left": {orphaned, 0, "1"}, "mine": {current, 1, "2"}, "new": {orphaned, 0, "1"}}
	turn, err := remembered(next, recalled(t, handedOn(t, began)), halfWay).Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	back := Keys{Current: keys().Previous, Previous: keys().Current}
	b := loaded(t, handedOn(t, turn), back)
	for _, test := range []struct {
		name string
		now  map[string]was
		left []string
	}{
		{"nothing is back yet", halfWay, []string{"left", "new"}},
		{"all is back", map[string]was{"left": {orphaned, 2, "3"}, "never left": {orphaned, 0, "1"}, "mine": {current, 2, "3"}, "new": {orphaned, 1, "2"}}, []string{}},
	} {
		got, err := remembered(back, b, test.now).count(true)
		require.NoError(t, err)
		assert.Equal(t, test.left, got.NotRewritten, test.name)
		assert.Equal(t, 3-len(test.left), got.Rewritten, test.name)
	}
	forth, err := remembered(next, loaded(t, handedOn(t, turn), next), halfWay).count(true)
	require.NoError(t, err)
	assert.Contains(t, forth.NotRewritten, "never left", "of the way there it proves nothing")
}

func TestWithoutABaselineNothingOfNobodyIsRewritten(t *testing.T) {
	got, err := remembered(keys(), nil, map[string]was{"a": {orphaned, 7, "1"}}).count(true)
	require.NoError(t, err)
	assert.Zero(t, got.Rewritten)
	assert.Equal(t, []string{"a"}, got.NotRewritten)
	assert.Nil(t, got.Before)
	assert.Empty(t, got.Notes)
}

func TestAnEmptyBaselineProvesNothing(t *testing.T) {
	got, err := remembered(keys(), recalled(t, handedOn(t, before(t, nil))), map[string]was{"a": {orphaned, 0, "1"}}).count(true)
	require.NoError(t, err)
	assert.Zero(t, got.Rewritten)
	assert.Equal(t, []string{"a"}, got.NotRewritten)
	assert.Contains(t, got.Notes[0], "is empty")
}

func TestABaselineOfAnotherDatabaseIsRefused(t *testing.T) {
	there := map[string]was{"a": {orphaned, 0, "1"}}
	for name, test := range map[string]struct {
		change func(*Baseline)
		code   fault.Code
		says   string
	}{
		"another schema":           {func(b *Baseline) { b.Database = "db:3306/other" }, fault.CodeInvalidOptions, "does not belong to the database db:3306/tower"},
		"not one record in common": {func(b *Baseline) { b.rows[0].name[0]++ }, fault.CodeRecordsMissing, "The database db:3306/tower has none of the 1 records"},
	} {
		t.Run(name, func(t *testing.T) {
			b := recalled(t, handedOn(t, before(t, there)))
			test.change(b)
			_, err := remembered(keys(), b, there).count(true)
			assert.Equal(t, test.code, faultOf(t, err).Code)
			assert.ErrorContains(t, err, test.says)
		})
	}
	b := recalled(t, handedOn(t, before(t, there)))
	b.Database = "172.20.0.9:3306/tower"
	_, err := remembered(keys(), b, there).count(true)
	assert.NoError(t, err, "a container gets a new address at each start")
}

func TestABaselineIsWhatTheContractHandsOn(t *testing.T) {
	b := before(t, map[string]was{"id with blanks": {previous, 12, "1"}, "AAECAwQFBgcICQoLDA0ODw==": {unreadable, 0, ""}, "y": {orphaned, 0, ""}})
	var text bytes.Buffer
	again, err := remembered(Keys{Current: keys().Previous}, nil, map[string]was{
		"id with blanks": {previous, 12, "1"}, "AAECAwQFBgcICQoLDA0ODw==": {unreadable, 0, ""}, "y": {orphaned, 0, ""},
	}).Baseline(Taking{App: "app", At: noon()}, quick{}, &text)
	require.NoError(t, err)
	assert.Equal(t, b, again)
	assert.Equal(t, `{"format":1,"app_name":"app","database":"db:3306/tower","taken_at":"2026-01-02T12:00:00Z","key":"OLD","total":3,"current":0,"previous":1,"unreadable":1,"orphaned":1}
AAECAwQFBgcICQoLDA0ODw== 0 e3b0c44298fc u qLwet6hZxws
id with blanks 12 6b86b273ff34 p B2HccyvaVR8
y 0 e3b0c44298fc o -
`, text.String())
	assert.NotContains(t, text.String()+fmt.Sprint(handedOn(t, b)), oldKey)
}

func TestABaselineInAFileIsTheSame(t *testing.T) {
	then := map[string]was{}
	for i := range Inline + 1 {
		then["record "+strconv.Itoa(i)] = was{orphaned, int64(i), strconv.Itoa(i)}
	}
	path := filepath.Join(t.TempDir(), "made", "app.baseline.gz")
	b, unkept, err := remembered(Keys{Current: keys().Previous}, nil, then).WriteBaseline(Taking{App: "app", At: noon()}, quick{}, path)
	require.NoError(t, err)
	require.NoError(t, unkept)
	assert.Empty(t, b.Records, "too many to be passed")
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	for _, document := range []map[string]any{handedOn(t, b), {"path": path}, {"path": path, "digest": b.Digest}} {
		got, err := remembered(keys(), recalled(t, document), then).count(true)
		require.NoError(t, err)
		assert.Equal(t, []int{Inline + 1, 0, Inline + 1}, []int{got.Before.Total, got.Rewritten, got.Orphaned})
	}
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1, "nothing but the file itself is left")
}

func TestABaselineFromWhileABackendWasWritingSaysSoInEveryForm(t *testing.T) {
	then := map[string]was{"a": {orphaned, 0, "1"}}
	path := filepath.Join(t.TempDir(), "app.baseline.gz")
	b, unkept, err := remembered(Keys{Current: keys().Previous}, nil, then).WriteBaseline(Taking{App: "app", At: noon(), Provisional: true}, quick{}, path)
	require.NoError(t, err)
	require.NoError(t, unkept)
	for _, document := range []map[string]any{handedOn(t, b), {"path": path}} {
		got, err := remembered(keys(), recalled(t, document), then).count(true)
		require.NoError(t, err)
		assert.True(t, got.Before.Provisional)
	}
	document := handedOn(t, b)
	delete(document, "provisional")
	delete(document, "path")
	_, lost, err := LoadBaseline(document, "app", keys(), quick{})
	require.NoError(t, err)
	assert.Contains(t, lost, "changed after it was taken")
}

// Every form in which a part of this tool hands a baseline on, against every part that takes one.
func TestABaselineIsTakenInEveryFormInWhichItIsHandedOn(t *testing.T) {
	few, many := map[string]was{"a": {orphaned, 0, "1"}}, map[string]was{}
	for i := range Inline + 1 {
		many["record "+strconv.Itoa(i)] = was{current, int64(i), strconv.Itoa(i)}
	}
	dir := t.TempDir()
	kept := func(name string, records map[string]was) map[string]any {
		b, unkept, err := remembered(Keys{Current: keys().Previous}, nil, records).WriteBaseline(Taking{App: "app", At: noon()}, quick{}, filepath.Join(dir, name))
		require.NoError(t, err)
		require.NoError(t, unkept)
		return handedOn(t, b)
	}
	only := func(document map[string]any, names ...string) map[string]any {
		less := map[string]any{}
		for _, name := range names {
			if value, ok := document[name]; ok {
				less[name] = value
			}
		}
		return less
	}
	texts := func(document map[string]any) map[string]any {
		for name, value := range document {
			if n, ok := value.(float64); ok {
				document[name] = strconv.Itoa(int(n))
			}
		}
		return document
	}
	ledger := func(document map[string]any) map[string]any {
		named, err := Named(document)
		require.NoError(t, err)
		text, err := json.Marshal(named)
		require.NoError(t, err)
		var out map[string]any
		require.NoError(t, json.Unmarshal(text, &out))
		return out
	}
	inline, none := handedOn(t, before(t, few)), handedOn(t, before(t, map[string]was{}))
	role := []string{"path", "digest", "total", "taken_at"}
	unkept := handedOn(t, before(t, many))
	const lost = "are lost"
	for name, test := range map[string]struct {
		document map[string]any
		total    int    // of what is recalled; -1: nothing
		lost     string // in a word
		ledger   int    // the total that the ledger keeps; -1: it keeps nothing
	}{
		"info: inline":                             {inline, 1, "", 1},
		"info: inline, through a template":         {texts(handedOn(t, before(t, few))), 1, "", 1},
		"info: inline, of no records":              {none, 0, "", 0},
		"info: in a file":                          {kept("1", many), Inline + 1, "", Inline + 1},
		"info: in a file and inline":               {kept("2", few), 1, "", 1},
		"info: too many, and no file":              {unkept, -1, lost, Inline + 1},
		"info: too many, no file, as texts":        {texts(handedOn(t, before(t, many))), -1, lost, Inline + 1},
		"role: of a file":                          {only(kept("3", many), role...), Inline + 1, "", Inline + 1},
		"role: of a file, as texts":                {texts(only(kept("4", many), role...)), Inline + 1, "", Inline + 1},
		"role: of a file that is gone":             {map[string]any{"path": dir + "/none", "digest": "d", "total": 3.0, "taken_at": "2026-01-02T12:00:00Z"}, -1, "cannot be read", 3},
		"role: nothing":                            {map[string]any{}, -1, "", -1},
		"left out":                                 {nil, -1, "", -1},
		"ledger: of a file":                        {ledger(kept("5", many)), Inline + 1, "", Inline + 1},
		"ledger: of inline, its records are lost":  {ledger(inline), -1, lost, 1},
		"ledger: the same, as texts":               {texts(ledger(inline)), -1, lost, 1},
		"ledger: of no records":                    {ledger(none), -1, lost, 0},
		"ledger: of too many, and no file":         {ledger(unkept), -1, lost, Inline + 1},
		"ledger: what a second run was passed":     {ledger(ledger(inline)), -1, lost, 1},
		"operator: the path of a file":             {map[string]any{"path": kept("6", few)["path"]}, 1, "", -1},
		"operator: the digest alone":               {map[string]any{"digest": "0123"}, -1, lost, 0},
		"template: records and path that are null": {map[string]any{"digest": "0123", "total": 4.0, "records": nil, "path": nil}, -1, lost, 4},
		"template: records that are an empty list": {map[string]any{"digest": "0123", "total": 4.0, "records": []any{}, "path": ""}, -1, lost, 4},
	} {
		t.Run(name, func(t *testing.T) {
			b, gone, err := LoadBaseline(test.document, "app", keys(), quick{})
			require.NoError(t, err)
			assert.Contains(t, gone, test.lost)
			if test.total < 0 {
				assert.Nil(t, b)
			} else {
				require.NotNil(t, b, gone)
				assert.Equal(t, test.total, b.Total)
			}
			if test.lost != "" {
				assert.Contains(t, gone, "All other records can still be proved")
			} else {
				assert.Empty(t, gone)
			}
			named, err := Named(test.document)
			require.NoError(t, err)
			if test.ledger < 0 {
				assert.Nil(t, named)
				return
			}
			require.NotNil(t, named)
			assert.Equal(t, test.ledger, named.Total)
		})
	}
	for name, document := range map[string]map[string]any{
		"something else":           {"key": "value"},
		"a total alone":            {"total": 3},
		"records without the rest": {"records": []any{"a 0 e3b0c44298fc u -"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := LoadBaseline(document, "app", keys(), quick{})
			assert.Equal(t, fault.CodeInvalidOptions, faultOf(t, err).Code)
			_, err = Named(document)
			assert.Equal(t, fault.CodeInvalidOptions, faultOf(t, err).Code)
		})
	}
}

func TestAFullDiskTakesNoBaselineAway(t *testing.T) {
	for _, n := range []int{60, 200, Inline + 100} {
		then := map[string]was{}
		for i := range n {
			then["record "+strconv.Itoa(i)] = was{orphaned, int64(i), strconv.Itoa(i)}
		}
		path := filepath.Join(t.TempDir(), "app.baseline.gz")
		scanner := remembered(Keys{Current: keys().Previous}, nil, then)
		good, unkept, err := scanner.WriteBaseline(Taking{App: "app", At: noon()}, quick{}, path)
		require.NoError(t, err)
		require.NoError(t, unkept)
		size, err := os.Stat(path)
		require.NoError(t, err)
		for _, room := range []int64{10, size.Size() / 2, size.Size() - 40, size.Size() - 1} {
			var usual syscall.Rlimit
			require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &usual))
			require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(room), Max: usual.Max}))
			b, unkept, err := scanner.WriteBaseline(Taking{App: "app", At: noon()}, quick{}, path)
			require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &usual))
			require.NoError(t, err, "a warning, no failure")
			require.ErrorContains(t, unkept, "too large")
			require.NotNil(t, b)
			assert.Empty(t, b.Path)
			assert.Equal(t, good.Digest, b.Digest)
			assert.Equal(t, n, recalled(t, map[string]any{"path": path, "digest": good.Digest}).Total, "the earlier file is whole")
		}
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		assert.Len(t, left, 1)
	}
}

func TestABaselineThatCannotBeKeptIsHandedOnAllTheSame(t *testing.T) {
	b, unkept, err := remembered(keys(), nil, map[string]was{"a": {orphaned, 0, ""}}).WriteBaseline(Taking{App: "app", At: noon()}, quick{}, "/dev/null/x/app")
	require.NoError(t, err)
	require.Error(t, unkept)
	assert.Empty(t, b.Path)
	assert.Len(t, b.Records, 1)
}

func TestABaselineThatIsLostOrWasChangedIsNoticedAndNotUsed(t *testing.T) {
	then := map[string]was{"a": {orphaned, 0, "1"}, "b": {current, 3, "1"}}
	dir := t.TempDir()
	path := filepath.Join(dir, "b.gz")
	b, unkept, err := remembered(Keys{Current: keys().Previous}, nil, then).WriteBaseline(Taking{App: "app", At: noon()}, quick{}, path)
	require.NoError(t, err)
	require.NoError(t, unkept)
	packed, err := os.ReadFile(path)
	require.NoError(t, err)
	file := func(content []byte) map[string]any {
		damaged := filepath.Join(dir, fmt.Sprint(len(content)))
		require.NoError(t, os.WriteFile(damaged, content, 0o600))
		return map[string]any{"path": damaged}
	}
	inline := func(change func(map[string]any)) map[string]any {
		document := handedOn(t, b)
		change(document)
		return document
	}
	other, err := remembered(Keys{Current: secret.New("another key")}, nil, then).Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	elsewhere, err := remembered(Keys{Current: keys().Previous}, nil, then).Baseline(Taking{App: "elsewhere", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		document map[string]any
		words    string
	}{
		"the file is gone":             {map[string]any{"path": dir + "/none"}, "cannot be read: no such file"},
		"a file of something else":     {file([]byte("hello")), "it is not a baseline"},
		"a truncated file":             {file(packed[:len(packed)-9]), "cannot be read"},
		"another digest than named":    {map[string]any{"path": path, "digest": strings.Repeat("0", 64)}, "its digest is"},
		"a class changed":              {inline(func(d map[string]any) { change(d, " o ", " u ") }), "was changed"},
		"a digest changed":             {inline(func(d map[string]any) { change(d, " 6b86", " 6b87") }), "was changed"},
		"a record left out":            {inline(func(d map[string]any) { d["records"] = d["records"].([]any)[1:] }), "was changed"},
		"a count changed":              {inline(func(d map[string]any) { d["unreadable"] = 7 }), "was changed"},
		"records out of order":         {inline(func(d map[string]any) { r := d["records"].([]any); r[0], r[1] = r[1], r[0] }), "was changed"},
		"changed, with its own digest": {inline(func(d map[string]any) { change(d, " 6b86", " 6b87"); delete(d, "digest") }), "its mac does not match"},
		"under another key":            {handedOn(t, other), "was taken under key ano"},
		"of another installation":      {handedOn(t, elsewhere), `"elsewhere", not "app"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, lost, err := LoadBaseline(test.document, "app", keys(), quick{})
			require.NoError(t, err)
			assert.Nil(t, got)
			assert.Contains(t, lost, test.words)
		})
	}
}

func change(document map[string]any, from, to string) {
	lines := document["records"].([]any)
	for i := range lines {
		lines[i] = strings.Replace(lines[i].(string), from, to, 1)
	}
}

func TestABaselineIsReadAsAnsibleHandsItOn(t *testing.T) {
	good := func() map[string]any {
		document := handedOn(t, before(t, map[string]was{"a": {orphaned, 0, "1"}}))
		document["format"], document["total"], document["orphaned"], document["later_versions"] = "1", json.Number("1"), " 1 ", "may add to it"
		return document
	}
	assert.Equal(t, 1, recalled(t, good()).Total)
	none, lost, err := LoadBaseline(nil, "app", keys(), quick{})
	require.NoError(t, err)
	assert.Nil(t, none)
	assert.Empty(t, lost)
	for name, value := range map[string]any{
		"format": 2, "taken_at": "yesterday", "total": "many", "current": 0.5, "previous": nil, "orphaned": []any{}, "records": map[string]any{"a": "0:" + newKey},
	} {
		t.Run(fmt.Sprint(name, " is ", value), func(t *testing.T) {
			bad := good()
			bad[name] = value
			_, _, err := LoadBaseline(bad, "app", keys(), quick{})
			assert.Equal(t, fault.CodeInvalidOptions, faultOf(t, err).Code)
		})
	}
	named, err := Named(map[string]any{"path": "/b", "digest": "d", "total": "3", "taken_at": "2026-01-02T12:00:00Z"})
	require.NoError(t, err)
	assert.Equal(t, []any{"/b", "d", 3}, []any{named.Path, named.Digest, named.Total})
	named, err = Named(map[string]any{"path": "/b"})
	require.NoError(t, err)
	assert.Nil(t, named, "without a digest the ledger could not hold anybody to it")
}

func TestABaselineSparesDerivationsAndNeverMakesARecordCurrentInAProof(t *testing.T) {
	all := seeds(t, 6, 2)
	scanner := NewScanner(inMemory(all), Keys{Current: keys().Previous}, Options{})
	_, err := scanner.Scan(t.Context())
	require.NoError(t, err)
	b, err := scanner.Baseline(Taking{App: "app", At: noon()}, quick{}, io.Discard)
	require.NoError(t, err)

	rotating := NewScanner(inMemory(all), keys(), Options{Baseline: recalled(t, handedOn(t, b))})
	got, err := rotating.Scan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{6, 6}, []int{got.Total, got.Previous})
	assert.Zero(t, rotating.derived.Load(), "neither an id nor a key: what is unchanged is under the previous key")

	for carry, derivations := range map[bool]int64{true: 0, false: 6} {
		same, lost, err := LoadBaseline(handedOn(t, b), "app", Keys{Current: keys().Previous}, quick{})
		require.NoError(t, err)
		require.Empty(t, lost)
		again := NewScanner(inMemory(all), Keys{Current: keys().Previous}, Options{Baseline: same, Carry: carry})
		got, err = again.Scan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{6, 6}, []int{got.Total, got.Current})
		assert.Equal(t, derivations, again.derived.Load())
		assert.Equal(t, 6-int(derivations), got.Carried, "what was not opened again is counted")
		assert.Empty(t, got.Notes, "and is nothing to be warned of")
	}
}

func TestAtMostAHundredIDsAreShownInTheirOrder(t *testing.T) {
	many := map[string]was{}
	for i := range 250 {
		many[fmt.Sprintf("u%03d", i)], many[fmt.Sprintf("o%03d", i)] = was{class: unreadable}, was{class: orphaned}
	}
	got, err := remembered(keys(), nil, many).count(true)
	require.NoError(t, err)
	assert.Equal(t, []int{250, 250, 250}, []int{got.Unreadable, got.Orphaned, len(got.Unread)})
	assert.Len(t, got.UnreadableIDs, 100)
	assert.Equal(t, "u099", got.UnreadableIDs[99])
	assert.Len(t, got.NotRewritten, 100)
	assert.Equal(t, "o000", got.NotRewritten[0])
}

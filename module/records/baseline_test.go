package records

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

func noon() time.Time { return time.Date(2026, 1, 2, 12, 0, 0, 123, time.UTC) }

// remembered is a scanner that has scanned already: records by id, with the class and what their content was.
func remembered(baseline *Baseline, records map[string]record) *Scanner {
	s := NewScanner(&DB{identity: "db:3306/tower", name: "tower"}, keys(), Options{Baseline: baseline})
	maps.Copy(s.records, records)
	return s
}

func content(class class, version int64, secure string) record {
	return record{class: class, version: version, digest: digestOf([]byte(secure))}
}

func handedOn(t *testing.T, b Baseline) map[string]any {
	t.Helper()
	text, err := json.Marshal(b)
	require.NoError(t, err)
	var document map[string]any
	require.NoError(t, json.Unmarshal(text, &document))
	return document
}

func TestARecordOfNobodyIsProvedRewrittenAgainstTheBaseline(t *testing.T) {
	before := map[string]record{"a": content(orphaned, 0, "1"), "b": content(orphaned, 3, "1"), "c": content(orphaned, 0, "1"), "mine": content(current, 0, "1")}
	baseline, err := ParseBaseline(handedOn(t, remembered(nil, before).Baseline(noon())))
	require.NoError(t, err)
	got, err := remembered(baseline, map[string]record{
		"a": content(orphaned, 0, "1"), "b": content(orphaned, 3, "2"), "c": content(orphaned, 1, "1"), "d": content(orphaned, 0, "1"), "mine": content(previous, 0, "1"),
	}).count()
	require.NoError(t, err)
	assert.Equal(t, []int{5, 0, 1, 0, 4, 3}, []int{got.Total, got.Current, got.Previous, got.Unreadable, got.Orphaned, got.Rewritten})
	assert.Equal(t, []string{"a"}, got.NotRewritten)
	assert.Equal(t, []string{"1 records that no credential accounts for are not in the baseline of 2026-01-02T12:00:00Z: created since, by a Platform that writes with the new key, and counted as rewritten"}, got.Notes)
}

func TestWithoutABaselineNothingOfNobodyIsRewritten(t *testing.T) {
	got, err := remembered(nil, map[string]record{"a": content(orphaned, 7, "1")}).count()
	require.NoError(t, err)
	assert.Zero(t, got.Rewritten)
	assert.Equal(t, []string{"a"}, got.NotRewritten)
	assert.Empty(t, got.Notes)
}

func TestAnEmptyBaselineProvesNothing(t *testing.T) {
	empty := remembered(nil, nil).Baseline(noon())
	got, err := remembered(&empty, map[string]record{"a": content(orphaned, 0, "1")}).count()
	require.NoError(t, err)
	assert.Zero(t, got.Rewritten)
	assert.Equal(t, []string{"a"}, got.NotRewritten)
	assert.Contains(t, got.Notes[0], "it is empty")
}

func TestABaselineOfAnotherDatabaseIsRefused(t *testing.T) {
	there := map[string]record{"a": content(orphaned, 0, "1")}
	for name, change := range map[string]func(*Baseline){
		"another schema":           func(b *Baseline) { b.Database = "db:3306/other" },
		"not one record in common": func(b *Baseline) { b.Records = map[string]string{"x": "0:123456789abc"} },
	} {
		t.Run(name, func(t *testing.T) {
			baseline := remembered(nil, there).Baseline(noon())
			change(&baseline)
			_, err := remembered(&baseline, there).count()
			assert.Equal(t, rotation.CodeInvalidOptions, faultOf(t, err).Code)
			assert.ErrorContains(t, err, "is not of the database db:3306/tower")
		})
	}
	baseline := remembered(nil, there).Baseline(noon())
	baseline.Database = "172.20.0.9:3306/tower"
	_, err := remembered(&baseline, there).count()
	assert.NoError(t, err, "a container gets a new address at each start")
}

func TestABaselineIsWhatTheContractHandsOn(t *testing.T) {
	b := remembered(nil, map[string]record{"id+/==": content(previous, 12, "1"), "x": content(unreadable, 0, ""), "y": content(orphaned, 0, "")}).Baseline(noon())
	text, err := json.Marshal(b)
	require.NoError(t, err)
	assert.JSONEq(t, `{"format":1,"database":"db:3306/tower","taken_at":"2026-01-02T12:00:00Z","total":3,"current":0,"previous":1,"unreadable":1,"orphaned":1,
		"records":{"id+/==":"12:6b86b273ff34","x":"0:e3b0c44298fc","y":"0:e3b0c44298fc"}}`, string(text))
	back, err := ParseBaseline(handedOn(t, b))
	require.NoError(t, err)
	assert.Equal(t, b, *back)
}

func TestABaselineIsReadAsAnsibleHandsItOn(t *testing.T) {
	good := func() map[string]any {
		return map[string]any{
			"format": "1", "database": "db:3306/tower", "taken_at": "2026-01-02T12:00:00Z", "total": json.Number("1"), "current": 1, "previous": float64(0),
			"unreadable": " 0 ", "orphaned": "0", "records": map[string]any{"a": "0:123456789abc"}, "later_versions": "may add to it",
		}
	}
	b, err := ParseBaseline(good())
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1, 1}, []int{b.Format, b.Total, b.Current})
	none, err := ParseBaseline(nil)
	require.NoError(t, err)
	assert.Nil(t, none)
	for name, value := range map[string]any{
		"format": 2, "database": nil, "taken_at": "yesterday", "total": 2, "current": "many", "previous": 0.5, "unreadable": nil, "orphaned": []any{},
		"records": map[string]any{"a": "0:" + newKey},
	} {
		t.Run(fmt.Sprint(name, " is ", value), func(t *testing.T) {
			bad := good()
			bad[name] = value
			_, err := ParseBaseline(bad)
			assert.Equal(t, rotation.CodeInvalidOptions, faultOf(t, err).Code)
		})
	}
	_, err = ParseBaseline(map[string]any{})
	assert.Equal(t, rotation.CodeInvalidOptions, faultOf(t, err).Code, "an empty dict is a mistake, not a baseline without records")
}

func TestAtMostAHundredIDsAreShownInTheirOrder(t *testing.T) {
	many := map[string]record{}
	for i := range 250 {
		many[fmt.Sprintf("u%03d", i)], many[fmt.Sprintf("o%03d", i)] = record{class: unreadable}, record{class: orphaned}
	}
	got, err := remembered(nil, many).count()
	require.NoError(t, err)
	assert.Equal(t, []int{250, 250}, []int{got.Unreadable, got.Orphaned})
	assert.Len(t, got.UnreadableIDs, 100)
	assert.Equal(t, "u099", got.UnreadableIDs[99])
	assert.Len(t, got.NotRewritten, 100)
	assert.Equal(t, "o000", got.NotRewritten[0])
}

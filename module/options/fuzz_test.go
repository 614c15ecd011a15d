package options

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzParseTakesTheOptionsOrNamesTheMistakes(f *testing.F) {
	const key = "an-invented-secret-of-40-characters-long"
	for _, text := range []string{
		`{"state": "prepared", "app_name": "tower", "omnibus_parameter": "/o", "rotation_id": "r1", "backups": "a,b"}`, `{"state": "rotating", "app_name": "t", "database": "x"}`,
		`{"chunk_size": "0", "wait": "maybe"}`, `{"rotation_id": 2026.1}`, `{"database": {"port": 1e9, "password": ["x"]}}`, `{"force": true}`, `{"gather": ["records"]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var params map[string]any
		if json.Unmarshal(text, &params) != nil || params == nil {
			t.Skip("not a dict")
		}
		params["new_secret"] = key
		none := func(string) (string, bool) { return "", false }
		_, err := ParseRotation(params, none)
		_, other := ParseInfo(params, none)
		for _, err := range []error{err, other} {
			if err == nil {
				continue
			}
			var invalid *Invalid
			require.ErrorAs(t, err, &invalid)
			assert.NotContains(t, err.Error(), key)
		}
	})
}

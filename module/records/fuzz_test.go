package records

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const fuzzedHeader = `{"format":1,"app_name":"tower","database":"db:3306/tower","taken_at":"2026-01-02T03:04:05Z","key":"0011223344556677","total":1,"current":1,"previous":0,"unreadable":0,"orphaned":0`

func FuzzABaselineThatNobodySignedIsRefusedOrLost(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"path": "/nowhere/baseline"}`, `{"digest": "00", "total": "12", "taken_at": "2026-01-02T03:04:05Z"}`,
		fuzzedHeader + `,"records":["QUJD 1 001122334455 c -"],"mac":"00"}`, fuzzedHeader + `,"records":[1]}`, `{"total": "x"}`, `{"format": 1.5}`,
	} {
		f.Add([]byte(text))
	}
	prints := secret.NewFingerprinter("tower", 1)
	f.Fuzz(func(t *testing.T, text []byte) {
		var document map[string]any
		if json.Unmarshal(text, &document) != nil || len(document) == 0 {
			t.Skip("not a dict")
		}
		if path, _ := document["path"].(string); path != "" {
			document["path"] = filepath.Join(t.TempDir(), "nothing")
		}
		_, named := Named(document)
		b, lost, err := LoadBaseline(document, "tower", Keys{Current: secret.New("invented")}, prints)
		assert.Equal(t, named == nil, err == nil, "what the control node takes, the VM takes, and the other way about")
		if err != nil {
			var told *fault.Fault
			require.ErrorAs(t, err, &told)
			assert.Equal(t, fault.CodeInvalidOptions, told.Code)
		}
		assert.Nil(t, b)
		assert.Equal(t, err == nil, lost != "")
	})
}

func FuzzAFileThatIsNoBaselineIsRefused(f *testing.F) {
	f.Add([]byte(fuzzedHeader + "}\nQUJD 1 001122334455 c -\nmac 00\n"))
	f.Add([]byte(fuzzedHeader + "}\nmac 00\nmac 00\n"))
	f.Add([]byte("mac 00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var packed bytes.Buffer
		writer := gzip.NewWriter(&packed)
		_, err := writer.Write(text)
		require.NoError(t, errors.Join(err, writer.Close()))
		path := filepath.Join(t.TempDir(), "baseline")
		require.NoError(t, os.WriteFile(path, packed.Bytes(), 0o600))
		b, err := load(path)
		if err != nil {
			return
		}
		assert.Len(t, b.rows, b.Total)
		assert.NotEmpty(t, b.MAC)
		assert.Equal(t, baselineFormat, b.Format)
		for _, one := range b.rows {
			_, found := b.find(one.name)
			assert.True(t, found)
		}
	})
}

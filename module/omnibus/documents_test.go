package omnibus_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/omnibus"
)

const (
	crypto   = "TOWER_CRYPTO_SECRET"
	previous = "TOWER_CRYPTO_PREVIOUS_SECRET"
	rotate   = "TOWER_CRYPTO_ROTATE_KEYS"
	chunk    = "TOWER_CRYPTO_ROTATE_CHUNK_SIZE"

	prefix = "/config/tower-example/tower/secret-rotation/"
	oldKey = "InventedRetiringKey0123456789"
	newKey = "InventedComingKey9876543210abcdef"
)

func parse(t require.TestingT, text []byte) *omnibus.Document {
	document, err := omnibus.Parse(text)
	require.NoError(t, err)
	return document
}

// prepare is step 2.1 of the page.
func prepare(t require.TestingT, text []byte, withChunkSize bool) []byte {
	document := parse(t, text)
	old, found, err := document.Find(crypto)
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, document.InsertAfter(crypto, previous, prefix+"previous-key", old.Value))
	require.NoError(t, document.InsertAfter(previous, rotate, prefix+"enabled", "true"))
	if withChunkSize {
		require.NoError(t, document.InsertAfter(rotate, chunk, prefix+"chunk-size", "200"))
	}
	require.NoError(t, document.SetValue(crypto, newKey))
	return document.Bytes()
}

// finalize is step 4.2, days later, on whatever was prepared.
func finalize(t require.TestingT, text []byte) []byte {
	document := parse(t, text)
	for _, name := range []string{previous, rotate, chunk} {
		if _, found, err := document.Find(name); found || err != nil {
			require.NoError(t, document.Remove(name))
		}
	}
	return document.Bytes()
}

func layouts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.prepared.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 20)
	return files
}

func TestPreparedGivesInEveryLayoutWhatThePagesStepDescribes(t *testing.T) {
	for _, golden := range layouts(t) {
		layout := strings.TrimSuffix(filepath.Base(golden), ".prepared.json")
		t.Run(layout, func(t *testing.T) {
			before := read(t, layout+".json")
			prepared := read(t, layout+".prepared.json")
			assert.Equal(t, prepared, string(prepare(t, []byte(before), false)))
			assert.Equal(t, insertChunkSize(prepared), string(prepare(t, []byte(before), true)))
		})
	}
}

// insertChunkSize repeats the switch's entry, with the comma before it, for the chunk size.
func insertChunkSize(prepared string) string {
	entry := regexp.MustCompile(`\}(\s*,\s*"TOWER_CRYPTO_ROTATE_KEYS"[^}]*\})`).FindStringSubmatch(prepared)[1]
	return strings.Replace(prepared, entry, entry+strings.NewReplacer(rotate, chunk, "/enabled", "/chunk-size", "true", "200").Replace(entry), 1)
}

func TestFinalizedGivesEveryDocumentBackByteForByteButForTheKey(t *testing.T) {
	for _, golden := range layouts(t) {
		layout := strings.TrimSuffix(filepath.Base(golden), ".prepared.json")
		for _, withChunkSize := range []bool{false, true} {
			t.Run(layout, func(t *testing.T) {
				before := []byte(read(t, layout+".json"))
				after := finalize(t, prepare(t, before, withChunkSize))
				old := oldKey
				if layout == "unicode-escapes" {
					old = `\u0049nventedRetiringKey0123456789`
				}
				require.Equal(t, 1, bytes.Count(before, []byte(old)))
				assert.Equal(t, strings.Replace(string(before), old, newKey, 1), string(after))
			})
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(text)
}

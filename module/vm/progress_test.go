package vm

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhoReadsTheProgressFileSeesOneWholeReport(t *testing.T) {
	folder := t.TempDir()
	p := &progress{path: filepath.Join(folder, "progress.json")}
	require.NoError(t, p.write(report{Line: "first"}))
	first, err := os.Open(p.path)
	require.NoError(t, err)
	defer func() { _ = first.Close() }()

	require.NoError(t, p.write(report{Line: "second"}))
	text, err := io.ReadAll(first)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"first"`, "a reader keeps the report that it opened")
	text, err = os.ReadFile(p.path)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"second"`)
	about, err := os.Stat(p.path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), about.Mode())

	p.end()
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsGeneratedIsWhatTheStructsSay(t *testing.T) {
	t.Chdir("../..")
	made, err := files()
	require.NoError(t, err)
	for path, want := range made {
		is, err := os.ReadFile(path)
		require.NoError(t, err)
		if want != string(is) {
			assert.Fail(t, path+" is not what `make generate` writes: run it", difference(want, string(is)))
		}
	}
}

func TestTheBinaryLinksNeitherYAMLNorASchemaReflector(t *testing.T) {
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/seqera-tools/crypto-rotation/module").Output()
	require.NoError(t, err)
	packages := strings.Fields(string(listed))
	assert.Contains(t, packages, "github.com/seqera-tools/crypto-rotation/module/options")
	for _, name := range packages {
		assert.NotRegexp(t, `yaml|jsonschema|ordered-map|jsonparser|module/generate`, name)
	}
}

// difference is the first line in which two texts differ.
func difference(want, is string) string {
	wanted, there := strings.Split(want, "\n"), strings.Split(is, "\n")
	for i := range min(len(wanted), len(there)) {
		if wanted[i] != there[i] {
			return "it has " + there[i] + " instead of " + wanted[i]
		}
	}
	return "one is longer than the other"
}

func TestItIsGeneratedTheSameEachTime(t *testing.T) {
	t.Chdir("../..")
	once, err := files()
	require.NoError(t, err)
	again, err := files()
	require.NoError(t, err)
	assert.Equal(t, once, again)
}

func TestEveryOptionAndVariableIsDescribed(t *testing.T) {
	both, entries := prepared(t)
	described(t, both[0].Options)
	described(t, both[1].Options)
	for _, e := range entries {
		assert.NotEmpty(t, e.Description, e.Name)
		described(t, e.variables())
	}
}

func described(t *testing.T, all list) {
	t.Helper()
	assert.NotEmpty(t, all)
	for _, o := range all {
		if o.schema.Name != "" {
			assert.NotEmpty(t, o.schema.Description, "%s: its field has no comment", o.Name)
		}
		assert.NotEmpty(t, o.Description, o.Name)
		if inner := slices.Concat(o.Suboptions, o.Options); inner != nil {
			described(t, inner)
		}
	}
}

func TestOptionsOfTheModulesAreVariablesOfTheRoleExceptThoseThatItsTasksFillIn(t *testing.T) {
	both, entries := prepared(t)
	same := map[string]bool{}
	for _, o := range entries[0].variables() {
		for _, o := range append(o.Options, o) {
			same[strings.TrimPrefix(o.Name, prefix)] = o.schema.Name != ""
		}
	}
	var missing []string
	for _, m := range both {
		for _, o := range m.Options {
			if !same[o.Name] && !slices.Contains(missing, o.Name) {
				missing = append(missing, o.Name)
			}
		}
	}
	assert.Equal(t, []string{"state", "capture_only", "reverse", "platform", "proof", "wait", "progress_file", "backends_ready_at", "baseline", "gather", "key_from_escrow", "compose_dir", "last_records", "ready_timeout"}, missing)
}

func TestRoleOrPlaybooksUseEveryVariable(t *testing.T) {
	_, entries := prepared(t)
	used := mentioned(t, prefix+`\w+`, "roles/*/tasks", "roles/seqera_crypto_rotation/vars/main/worked_out.yml", "roles/seqera_crypto_fleet/vars", "roles/seqera_crypto_fleet/templates", "roles/seqera_crypto_rotation/action_plugins", "playbooks/*.yml")
	for _, e := range entries {
		for _, o := range e.variables() {
			assert.True(t, used[o.Name], "nothing uses %s", o.Name)
		}
	}
}

func mentioned(t *testing.T, pattern string, places ...string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, place := range places {
		paths, err := filepath.Glob(place)
		require.NoError(t, err)
		require.NotEmpty(t, paths)
		for _, path := range paths {
			require.NoError(t, filepath.WalkDir(path, func(path string, entry os.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				for _, name := range regexp.MustCompile(pattern).FindAllString(string(text), -1) {
					found[name] = true
				}
				return err
			}))
		}
	}
	return found
}

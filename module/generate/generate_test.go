package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/options"
	contract "github.com/seqera-tools/crypto-rotation/module/options/role"
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
	comments := prepared(t)
	rotation, info := modules(comments)
	described(t, rotation.options)
	described(t, info.options)
	points, plays := variables(comments, rotation, info)
	for _, e := range append(points, plays) {
		assert.NotEmpty(t, e.paragraphs, e.name)
		for _, g := range e.groups {
			described(t, g.variables)
		}
	}
}

func described(t *testing.T, list []option) {
	t.Helper()
	assert.NotEmpty(t, list)
	for _, o := range list {
		assert.NotEmpty(t, o.Description, "%s: its field has no comment", o.Name)
		if o.suboptions != nil {
			described(t, o.suboptions)
		}
	}
}

func TestOptionsOfTheModulesAreVariablesOfTheRoleExceptThoseThatItsTasksFillIn(t *testing.T) {
	same := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[contract.Main]()) {
		same[field.Tag.Get("json")] = same[field.Tag.Get("json")] || field.Type == reflect.TypeFor[contract.Same]()
	}
	var missing []string
	for _, of := range []reflect.Type{reflect.TypeFor[options.Rotation](), reflect.TypeFor[options.Info]()} {
		for _, argument := range options.Arguments(options.Describe(of, nil)) {
			if !same[argument.Name] && !slices.Contains(missing, argument.Name) {
				missing = append(missing, argument.Name)
			}
		}
	}
	assert.Equal(t, []string{"state", "capture_only", "platform", "proof", "wait", "progress_file", "backends_ready_at", "baseline", "gather", "key_from_escrow", "compose_dir", "compose_files", "compose_env_files", "compose_profiles", "allow_drift", "last_records", "ready_timeout", "backend_health_url"}, missing)
}

func TestRoleOrPlaybooksUseEveryVariable(t *testing.T) {
	comments := prepared(t)
	rotation, info := modules(comments)
	used := mentioned(t, contract.Prefix+`\w+`, role+"tasks", role+"templates", role+"action_plugins", "playbooks/*.yml")
	points, plays := variables(comments, rotation, info)
	for _, e := range append(points, plays) {
		for _, g := range e.groups {
			for _, o := range g.variables {
				assert.True(t, used[o.Name], "nothing uses %s", o.Name)
			}
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

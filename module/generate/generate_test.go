package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	comments := prepared(t)
	both := modules(comments)
	described(t, both[0].options)
	described(t, both[1].options)
	page, fleet, plays := variables(comments, both)
	for _, e := range slices.Concat(page, fleet, []entry{plays}) {
		assert.NotEmpty(t, e.paragraphs, e.name)
		described(t, e.variables())
	}
}

func described(t *testing.T, all list) {
	t.Helper()
	assert.NotEmpty(t, all)
	for _, o := range all {
		assert.NotEmpty(t, o.schema.Description, "%s: its field has no comment", o.Name)
		if o.Suboptions != nil {
			described(t, o.Suboptions)
		}
	}
}

func TestOptionsOfTheModulesAreVariablesOfTheRoleExceptThoseThatItsTasksFillIn(t *testing.T) {
	same := map[string]bool{}
	for _, field := range slices.Concat(reflect.VisibleFields(reflect.TypeFor[contract.Main]()), reflect.VisibleFields(reflect.TypeFor[contract.AWS]())) {
		same[field.Tag.Get("json")] = same[field.Tag.Get("json")] || field.Type == reflect.TypeFor[contract.Same]()
	}
	var missing []string
	for _, m := range modules(nil) {
		for _, o := range m.options {
			if !same[o.Name] && !slices.Contains(missing, o.Name) {
				missing = append(missing, o.Name)
			}
		}
	}
	assert.Equal(t, []string{"state", "capture_only", "reverse", "platform", "proof", "wait", "progress_file", "backends_ready_at", "baseline", "gather", "key_from_escrow", "compose_dir", "last_records", "ready_timeout"}, missing)
}

func TestRoleOrPlaybooksUseEveryVariable(t *testing.T) {
	comments := prepared(t)
	used := mentioned(t, contract.Prefix+`\w+`, "roles/*/tasks", pageRole+"vars/main/worked_out.yml", fleetRole+"vars", fleetRole+"templates", pageRole+"action_plugins", "playbooks/*.yml")
	page, fleet, plays := variables(comments, modules(comments))
	for _, e := range slices.Concat(page, fleet, []entry{plays}) {
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

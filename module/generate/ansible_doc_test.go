package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shownOption is an option as ansible-doc shows it, of a module or a role.
type shownOption struct {
	Description any                    `json:"description"`
	Type        string                 `json:"type"`
	Suboptions  map[string]shownOption `json:"suboptions"`
	Options     map[string]shownOption `json:"options"`
}

type shownValue struct {
	Description any                   `json:"description"`
	Contains    map[string]shownValue `json:"contains"`
}

func TestAnsibleDocShowsEveryOptionAndEveryReturnValueOfTheModules(t *testing.T) {
	both, _ := prepared(t)
	var shown map[string]struct {
		Doc struct {
			Options map[string]shownOption `json:"options"`
		} `json:"doc"`
		Examples string                `json:"examples"`
		Return   map[string]shownValue `json:"return"`
	}
	require.NoError(t, json.Unmarshal(ansibleDoc(t, "-j", "-t", "module", "-M", "library", both[0].Name, both[1].Name), &shown))
	for _, m := range both {
		assert.ElementsMatch(t, names("", m.Options), shownNames("", shown[m.Name].Doc.Options), m.Name)
		assert.ElementsMatch(t, names("", m.Returns), shownValues("", shown[m.Name].Return), m.Name)
		assert.NotEmpty(t, shown[m.Name].Examples)
	}
}

func TestAnsibleDocShowsEveryVariableOfTheRole(t *testing.T) {
	_, entries := prepared(t)
	var shown map[string]struct {
		EntryPoints map[string]struct {
			Short   string                 `json:"short_description"`
			Options map[string]shownOption `json:"options"`
		} `json:"entry_points"`
	}
	require.NoError(t, json.Unmarshal(ansibleDoc(t, "-j", "-t", "role", "-r", "roles", "seqera_crypto_rotation", "seqera_crypto_fleet"), &shown))
	page := shown["seqera_crypto_rotation"].EntryPoints
	assert.ElementsMatch(t, shownNames("", page["main"].Options), shownNames("", page["due"].Options), "due takes what main takes")
	delete(page, "due")
	assert.Len(t, entries, len(page)+len(shown["seqera_crypto_fleet"].EntryPoints)+1)
	for _, e := range entries[:len(entries)-1] {
		there := shown[e.Role].EntryPoints[e.Name]
		assert.Equal(t, e.Short, there.Short)
		assert.ElementsMatch(t, names("", e.variables()), shownNames("", there.Options), e.Name)
	}
}

func TestThePagesForPeopleHaveAllParts(t *testing.T) {
	both, _ := prepared(t)
	pages := strings.Split("\n"+string(ansibleDoc(t, "-t", "module", "-M", "library", both[0].Name, both[1].Name)), "\n> ")[1:]
	require.Equal(t, 2, len(pages)) //nolint:testifylint // a failure is not to print the pages
	for i, m := range both {
		for _, part := range []string{"OPTIONS", "ATTRIBUTES", "NOTES", "SEE ALSO", "REQUIREMENTS", "AUTHOR", "EXAMPLES", "RETURN VALUES", "check_mode", "diff_mode"} {
			assert.True(t, strings.Contains(pages[i], part), "%s has no %s", m.Name, part) //nolint:testifylint // the same
		}
		for _, o := range m.Options {
			assert.True(t, strings.Contains(pages[i], o.Name), "%s has no %s", m.Name, o.Name) //nolint:testifylint // the same
		}
	}
}

// prepared goes to the top of the tree and reads what both modules and all entry points take.
func prepared(t *testing.T) ([]module, []entry) {
	t.Helper()
	t.Chdir("../..")
	both, err := modules()
	require.NoError(t, err)
	entries, err := variables(both)
	require.NoError(t, err)
	return both, entries
}

func ansibleDoc(t *testing.T, args ...string) []byte {
	t.Helper()
	python := os.Getenv("ANSIBLE_PYTHON")
	if python == "" {
		t.Skip("ANSIBLE_PYTHON does not name a Python that has ansible-core")
	}
	command := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(python), "ansible-doc"), args...)
	command.Env = append(os.Environ(), "ANSIBLE_NOCOLOR=1", "PAGER=cat")
	var complaint strings.Builder
	command.Stderr = &complaint
	page, err := command.Output()
	require.NoError(t, err, complaint.String())
	assert.NotContains(t, complaint.String(), "seqera_crypto_rotation", "ansible-doc warns of nothing that is ours")
	return page
}

func names(prefix string, all list) []string {
	var found []string
	for _, o := range all {
		found = append(append(found, prefix+o.Name), names(prefix+o.Name+".", slices.Concat(o.Suboptions, o.Options, o.Contains))...)
	}
	return found
}

func shownNames(prefix string, options map[string]shownOption) []string {
	var all []string
	for name, o := range options {
		if o.Type != "" && o.Description != nil {
			all = append(all, prefix+name)
		}
		all = slices.Concat(all, shownNames(prefix+name+".", o.Suboptions), shownNames(prefix+name+".", o.Options))
	}
	return all
}

func shownValues(prefix string, values map[string]shownValue) []string {
	var all []string
	for name, value := range values {
		if value.Description != nil {
			all = append(all, prefix+name)
		}
		all = append(all, shownValues(prefix+name+".", value.Contains)...)
	}
	return all
}

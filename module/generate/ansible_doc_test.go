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
	"go.yaml.in/yaml/v4"
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
	both := modules(prepared(t))
	var shown map[string]struct {
		Doc struct {
			Options map[string]shownOption `json:"options"`
		} `json:"doc"`
		Examples string                `json:"examples"`
		Return   map[string]shownValue `json:"return"`
	}
	require.NoError(t, json.Unmarshal(ansibleDoc(t, "-j", "-t", "module", "-M", "library", both[0].name, both[1].name), &shown))
	for _, m := range both {
		page, err := m.page()
		require.NoError(t, err)
		assert.ElementsMatch(t, names("", m.options), shownNames("", shown[m.name].Doc.Options), m.name)
		assert.ElementsMatch(t, valueNames(t, "", &page.Return), shownValues("", shown[m.name].Return), m.name)
		assert.NotEmpty(t, shown[m.name].Examples)
	}
}

func TestAnsibleDocShowsEveryVariableOfTheRole(t *testing.T) {
	comments := prepared(t)
	var shown map[string]struct {
		EntryPoints map[string]struct {
			Short   string                 `json:"short_description"`
			Options map[string]shownOption `json:"options"`
		} `json:"entry_points"`
	}
	require.NoError(t, json.Unmarshal(ansibleDoc(t, "-j", "-t", "role", "-r", "roles", "seqera_crypto_rotation", "seqera_crypto_fleet"), &shown))
	page, fleet, _ := variables(comments, modules(comments))
	for role, points := range map[string][]entry{"seqera_crypto_rotation": page, "seqera_crypto_fleet": fleet} {
		there := shown[role].EntryPoints
		for _, e := range points {
			assert.Equal(t, e.short, there[e.name].Short)
			assert.ElementsMatch(t, names("", e.variables()), shownNames("", there[e.name].Options), e.name)
		}
		if due, ok := there["due"]; ok {
			assert.ElementsMatch(t, shownNames("", there["main"].Options), shownNames("", due.Options), "due takes what main takes")
			delete(there, "due")
		}
		assert.Len(t, there, len(points))
	}
}

func TestThePagesForPeopleHaveAllParts(t *testing.T) {
	both := modules(prepared(t))
	pages := strings.Split("\n"+string(ansibleDoc(t, "-t", "module", "-M", "library", both[0].name, both[1].name)), "\n> ")[1:]
	require.Equal(t, 2, len(pages)) //nolint:testifylint // a failure is not to print the pages
	for i, m := range both {
		for _, part := range []string{"OPTIONS", "ATTRIBUTES", "NOTES", "SEE ALSO", "REQUIREMENTS", "AUTHOR", "EXAMPLES", "RETURN VALUES", "check_mode", "diff_mode"} {
			assert.True(t, strings.Contains(pages[i], part), "%s has no %s", m.name, part) //nolint:testifylint // the same
		}
		for _, o := range m.options {
			assert.True(t, strings.Contains(pages[i], o.Name), "%s has no %s", m.name, o.Name) //nolint:testifylint // the same
		}
	}
}

// prepared goes to the top of the tree and reads the comments.
func prepared(t *testing.T) map[string]string {
	t.Helper()
	t.Chdir("../..")
	comments, err := comments()
	require.NoError(t, err)
	return comments
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
		found = append(append(found, prefix+o.Name), names(prefix+o.Name+".", o.Suboptions)...)
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

func valueNames(t *testing.T, prefix string, tree *yaml.Node) []string {
	t.Helper()
	var all []string
	for i := 0; i+1 < len(tree.Content); i += 2 {
		name := prefix + tree.Content[i].Value
		all = append(all, name)
		if contains := child(tree.Content[i+1], "contains"); contains != nil {
			all = append(all, valueNames(t, name+".", contains)...)
		}
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

package rotation

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/omnibus"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Diff is one entry of Ansible's diff: before and after as text, secrets as fingerprints.
type Diff struct {
	BeforeHeader string `json:"before_header"`
	AfterHeader  string `json:"after_header"`
	Before       string `json:"before"`
	After        string `json:"after"`
}

// Diffs shows what the plan changes in the Platform's parameters, one entry a parameter, in the order of the steps.
func (p Plan) Diffs(o Observed, desired Desired, prints proof.Fingerprinter) []Diff {
	prints = planned{prints, p.Made}
	diffs := []Diff{}
	for _, step := range p.Steps {
		before, ours := o.SSM.byName(step.Target)
		if step.Write == nil || !ours {
			continue
		}
		after := ""
		if step.Write.Kind != Delete {
			after = describe(before.Name, step.Write.Value, desired, prints)
		}
		diffs = append(diffs, Diff{BeforeHeader: before.Name, AfterHeader: before.Name, Before: describe(before.Name, before.Value, desired, prints), After: after})
	}
	return diffs
}

// byName gives the Platform's parameter with this name, whether it exists or not.
func (p Parameters) byName(name string) (Parameter, bool) {
	for _, parameter := range []Parameter{p.Omnibus, p.Current, p.Previous, p.LegacyPrevious, p.Switch, p.ChunkSize} {
		if parameter.Name == name && name != "" {
			return parameter, true
		}
	}
	return Parameter{}, false
}

func describe(name string, value secret.Secret, desired Desired, prints proof.Fingerprinter) string {
	switch {
	case value.IsEmpty():
		return ""
	case name == desired.Names.Switch || name == desired.Names.ChunkSize:
		return plainly(value.Reveal()) + "\n"
	case name != desired.Names.Omnibus:
		return "key " + string(prints.Of(value)) + "\n"
	}
	document, err := omnibus.Parse([]byte(value.Reveal()))
	if err != nil {
		return ""
	}
	var lines strings.Builder
	for _, entry := range []string{EntryCurrent, EntryPrevious, EntrySwitch, EntryChunkSize} {
		found, ok, err := document.Find(entry)
		if err != nil || !ok {
			continue
		}
		shown := plainly(found.Value)
		if entry == EntryCurrent || entry == EntryPrevious {
			shown = "key " + string(prints.Of(secret.New(found.Value)))
		}
		fmt.Fprintf(&lines, "%s: %s\n", entry, shown)
	}
	return lines.String()
}

// plainly shows what a switch or a chunk size may hold, and nothing else: somebody may have put a key there.
func plainly(value string) string {
	if _, err := strconv.Atoi(value); err == nil || value == "true" || value == "false" {
		return value
	}
	return secret.Mask
}

// planned names a key that does not exist yet by what it is: its fingerprint would be another one in the next run.
type planned struct {
	proof.Fingerprinter
	made secret.Fingerprint
}

// Of gives the fingerprint of a key that exists.
func (p planned) Of(key secret.Secret) secret.Fingerprint {
	if known := p.Fingerprinter.Of(key); known != p.made || known == "" {
		return known
	}
	return "(a new one that the module makes)"
}

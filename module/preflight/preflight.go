// Package preflight judges, before an outage, whether Docker Compose would start the Platform that runs (Differences), and
// whether that Platform can rotate (Unsuitable). It is pure: what compose said, what the Engine showed and what the backends
// answered comes in as values, and sentences come out. No sentence holds a value of an environment.
package preflight

import (
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Container is one container of the Engine, as far as it matters here.
type Container struct {
	Name     string
	Service  string
	Project  string
	Role     proof.Role
	Running  bool
	Begun    bool // it was started at least once
	ExitCode int

	Dir      string   // where compose was run that made it
	Files    []string // with these files
	EnvFiles []string // and these --env-file
	Compose  string   // the version that made it

	Image       string   // the reference
	ImageIDs    []string // what the reference meant then
	Environment map[string]secret.Secret
	FromImage   map[string]secret.Secret // of the environment, what the image brings along
	Mounts      []Mount
	Ports       []string // address:published->target/protocol
	Addresses   []string
}

// Mount is a host path or the name of a volume, and where it is in the container.
type Mount struct {
	Source    string
	Target    string
	Anonymous bool // a volume without a name: the next container gets another, empty one
}

func (m Mount) String() string { return m.Source + ":" + m.Target }

// Event is a line of docker compose up --dry-run about a container.
type Event struct{ Container, Action string }

// Down says whether the Platform is down, or half of it: a backend or cron is not there or does not run.
func Down(containers []Container) bool {
	for _, role := range []proof.Role{proof.RoleBackend, proof.RoleCron} {
		of := slices.DeleteFunc(slices.Clone(containers), func(c Container) bool { return c.Role != role })
		if len(of) == 0 || slices.ContainsFunc(of, func(c Container) bool { return !c.Running }) {
			return true
		}
	}
	return false
}

// Mounts are those of each service, as source:target, sorted; anonymous volumes are left out.
func Mounts(containers []Container) map[string][]string {
	found := map[string][]string{}
	for _, c := range containers {
		for _, m := range c.Mounts {
			if text := m.String(); !m.Anonymous && !slices.Contains(found[c.Service], text) {
				found[c.Service] = append(found[c.Service], text)
			}
		}
		slices.Sort(found[c.Service])
	}
	return found
}

func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Package preflight judges, before an outage, whether Docker Compose would start the Platform that runs (Differences), and
// whether that Platform can rotate (Unsuitable). It is pure: what compose said, what the Engine showed and what the backends
// answered comes in as values, and sentences come out. No sentence holds a value of an environment.
package preflight

import (
	"fmt"
	"maps"
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
	State    string // created, running, restarting, exited, dead, paused
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
	Networks    map[string]Attachment // on which the Engine resolves names
	ExtraHosts  []string              // host:address
}

// Attachment is a container's place on a network.
type Attachment struct {
	Address, Gateway string // empty unless it runs
	Names            []string
}

// Gateway is that of the first network that has one.
func (c Container) Gateway() string {
	for _, network := range slices.Sorted(maps.Keys(c.Networks)) {
		if gateway := c.Networks[network].Gateway; gateway != "" {
			return gateway
		}
	}
	return ""
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

// mounts compares those of one container with those that a start would give it.
func (c Comparison) mounts(one Container, service Service) []string {
	var found []string
	would := map[string]string{}
	for _, m := range service.Mounts {
		would[m.Target] = m.Source
	}
	for _, m := range one.Mounts {
		source, ok := would[m.Target]
		delete(would, m.Target)
		switch {
		case ok && source == m.Source:
		case ok:
			found = append(found, fmt.Sprintf("%s would be recreated with another %s (%s instead of %s).%s", c.called(one), c.what(one, m.Target), source, m.Source, c.whose(source, m.Source)))
		case m.Anonymous && one.Name == c.Database:
			found = append(found, fmt.Sprintf("%s keeps %s in a volume without a name: after an outage the next container would get an empty one. Give it a named volume or a directory first.", c.called(one), m.Target))
		case m.Anonymous || service.Inherits || slices.Contains(service.Own, m.Target):
		default:
			found = append(found, fmt.Sprintf("%s would be recreated without its mount %s.", c.called(one), m))
		}
	}
	for _, target := range slices.Sorted(maps.Keys(would)) {
		found = append(found, fmt.Sprintf("%s would be recreated with a further mount (%s:%s).", c.called(one), would[target], target))
	}
	return found
}

func (c Comparison) called(one Container) string {
	if one.Name == c.Database {
		return "The database container " + one.Name
	}
	return "Container " + one.Name
}

func (c Comparison) what(one Container, target string) string {
	if one.Name == c.Database {
		return "data directory"
	}
	return "source of " + target
}

// whose says why a path is another one: $HOME or $PWD of somebody else.
func (c Comparison) whose(would, is string) string {
	for _, known := range []struct{ variable, value string }{{"HOME", c.Home}, {"PWD", c.Dir}} {
		rest, ok := strings.CutPrefix(would, known.value+"/")
		if known.value == "" || !ok {
			continue
		}
		other, ok := strings.CutSuffix(is, "/"+rest)
		if !ok || other == "" {
			continue
		}
		if known.variable == "HOME" {
			return fmt.Sprintf(" Cause: the compose file uses $HOME, and Docker Compose runs as a user whose home is %s. Run it as the user whose home is %s (of the role: seqera_crypto_rotation_compose_user).", known.value, other)
		}
		return fmt.Sprintf(" Cause: the compose file uses $PWD or a relative path, and the Platform was started in %s. Set compose_dir to %s.", other, other)
	}
	return ""
}

// Moved compares with what an earlier look said: the project, and the mounts of each service that both know.
func Moved(before Before, project string, mounts map[string][]string) []string {
	var found []string
	if before.Project != "" && before.Project != project {
		found = append(found, fmt.Sprintf("The Platform's project was %s, and is %s now.", before.Project, project))
	}
	for _, name := range slices.Sorted(maps.Keys(before.Mounts)) {
		now, ok := mounts[name]
		if !ok {
			continue
		}
		was := slices.Sorted(slices.Values(before.Mounts[name]))
		if !slices.Equal(was, now) {
			found = append(found, fmt.Sprintf("Service %s has other mounts than before (%s instead of %s).", name, orNone(now), orNone(was)))
		}
	}
	return found
}

func planned(config Config) map[string][]string {
	mounts := map[string][]string{}
	for name, service := range config.Services {
		mounts[name] = []string{}
		for _, m := range service.Mounts {
			mounts[name] = append(mounts[name], m.String())
		}
		slices.Sort(mounts[name])
	}
	return mounts
}

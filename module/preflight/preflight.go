// Package preflight decides, before an outage, whether Docker Compose would start the same Platform that is running (Differences),
// and whether that Platform can rotate (Unsuitable). It is pure: its input is what compose printed, the Engine showed and the backends
// answered; its output is sentences. No sentence contains the value of an environment variable.
package preflight

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Container is one container of the Engine, with the properties that preflight needs.
type Container struct {
	Name     string
	Service  string
	Project  string
	Role     proof.Role
	State    string // created, running, restarting, exited, dead, paused
	Running  bool
	Begun    bool // it was started at least once
	ExitCode int

	Dir      string   // the directory in which compose created it
	Files    []string // the compose files
	EnvFiles []string // the files for --env-file
	Compose  string   // the version of Docker Compose that created it

	Image       string   // the image reference
	ImageIDs    []string // the image IDs that the reference had when the container was created
	Environment map[string]secret.Secret
	FromImage   map[string]secret.Secret // the environment that is set in the image
	Mounts      []Mount
	Ports       []string // address:published->target/protocol
	Addresses   []string
	Networks    map[string]Attachment // the networks on which the Engine resolves names
	ExtraHosts  []string              // host:address
}

// Attachment is a container's attachment to a network.
type Attachment struct {
	Address, Gateway string // empty unless the container is running
	Names            []string
}

// Gateway returns the gateway of the first network that has one, or "".
func (c Container) Gateway() string {
	for _, network := range slices.Sorted(maps.Keys(c.Networks)) {
		if gateway := c.Networks[network].Gateway; gateway != "" {
			return gateway
		}
	}
	return ""
}

// Mount is a mount of a container. Source is a path on the VM or the name of a volume.
type Mount struct {
	Source    string
	Target    string
	Anonymous bool // a volume without a name: the next container gets a new, empty one
}

func (m Mount) String() string { return m.Source + ":" + m.Target }

// Event is a line about a container in the output of docker compose up --dry-run.
type Event struct{ Container, Action string }

// Down reports whether the Platform, or a part of it, is down: a backend or cron is missing or not running.
func Down(containers []Container) bool {
	return BackendDown(containers) || down(containers, proof.RoleCron)
}

// BackendDown reports whether a backend is missing or not running.
func BackendDown(containers []Container) bool { return down(containers, proof.RoleBackend) }

func down(containers []Container, role proof.Role) bool {
	of := slices.DeleteFunc(slices.Clone(containers), func(c Container) bool { return c.Role != role })
	return len(of) == 0 || slices.ContainsFunc(of, func(c Container) bool { return !c.Running })
}

// Mounts returns the mounts by service, as source:target, sorted, without anonymous volumes.
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

// mounts compares the mounts of a container with the mounts that a start would give it.
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
			found = append(found, fmt.Sprintf("%s keeps %s in an anonymous volume: after an outage the next container would get an empty one. Move the data to a named volume or a directory first.", c.called(one), m.Target))
		case m.Anonymous || service.Inherits || slices.Contains(service.Own, m.Target):
		default:
			found = append(found, fmt.Sprintf("%s would be recreated without its mount %s.", c.called(one), m))
		}
	}
	for _, target := range slices.Sorted(maps.Keys(would)) {
		found = append(found, fmt.Sprintf("%s would be recreated with an additional mount (%s:%s).", c.called(one), would[target], target))
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

// whose explains a difference between two paths that comes from $HOME or $PWD.
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
			return fmt.Sprintf(" Cause: the compose file uses $HOME, and Docker Compose runs as a user whose home is %s. Run it as the user whose home is %s (with the role: seqera_crypto_rotation_compose_user).", known.value, other)
		}
		return fmt.Sprintf(" Cause: the compose file uses $PWD or a relative path, and the Platform was started in %s. Set compose_dir to %s.", other, other)
	}
	return ""
}

// Moved returns, one sentence each, the differences from what an earlier run saw: the project, and the mounts of the services that
// both have.
func Moved(before Before, project string, mounts map[string][]string) []string {
	var found []string
	if before.Project != "" && before.Project != project {
		found = append(found, fmt.Sprintf("The Platform's project was %s and is now %s.", before.Project, project))
	}
	for _, name := range slices.Sorted(maps.Keys(before.Mounts)) {
		now, ok := mounts[name]
		if !ok {
			continue
		}
		was := slices.Sorted(slices.Values(before.Mounts[name]))
		if !slices.Equal(was, now) {
			found = append(found, fmt.Sprintf("Service %s has different mounts than before (%s instead of %s).", name, orNone(now), orNone(was)))
		}
	}
	return found
}

// moved compares the mounts that a start would give each service with those it had before. The containers also had mounts that the
// configuration does not list: secrets, configs and the mounts of volumes_from.
func (c Comparison) moved() []string {
	before, mounts := Before{Project: c.Before.Project, Mounts: map[string][]string{}}, map[string][]string{}
	for name, service := range c.Enabled.Services {
		had, known := c.Before.Mounts[name]
		if !known {
			continue
		}
		before.Mounts[name] = slices.DeleteFunc(slices.Clone(had), func(mount string) bool {
			target := mount[strings.LastIndex(mount, ":")+1:]
			listed := slices.ContainsFunc(service.Mounts, func(m Mount) bool { return m.Target == target })
			return slices.Contains(service.Own, target) || service.Inherits && !listed
		})
		mounts[name] = []string{}
		for _, m := range service.Mounts {
			mounts[name] = append(mounts[name], m.String())
		}
		slices.Sort(mounts[name])
	}
	return Moved(before, c.Project, mounts)
}

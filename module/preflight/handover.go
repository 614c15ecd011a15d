package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// NextName is the name of the container that is to take over a service, until it does. Then it has the service's name, which the
// Engine resolves on each of its networks.
func NextName(project, service string) string { return project + "-" + service + "-next" }

// Served are the containers without those that a handover, which was cut off, made beside a backend and that do not serve yet.
func Served(containers []Container) (served, beside []Container) {
	for _, c := range containers {
		twin := slices.ContainsFunc(containers, func(other Container) bool { return other.Service == c.Service && other.Name != c.Name && other.Begun })
		if c.Role == proof.RoleBackend && twin && (c.Name == NextName(c.Project, c.Service) || !c.Begun) {
			beside = append(beside, c)
			continue
		}
		served = append(served, c)
	}
	return served, beside
}

// Second is what the checks of a handover need to know of the backend, and of the VM.
type Second struct {
	Backends   []string // names of the services
	Service    Service  // of the one backend, as the compose files have it
	Containers []Container
	Taken      string // the container of somebody else that has the service's name
	HealthURL  string // of a backend itself
	Uses       int64  // bytes of memory that the running backend uses; 0: not known
	Available  int64  // bytes of memory that the VM has for more; 0: not known
}

// Handover says why no second backend can be started beside the first, a sentence a reason. memory says what is assumed.
func Handover(s Second) (problems []string, memory string) {
	const instead = "Set restart_scope to key_holders, or "
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(s.Backends) != 1 {
		say("A handover takes one backend service, and the option services names %d (%s). Set restart_scope to key_holders.", len(s.Backends), list(s.Backends))
		return problems, ""
	}
	name, count := s.Backends[0], 0
	for _, c := range s.Containers {
		if c.Service == name {
			count++
		}
	}
	if s.Service.Replicas != 1 || count > 1 {
		say("A handover takes one backend container, and service %s has %d. Set restart_scope to key_holders.", name, max(s.Service.Replicas, count))
	}
	if s.Service.ContainerName != "" {
		say("Service %s has container_name: %s, so no second container can be made. "+instead+"remove it.", name, s.Service.ContainerName)
	}
	if len(s.Service.Ports) > 0 || s.Service.PortsUnknown {
		say("Service %s publishes ports of the VM (%s), which a second container cannot have. "+instead+"remove them.", name, cmp.Or(strings.Join(s.Service.Ports, ", "), "any"))
	}
	if s.Service.NetworkMode != "" || s.Service.Fixed {
		say("Service %s has network_mode, or aliases or an address of its own on a network, which a second container cannot have. "+instead+"remove them.", name)
	}
	if s.Taken != "" {
		say("A container that is not this Platform's is called %s. The next backend needs this name. "+instead+"rename that container.", s.Taken)
	}
	if s.HealthURL == "" {
		say("A handover waits for the health of the next backend, and backend_health_url is empty. " + instead + "set it.")
	}
	switch {
	case s.Uses == 0 || s.Available == 0:
		memory = "whether the VM has the memory for two backends at once is not known"
	case s.Uses > s.Available:
		say("A second backend needs memory: the running one uses %s, and the VM has %s left. "+instead+"free some.", size(s.Uses), size(s.Available))
	default:
		memory = fmt.Sprintf("the next backend is assumed to need the %s that the running one uses; the VM has %s left", size(s.Uses), size(s.Available))
	}
	return problems, memory
}

func size(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

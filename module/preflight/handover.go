package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// NextName returns the temporary name of the container that is to take over a service. Once it takes over, it gets the name of the
// service, which the Engine resolves on each of the container's networks.
func NextName(project, service string) string { return project + "-" + service + "-next" }

// Serving separates the backends that an interrupted handover created next to a running backend, and that do not serve yet (pending),
// from all other containers (serving).
func Serving(containers []Container) (serving, pending []Container) {
	for _, c := range containers {
		twin := slices.ContainsFunc(containers, func(other Container) bool { return other.Service == c.Service && other.Name != c.Name && other.Begun })
		if c.Role == proof.RoleBackend && twin && (c.Name == NextName(c.Project, c.Service) || !c.Begun) {
			pending = append(pending, c)
			continue
		}
		serving = append(serving, c)
	}
	return serving, pending
}

// HandoverFacts is the input of Handover.
type HandoverFacts struct {
	Backends        []string // names of the backend services
	Service         Service  // the backend service in the compose files
	Containers      []Container
	NameTakenBy     string // a container outside the project that has the service's name
	HealthURL       string // backend_health_url
	MemoryUsed      int64  // bytes that the running backend uses; 0: not known
	MemoryAvailable int64  // bytes that the VM has left; 0: not known
}

// Handover returns, one sentence each, the reasons why no second backend can run next to the first. memory states what is assumed
// about memory.
func Handover(s HandoverFacts) (problems []string, memory string) {
	const instead = "Set restart_scope to key_holders, or "
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(s.Backends) != 1 {
		say("A handover requires exactly one backend service, but the option services names %d (%s). Set restart_scope to key_holders.", len(s.Backends), list(s.Backends))
		return problems, ""
	}
	name, count := s.Backends[0], 0
	for _, c := range s.Containers {
		if c.Service == name {
			count++
		}
	}
	if s.Service.Replicas != 1 || count > 1 {
		say("A handover requires exactly one backend container, but service %s has %d. Set restart_scope to key_holders.", name, max(s.Service.Replicas, count))
	}
	if s.Service.ContainerName != "" {
		say("Service %s has container_name: %s, so a second container cannot be created. "+instead+"remove it.", name, s.Service.ContainerName)
	}
	if len(s.Service.Ports) > 0 || s.Service.PortsUnknown {
		say("Service %s publishes ports of the VM (%s), which a second container cannot have. "+instead+"remove them.", name, cmp.Or(strings.Join(s.Service.Ports, ", "), "any"))
	}
	if s.Service.NetworkMode != "" || s.Service.Fixed {
		say("Service %s has network_mode, or aliases or an address of its own on a network, which a second container cannot have. "+instead+"remove them.", name)
	}
	if s.NameTakenBy != "" {
		say("A container that does not belong to this Platform is called %s. The next backend needs this name. "+instead+"rename that container.", s.NameTakenBy)
	}
	if s.HealthURL == "" {
		say("A handover waits until the next backend is healthy, but backend_health_url is empty. " + instead + "set it.")
	}
	switch {
	case s.MemoryUsed == 0 || s.MemoryAvailable == 0:
		memory = "it is not known whether the VM has enough memory for two backends"
	case s.MemoryUsed > s.MemoryAvailable:
		say("There is not enough memory for a second backend: the running one uses %s, and the VM has %s left. "+instead+"free some memory.", size(s.MemoryUsed), size(s.MemoryAvailable))
	default:
		memory = fmt.Sprintf("the next backend is assumed to need the %s that the running one uses; the VM has %s left", size(s.MemoryUsed), size(s.MemoryAvailable))
	}
	return problems, memory
}

func size(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

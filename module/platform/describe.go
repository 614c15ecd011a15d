package platform

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// describe turns inspected containers into services, in the order of service, then container.
func describe(project string, inspected []container.InspectResponse, services Services) Found {
	found := Found{Platform: proof.Platform{Project: project, Services: []proof.Service{}}}
	for _, c := range inspected {
		service := serviceOf(c, services)
		found.Platform.Services = append(found.Platform.Services, service)
		found.members = append(found.members, memberOf(c))
		found.containers = append(found.containers, containerOf(c, services))
		// Backends alone: another container, such as Groundswell's, may have a TOWER_DB_URL of its own.
		if service.Role == proof.RoleBackend {
			found.sources = append(found.sources, sourceOf(c))
		}
	}
	found.Platform.Mounts = preflight.Mounts(found.containers)
	slices.SortFunc(found.Platform.Services, func(a, b proof.Service) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Container, b.Container))
	})
	return found
}

func serviceOf(c container.InspectResponse, services Services) proof.Service {
	name := c.Config.Labels[labelService]
	service := proof.Service{
		Name: name, Role: roleOf(name, services), Container: strings.TrimPrefix(c.Name, "/"), Image: c.Config.Image, RestartCount: c.RestartCount,
	}
	if s := c.State; s != nil {
		service.State, service.ExitCode = s.Status, s.ExitCode
		service.StartedAt, service.FinishedAt = at(s.StartedAt), at(s.FinishedAt)
		if s.Health != nil && s.Health.Status != container.NoHealthcheck {
			service.Health = s.Health.Status
		}
	}
	return service
}

func roleOf(name string, services Services) proof.Role {
	switch {
	case slices.Contains(services.Backends, name):
		return proof.RoleBackend
	case slices.Contains(services.Cron, name):
		return proof.RoleCron
	case slices.Contains(services.Migrate, name):
		return proof.RoleMigrate
	}
	return proof.RoleOther
}

// at reads the Engine's time; 0001-01-01 is its way of saying never.
func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// sourceOf keeps of a backend's environment what says where the database is, and nothing else.
func sourceOf(c container.InspectResponse) source {
	s := source{container: strings.TrimPrefix(c.Name, "/"), running: c.State != nil && c.State.Running}
	var hosts []string
	if c.HostConfig != nil {
		hosts = c.HostConfig.ExtraHosts
	}
	s.read(environmentOf(c.Config.Env), endpointsOf(c), hosts)
	return s
}

// expected is what a backend will say once it is made.
func (f Found) expected(backend preflight.Service) source {
	s, attached := source{container: "backend (not created yet)"}, map[string]attachment{}
	for _, name := range backend.Networks {
		attached[name] = attachment{}
		for _, m := range f.members {
			if at, here := m.networks[name]; here && at.gateway != "" {
				attached[name] = attachment{gateway: at.gateway}
			}
		}
	}
	s.read(backend.Environment, attached, backend.ExtraHosts)
	return s
}

func (s *source) read(environment map[string]secret.Secret, attached map[string]attachment, extraHosts []string) {
	for name := range environment {
		s.tower = s.tower || strings.HasPrefix(name, "TOWER_")
	}
	url := environment["TOWER_DB_URL"]
	if s.told = !url.IsEmpty(); s.told {
		var why string
		if s.where, why = parseJDBC(strings.TrimSpace(url.Reveal())); why != "" {
			s.why = fmt.Sprintf("TOWER_DB_URL in the environment of container %s is not understood: %s.", s.container, why)
		}
	} else {
		s.why = fmt.Sprintf("The environment of container %s has no TOWER_DB_URL.", s.container)
	}
	s.where.User, s.where.Password = environment["TOWER_DB_USER"].Reveal(), environment["TOWER_DB_PASSWORD"]
	gateway := ""
	s.networks = slices.Sorted(maps.Keys(attached))
	for _, name := range s.networks {
		gateway = cmp.Or(gateway, attached[name].gateway)
	}
	s.hosts = map[string]string{}
	for _, entry := range extraHosts {
		host, address, _ := strings.Cut(entry, ":")
		if address == "host-gateway" {
			address = gateway // the VM itself, as seen from the container's network
		}
		if host != "" && address != "" {
			s.hosts[host] = address
		}
	}
}

func memberOf(c container.InspectResponse) member {
	m := member{container: strings.TrimPrefix(c.Name, "/"), networks: endpointsOf(c)}
	if c.State != nil {
		m.state = c.State.Status
	}
	for name, at := range m.networks {
		at.names = append(at.names, c.Config.Labels[labelService], m.container)
		m.networks[name] = at
	}
	return m
}

// attachment is a container's place on a network.
type attachment struct {
	address, gateway string // empty unless it runs
	names            []string
}

// endpointsOf gives the networks on which the Engine resolves names: all but the three that it brings along.
func endpointsOf(c container.InspectResponse) map[string]attachment {
	found := map[string]attachment{}
	if c.NetworkSettings == nil {
		return found
	}
	for name, at := range c.NetworkSettings.Networks {
		if at == nil || name == "bridge" || name == "host" || name == "none" {
			continue
		}
		found[name] = attachment{
			address: cmp.Or(at.IPAddress, at.GlobalIPv6Address), gateway: cmp.Or(at.Gateway, at.IPv6Gateway),
			names: slices.Concat(at.Aliases, at.DNSNames), // DNSNames since API 1.44
		}
	}
	return found
}

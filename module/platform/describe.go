package platform

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// describe converts inspected containers, and sorts the services by service, then container.
func describe(project string, inspected []container.InspectResponse, services Services) Found {
	found := Found{Platform: proof.Platform{Project: project, Services: []proof.Service{}}}
	for _, c := range inspected {
		made := containerOf(c, services)
		found.Platform.Services = append(found.Platform.Services, serviceOf(c, made))
		found.containers, found.members = append(found.containers, made), append(found.members, made)
		// Only backends count: another container, such as Groundswell's, may have its own TOWER_DB_URL.
		if made.Role == proof.RoleBackend {
			found.backends = append(found.backends, made)
		}
	}
	found.Platform.Mounts = preflight.Mounts(found.containers)
	slices.SortFunc(found.Platform.Services, func(a, b proof.Service) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Container, b.Container))
	})
	return found
}

func serviceOf(c container.InspectResponse, made preflight.Container) proof.Service {
	service := proof.Service{
		Name: made.Service, Role: made.Role, Container: made.Name, Image: made.Image, State: made.State, ExitCode: made.ExitCode, RestartCount: c.RestartCount,
	}
	if s := c.State; s != nil {
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

// at parses a time of the Engine, which writes 0001-01-01 for "never".
func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// attachments returns the networks on which the Engine resolves names: all except its three predefined networks.
func attachments(c container.InspectResponse) map[string]preflight.Attachment {
	found := map[string]preflight.Attachment{}
	if c.NetworkSettings == nil {
		return found
	}
	for name, at := range c.NetworkSettings.Networks {
		if at == nil || name == "bridge" || name == "host" || name == "none" {
			continue
		}
		found[name] = preflight.Attachment{
			Address: cmp.Or(at.IPAddress, at.GlobalIPv6Address), Gateway: cmp.Or(at.Gateway, at.IPv6Gateway),
			Names: slices.Concat(at.Aliases, at.DNSNames, []string{c.Config.Labels[labelService], strings.TrimPrefix(c.Name, "/")}), // DNSNames since API 1.44
		}
	}
	return found
}

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

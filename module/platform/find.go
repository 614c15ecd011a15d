package platform

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// Labels that docker compose puts on its containers (compose's pkg/api/labels.go).
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelOneOff  = "com.docker.compose.oneoff"
)

// Services are the names of the compose services, by role.
type Services struct{ Migrate, Backends, Cron []string }

// Query says which project to find. Without a Project, it is the project with backend and cron; if there are several, the one that was
// started in Dir.
type Query struct {
	Project  string
	Dir      string
	Services Services
}

// Found is a compose project with its containers.
type Found struct {
	Platform proof.Platform

	containers []preflight.Container
	backends   []preflight.Container // candidates for Found.backend
	members    []preflight.Container // containers that the name of the database's host may refer to
}

// Find returns the project's containers in any state, except one-off containers, sorted by service, then by container. Its errors are
// faults: platform_not_found, platform_ambiguous, docker_unavailable, interrupted.
func (e *Engine) Find(ctx context.Context, query Query) (Found, error) {
	list, err := e.list(ctx)
	if err != nil {
		return Found{}, err
	}
	project, err := choose(list, query)
	if err != nil {
		return Found{}, err
	}
	found, err := e.project(ctx, list, project, query.Services)
	if err != nil {
		return Found{}, err
	}
	if len(found.Platform.Services) == 0 {
		return Found{}, notFound(fmt.Sprintf("The containers of the compose project %q disappeared while they were inspected.", project))
	}
	if query.Project == "" && len(found.Platform.Of(proof.RoleCron)) == 0 && !slices.ContainsFunc(found.backends, isTower) {
		return Found{}, notFound(noProject(query.Services) + fmt.Sprintf(" %q has a backend, but its settings are not those of the Platform.", project))
	}
	err = e.addForeign(ctx, list, &found)
	return found, err
}

// Await is like Find, for a project that is being started. If there is no backend container yet, it uses the backend service of the
// compose files to find the database.
func (e *Engine) Await(ctx context.Context, query Query, backend preflight.Service) (Found, error) {
	list, err := e.list(ctx)
	if err != nil {
		return Found{}, err
	}
	found, err := e.project(ctx, list, query.Project, query.Services)
	if err != nil {
		return Found{}, err
	}
	if len(found.backends) == 0 {
		found.backends = append(found.backends, found.expected(backend))
	}
	err = e.addForeign(ctx, list, &found)
	return found, err
}

// project returns the compose project with this name, from the listed containers.
func (e *Engine) project(ctx context.Context, list []container.Summary, name string, services Services) (Found, error) {
	inspected, err := e.inspect(ctx, list, func(c container.Summary) bool { return isService(c) && c.Labels[labelProject] == name })
	return describe(name, inspected, services), err
}

// isTower reports whether a container has settings of the Platform.
func isTower(c preflight.Container) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(c.Environment)), func(name string) bool { return strings.HasPrefix(name, "TOWER_") })
}

// addForeign adds the containers outside the project that may run the database.
func (e *Engine) addForeign(ctx context.Context, list []container.Summary, found *Found) error {
	if !found.needsForeign() {
		return nil
	}
	foreign, err := e.inspect(ctx, list, func(c container.Summary) bool {
		return c.Labels[labelProject] != found.Platform.Project && found.shares(c)
	})
	for _, c := range foreign {
		found.members = append(found.members, containerOf(c, Services{}))
	}
	return err
}

// askTimeout is the timeout of one request: an Engine with a hanging container may never answer.
const askTimeout = 30 * time.Second

func (e *Engine) list(ctx context.Context) ([]container.Summary, error) {
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list, err := e.client.ContainerList(limited, container.ListOptions{All: true})
	if err != nil {
		return nil, e.broken(ctx, "it does not list its containers", err)
	}
	return list, nil
}

func (e *Engine) inspectOne(ctx context.Context, name string) (container.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return e.client.ContainerInspect(ctx, name)
}

// inspect inspects the wanted containers and sorts them by name. It skips a container that disappeared since it was listed.
func (e *Engine) inspect(ctx context.Context, list []container.Summary, wanted func(container.Summary) bool) ([]container.InspectResponse, error) {
	var inspected []container.InspectResponse
	for _, summary := range list {
		if !wanted(summary) {
			continue
		}
		c, err := e.inspectOne(ctx, summary.ID)
		if cerrdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, e.broken(ctx, "it does not inspect container "+nameOf(summary), err)
		}
		if c.ContainerJSONBase != nil && c.Config != nil {
			inspected = append(inspected, c)
		}
	}
	slices.SortFunc(inspected, func(a, b container.InspectResponse) int { return strings.Compare(a.Name, b.Name) })
	return inspected, nil
}

func nameOf(c container.Summary) string {
	if len(c.Names) == 0 {
		return c.ID
	}
	return strings.TrimPrefix(c.Names[0], "/")
}

func isService(c container.Summary) bool {
	return c.Labels[labelService] != "" && !strings.EqualFold(c.Labels[labelOneOff], "true")
}

// choose returns the name of the project. Cron starts last, so if no project has both backend and cron, a backend is enough.
func choose(list []container.Summary, query Query) (string, error) {
	projects, backend, cron, here := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range list {
		if !isService(c) {
			continue
		}
		project, service := c.Labels[labelProject], c.Labels[labelService]
		projects[project] = true
		here[project] = here[project] || (query.Dir != "" && filepath.Clean(query.Dir) == c.Labels[labelDir])
		backend[project] = backend[project] || slices.Contains(query.Services.Backends, service)
		cron[project] = cron[project] || slices.Contains(query.Services.Cron, service)
	}
	if query.Project != "" {
		if !projects[query.Project] {
			return "", notFound(fmt.Sprintf("No container belongs to the compose project %q; %s.", query.Project, known(projects)))
		}
		return query.Project, nil
	}
	inDir := which(projects, func(p string) bool { return here[p] && backend[p] })
	both := which(projects, func(p string) bool { return backend[p] && cron[p] })
	alone := which(projects, func(p string) bool { return backend[p] && !cron[p] })
	for _, candidates := range [][]string{inDir, both} {
		switch len(candidates) {
		case 0:
		case 1:
			return candidates[0], nil
		default:
			return "", fault.New(fault.CodePlatformAmbiguous, "Set compose_project to the right one.",
				"Several compose projects look like a Platform: %s.", strings.Join(candidates, ", "))
		}
	}
	switch len(alone) {
	case 0:
		return "", notFound(noProject(query.Services))
	case 1:
		return alone[0], nil
	}
	return "", notFound(noProject(query.Services) + fmt.Sprintf(" Several have a backend but no cron: %s.", strings.Join(alone, ", ")))
}

func which(projects map[string]bool, is func(string) bool) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(projects)), func(project string) bool { return !is(project) })
}

func known(projects map[string]bool) string {
	if len(projects) == 0 {
		return "there are no compose projects here"
	}
	return "the projects here are: " + strings.Join(slices.Sorted(maps.Keys(projects)), ", ")
}

func noProject(services Services) string {
	return fmt.Sprintf("No compose project has containers of a service %s and of a service %s.", strings.Join(services.Backends, " or "), strings.Join(services.Cron, " or "))
}

func notFound(what string) *fault.Fault {
	return fault.New(fault.CodePlatformNotFound, "If the project is down (docker compose down removes its containers), start it: if a rotation is open, with rotate_crypto.yml, which keeps the order; otherwise with docker compose up -d. If it is not down, set compose_project or services.",
		"%s", what)
}

// Package platform looks at the Platform's compose project through the Docker Engine: which services run, since when,
// whether they are ready, and where the database is. It changes nothing. How records are encrypted is in package sealed,
// how they are read in package records, and what is in SSM in package parameters.
package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// Labels that docker compose puts on its containers (compose's pkg/api/labels.go).
const (
	labelProject = "com.docker.compose.project"
	labelService = "com.docker.compose.service"
	labelOneOff  = "com.docker.compose.oneoff"
)

// Engine is a Docker Engine, 20.10 or later; the API version is negotiated.
type Engine struct {
	client *client.Client
	host   string
}

// Connect reaches the Engine at host (unix:///…, tcp://…); empty means the local socket. Its error is a
// docker_unavailable fault that tells an absent socket from a refused one.
func Connect(ctx context.Context, host string) (*Engine, error) {
	options := []client.Opt{client.WithAPIVersionNegotiation()}
	if host == "" {
		host = client.DefaultDockerHost
	}
	options = append(options, client.WithHost(host))
	c, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, unavailable(host, "the address is not understood", "Check docker_host.", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := c.Ping(ctx); err != nil {
		_ = c.Close()
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil, unavailable(host, "permission denied", "Run the task with become: true, or as a member of the group docker.", err)
		case errors.Is(err, fs.ErrNotExist):
			return nil, unavailable(host, "there is no such socket", "Install or start Docker, or set docker_host.", err)
		default:
			return nil, unavailable(host, "it does not answer", "Start it (systemctl start docker), or set docker_host.", err)
		}
	}
	return &Engine{client: c, host: host}, nil
}

// Close ends the connection.
func (e *Engine) Close() { _ = e.client.Close() }

func unavailable(host, why, next string, err error) *rotation.Fault {
	return &rotation.Fault{
		Code: rotation.CodeDockerUnavailable, What: fmt.Sprintf("The Docker Engine at %s cannot be asked: %s.", host, why),
		State: "Nothing was written.", Next: next, Cause: err,
	}
}

// Services are the names of the compose services that play a part.
type Services struct{ Migrate, Backends, Cron []string }

// Query says which compose project is meant; an empty project means the one that has a backend and a cron service.
type Query struct {
	Project  string
	Services Services
}

// Found is a compose project with what its containers are.
type Found struct {
	Platform rotation.Platform
	backends []container.InspectResponse
	all      []container.InspectResponse
}

// Find looks for the project's containers, whatever their state; one-off containers are left out.
func (e *Engine) Find(ctx context.Context, query Query) (Found, error) {
	only := filters.NewArgs(filters.Arg("label", labelService))
	if query.Project != "" {
		only.Add("label", labelProject+"="+query.Project)
	}
	list, err := e.client.ContainerList(ctx, container.ListOptions{All: true, Filters: only})
	if err != nil {
		return Found{}, unavailable(e.host, "it does not list its containers", "Look at its log.", err)
	}
	list = slices.DeleteFunc(list, func(c container.Summary) bool { return strings.EqualFold(c.Labels[labelOneOff], "true") })
	project, err := choose(list, query)
	if err != nil {
		return Found{}, err
	}
	found := Found{Platform: rotation.Platform{Project: project, Services: []rotation.Service{}}}
	for _, summary := range list {
		if summary.Labels[labelProject] != project {
			continue
		}
		inspected, err := e.client.ContainerInspect(ctx, summary.ID)
		if client.IsErrNotFound(err) {
			continue // it went away since it was listed
		}
		if err != nil {
			return Found{}, unavailable(e.host, "it does not inspect container "+summary.ID[:12], "Look at its log.", err)
		}
		found.add(inspected, query.Services)
	}
	slices.SortFunc(found.Platform.Services, func(a, b rotation.Service) int {
		return strings.Compare(a.Name+"\x00"+a.Container, b.Name+"\x00"+b.Container)
	})
	return found, nil
}

// choose gives the project's name: the one asked for, or the only one that looks like a Platform.
func choose(list []container.Summary, query Query) (string, error) {
	if query.Project != "" {
		if len(list) == 0 {
			return "", notFound(fmt.Sprintf("No container belongs to the compose project %q.", query.Project))
		}
		return query.Project, nil
	}
	backend, cron := map[string]bool{}, map[string]bool{}
	for _, c := range list {
		project, service := c.Labels[labelProject], c.Labels[labelService]
		backend[project] = backend[project] || slices.Contains(query.Services.Backends, service)
		cron[project] = cron[project] || slices.Contains(query.Services.Cron, service)
	}
	var both, one []string
	for project := range backend {
		switch {
		case backend[project] && cron[project]:
			both = append(both, project)
		case backend[project] || cron[project]:
			one = append(one, project)
		}
	}
	slices.Sort(both)
	if len(both) == 0 && len(one) == 1 {
		both = one // cron starts last: until then there is only a backend
	}
	switch len(both) {
	case 1:
		return both[0], nil
	case 0:
		return "", notFound(fmt.Sprintf("No compose project has a service of %v and one of %v.", query.Services.Backends, query.Services.Cron))
	}
	return "", &rotation.Fault{
		Code: rotation.CodePlatformAmbiguous, What: fmt.Sprintf("Several compose projects look like a Platform: %s.", strings.Join(both, ", ")),
		State: "Nothing was written.", Next: "Name the one that is meant with compose_project.",
	}
}

func notFound(what string) *rotation.Fault {
	return &rotation.Fault{
		Code: rotation.CodePlatformNotFound, What: what, State: "Nothing was written.",
		Next: "Start the Platform if it is down (docker compose up -d); otherwise set compose_project or services.",
	}
}

func (f *Found) add(c container.InspectResponse, services Services) {
	name := c.Config.Labels[labelService]
	service := rotation.Service{
		Name: name, Role: roleOf(name, services), Container: strings.TrimPrefix(c.Name, "/"), Image: c.Config.Image, RestartCount: c.RestartCount,
	}
	if s := c.State; s != nil {
		service.State, service.ExitCode = s.Status, s.ExitCode
		service.StartedAt, service.FinishedAt = at(s.StartedAt), at(s.FinishedAt)
		if s.Health != nil && s.Health.Status != container.NoHealthcheck {
			service.Health = s.Health.Status
		}
	}
	if service.Role == rotation.RoleBackend {
		f.backends = append(f.backends, c)
	}
	f.all = append(f.all, c)
	f.Platform.Services = append(f.Platform.Services, service)
}

func roleOf(name string, services Services) rotation.Role {
	switch {
	case slices.Contains(services.Backends, name):
		return rotation.RoleBackend
	case slices.Contains(services.Cron, name):
		return rotation.RoleCron
	case slices.Contains(services.Migrate, name):
		return rotation.RoleMigrate
	}
	return rotation.RoleOther
}

// at reads the Engine's time; 0001-01-01 is its way of saying never.
func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() <= 1 {
		return time.Time{}
	}
	return t
}

// Tail gives the last lines of a container's log. They may hold anything: the caller scrubs the secrets it knows.
func (e *Engine) Tail(ctx context.Context, name string, lines int) (string, error) {
	inspected, err := e.client.ContainerInspect(ctx, name)
	if err != nil {
		return "", fmt.Errorf("container %s: %w", name, err)
	}
	stream, err := e.client.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines)})
	if err != nil {
		return "", fmt.Errorf("log of container %s: %w", name, err)
	}
	defer func() { _ = stream.Close() }()
	var out bytes.Buffer
	if inspected.Config.Tty {
		_, err = out.ReadFrom(stream)
	} else {
		_, err = stdcopy.StdCopy(&out, &out, stream)
	}
	if err != nil {
		return "", fmt.Errorf("log of container %s: %w", name, err)
	}
	return out.String(), nil
}

package platform

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Labels that say how compose was run (compose's pkg/api/labels.go).
const (
	labelDir     = "com.docker.compose.project.working_dir"
	labelFiles   = "com.docker.compose.project.config_files"
	labelEnvFile = "com.docker.compose.project.environment_file"
	labelVersion = "com.docker.compose.version"
	labelImage   = "com.docker.compose.image"
)

// Containers returns the project's containers.
func (f Found) Containers() []preflight.Container { return f.containers }

// Survey is like Find, for a Platform that may be down. others are the backends and crons of other projects. Its errors are faults.
func (e *Engine) Survey(ctx context.Context, query Query) (found Found, others []preflight.Container, err error) {
	list, err := e.list(ctx)
	if err != nil {
		return Found{}, nil, err
	}
	found, err = e.project(ctx, list, query.Project, query.Services)
	for i := range found.containers {
		if err == nil {
			err = e.addFromImage(ctx, &found.containers[i])
		}
	}
	if err != nil {
		return Found{}, nil, err
	}
	for _, c := range list {
		role := roleOf(c.Labels[labelService], query.Services)
		if isService(c) && c.Labels[labelProject] != query.Project && role.HoldsKeys() {
			others = append(others, preflight.Container{
				Name: nameOf(c), Service: c.Labels[labelService], Project: c.Labels[labelProject], Role: role, Image: c.Image, Dir: c.Labels[labelDir],
			})
		}
	}
	return found, others, nil
}

// addFromImage adds the environment that a container gets from its image.
func (e *Engine) addFromImage(ctx context.Context, c *preflight.Container) error {
	if len(c.ImageIDs) == 0 {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	image, err := e.client.ImageInspect(limited, c.ImageIDs[len(c.ImageIDs)-1])
	switch {
	case err != nil && !cerrdefs.IsNotFound(err):
		return e.broken(ctx, "it does not inspect the image of container "+c.Name, err)
	case err == nil && image.Config != nil:
		c.FromImage = environmentOf(image.Config.Env)
	}
	return nil
}

// Images returns the image ID of each reference, or "" for an image that is not on this VM. Its errors are faults.
func (e *Engine) Images(ctx context.Context, references []string) (map[string]string, error) {
	found := map[string]string{}
	for _, reference := range references {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		image, err := e.client.ImageInspect(limited, reference)
		cancel()
		if err != nil && !cerrdefs.IsNotFound(err) {
			return nil, e.broken(ctx, "it does not inspect the image "+reference, err)
		}
		found[reference] = image.ID
	}
	return found, nil
}

func containerOf(c container.InspectResponse, services Services) preflight.Container {
	name := c.Config.Labels[labelService]
	made := preflight.Container{
		Name: strings.TrimPrefix(c.Name, "/"), Service: name, Project: c.Config.Labels[labelProject], Role: roleOf(name, services),
		Dir: c.Config.Labels[labelDir], Files: split(c.Config.Labels[labelFiles]), EnvFiles: split(c.Config.Labels[labelEnvFile]), Compose: c.Config.Labels[labelVersion],
		Image: c.Config.Image, Environment: environmentOf(c.Config.Env), Networks: attachments(c),
	}
	for _, id := range []string{c.Config.Labels[labelImage], c.Image} {
		if id != "" {
			made.ImageIDs = append(made.ImageIDs, id)
		}
	}
	if c.State != nil {
		made.State, made.Running, made.ExitCode = c.State.Status, c.State.Running, c.State.ExitCode
		made.Begun = !at(c.State.StartedAt).IsZero()
	}
	for _, m := range c.Mounts {
		switch m.Type {
		case mount.TypeBind:
			made.Mounts = append(made.Mounts, preflight.Mount{Source: m.Source, Target: m.Destination})
		case mount.TypeVolume:
			made.Mounts = append(made.Mounts, preflight.Mount{Source: m.Name, Target: m.Destination, Anonymous: isAnonymous(m.Name)})
		default:
		}
	}
	if c.HostConfig != nil {
		made.ExtraHosts = c.HostConfig.ExtraHosts
		for port, bindings := range c.HostConfig.PortBindings {
			for _, b := range bindings {
				made.Ports = append(made.Ports, preflight.Port(b.HostIP, b.HostPort, string(port)))
			}
		}
		slices.Sort(made.Ports)
	}
	for _, network := range slices.Sorted(maps.Keys(made.Networks)) {
		if address := made.Networks[network].Address; address != "" {
			made.Addresses = append(made.Addresses, address)
		}
	}
	return made
}

func split(label string) []string {
	if label == "" {
		return nil
	}
	return strings.Split(label, ",")
}

// isAnonymous reports whether the Engine generated a volume's name: 64 hexadecimal digits.
func isAnonymous(name string) bool {
	return len(name) == 64 && strings.Trim(name, "0123456789abcdef") == ""
}

func environmentOf(entries []string) map[string]secret.Secret {
	environment := map[string]secret.Secret{}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = secret.New(value)
	}
	return environment
}

// Settings reads the Platform's configuration, tower.yml, if it is mounted from a file on the VM. Both maps have the path on the VM as
// key: texts has the content, unreadable the reason why a file cannot be read.
func Settings(containers []preflight.Container) (texts, unreadable map[string]string) {
	texts, unreadable = map[string]string{}, map[string]string{}
	for _, c := range containers {
		for _, m := range c.Mounts {
			if m.Target != "/tower.yml" {
				continue
			}
			text, err := os.ReadFile(m.Source)
			if err != nil {
				unreadable[m.Source] = fault.Reason(err)
				continue
			}
			texts[m.Source] = string(text)
		}
	}
	return texts, unreadable
}

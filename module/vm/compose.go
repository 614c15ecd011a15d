package vm

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
)

// compose returns what a start would create and what is running, and how to run Docker Compose. If the project is not known, it takes it
// from the compose files and updates found and others.
func (v *VM) compose(ctx context.Context, found *platform.Found, others *[]preflight.Container) (preflight.Comparison, platform.Composer, error) {
	none, before := preflight.Comparison{}, v.about.Before
	composer, err := v.composer(found.Containers(), found.Platform.Project)
	if err != nil {
		return none, composer, err
	}
	version, err := composer.Version(ctx)
	if err != nil {
		return none, composer, err
	}
	every := composer
	every.Profiles = []string{"*"}
	all, err := every.Config(ctx)
	if err != nil {
		return none, composer, err
	}
	if composer.Project == "" {
		composer.Project = all.Project
		query := v.query()
		query.Project = all.Project
		if *found, *others, err = v.engine.Survey(ctx, query); err != nil {
			return none, composer, err
		}
	}
	containers, second := preflight.Serving(found.Containers())
	composer.Profiles = v.about.Compose.ComposeProfiles
	if len(composer.Profiles) == 0 {
		composer.Profiles = preflight.Profiles(all, containers, before.Profiles)
	}
	home, _ := os.UserHomeDir() // "" if it is not known
	comparison := preflight.Comparison{
		Project: composer.Project, Dir: composer.Dir, Home: home, Compose: version, All: all, Containers: containers, Second: second,
		Foreign: alike(*others, composer.Dir, all, v.about.Options.Services), Database: found.DatabaseContainer(),
	}
	composer.Secrets = append(composer.Secrets, all.Secrets()...)
	if err := v.start(ctx, composer, &comparison); err != nil {
		return none, composer, err
	}
	if before.Project != "" {
		comparison.Before = &preflight.Before{Project: before.Project, Mounts: before.Mounts}
	}
	return comparison, composer, nil
}

func (v *VM) start(ctx context.Context, composer platform.Composer, c *preflight.Comparison) (err error) {
	if c.Enabled, err = composer.Config(ctx); err != nil {
		return err
	}
	var images []string
	for _, service := range c.Enabled.Services {
		images = append(images, service.Image)
	}
	if c.Images, err = v.engine.Images(ctx, images); err != nil {
		return err
	}
	missing := slices.ContainsFunc(images, func(image string) bool { return c.Images[image] == "" })
	if len(c.Containers) > 0 && !missing { // if an image is missing, a dry run reports only that
		c.Events, err = composer.DryRun(ctx)
	}
	return err
}

// alike returns the containers of other projects that were started in this directory, or from the Platform's images.
func alike(others []preflight.Container, dir string, all preflight.Config, services options.Services) []preflight.Container {
	images := map[string]bool{}
	for _, name := range slices.Concat(services.Backends, services.Cron) {
		images[all.Services[name].Image] = true
	}
	return slices.DeleteFunc(slices.Clone(others), func(c preflight.Container) bool { return c.Dir != dir && !images[c.Image] })
}

// composer returns how to run Docker Compose: from the options, or else as the containers were started, or else from the option
// platform.
func (v *VM) composer(containers []preflight.Container, project string) (platform.Composer, error) {
	asked, before := v.about.Compose, v.about.Before
	made := platform.Composer{Project: project, Dir: asked.ComposeDir, Files: asked.ComposeFiles, EnvFiles: asked.ComposeEnvFiles, DockerHost: v.about.Options.DockerHost, Secrets: environments(containers)}
	var from preflight.Container
	for _, c := range containers {
		if c.Dir != "" && (from.Dir == "" || c.Role.HoldsKeys()) {
			from = c
		}
	}
	if from.Dir == "" {
		from = preflight.Container{Dir: before.Dir, Files: before.Files, EnvFiles: before.EnvFiles}
	}
	made.Dir = strings.TrimRight(cmp.Or(made.Dir, from.Dir), "/")
	if made.Dir == "" {
		return made, fault.New(fault.CodeComposeUnavailable, "Set compose_dir, or start the Platform (docker compose up -d in its directory).",
			"The Platform is down, and the directory of its compose files is not known.")
	}
	if from.Dir == made.Dir {
		if len(made.Files) == 0 {
			made.Files = from.Files
		}
		if len(made.EnvFiles) == 0 {
			made.EnvFiles = from.EnvFiles
		}
	}
	made.Files, made.EnvFiles = below(made.Dir, made.Files), below(made.Dir, made.EnvFiles)
	return made, nil
}

func below(dir string, paths []string) []string {
	whole := []string{}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		whole = append(whole, path)
	}
	return whole
}

// toRun returns the result: how to run Docker Compose from now on.
func toRun(c preflight.Comparison, how platform.Composer, services options.Services) *platform.Compose {
	made := &platform.Compose{
		Project: how.Project, Dir: how.Dir, Files: how.Files, EnvFiles: how.EnvFiles, Profiles: list(how.Profiles), Version: c.Compose,
		Mounts: map[string][]string{}, Services: map[string]platform.ComposeService{}, SecondBackends: []string{},
		KeepsAddresses: c.KeepsAddresses(slices.Concat(services.Backends, services.Cron, services.Migrate), services.Backends),
		Order:          c.Order(services.Migrate, services.Backends, services.Cron),
	}
	if c.Before != nil && preflight.Down(c.Containers) { // an interrupted run has removed the containers of some services
		maps.Copy(made.Mounts, c.Before.Mounts)
	}
	maps.Copy(made.Mounts, preflight.Mounts(c.Containers))
	for _, one := range c.Second {
		made.SecondBackends = append(made.SecondBackends, one.Name)
	}
	for name, service := range c.All.Services {
		_, enabled := c.Enabled.Services[name]
		one := platform.ComposeService{DependsOn: list(service.DependsOn), Enabled: enabled && service.Replicas > 0, Running: slices.Contains(made.Running, name), Image: service.Image}
		made.Services[name] = one
	}
	return made
}

// list returns a copy that is never nil, so that a result has [] and not null.
func list[T any](of []T) []T { return append([]T{}, of...) }

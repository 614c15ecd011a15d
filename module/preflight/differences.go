package preflight

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Comparison is the input of Differences: what compose would start, and what is running.
type Comparison struct {
	Project    string
	Dir        string            // where compose is run
	Home       string            // home directory of the user who runs compose
	Compose    string            // version of Docker Compose
	All        Config            // all services, whatever their profiles
	Enabled    Config            // the services that a plain up starts
	Containers []Container       // without those in Second
	Second     []Container       // backends that an interrupted handover created, and that do not serve
	Foreign    []Container       // backends and crons of other projects, from the same directory or images
	Images     map[string]string // image ID by reference; empty if the image is not on this VM
	Events     []Event
	Database   string // the database's container; empty if it is not in the project
	Before     *Before
}

// Before is what an earlier run saw.
type Before struct {
	Project string
	Mounts  map[string][]string
}

// Differences returns, one sentence each, how the Platform after a start would differ from the one that is running, and warnings.
func Differences(c Comparison) (differences, warnings []string) {
	down := Down(c.Containers)
	add := func(sentences ...string) {
		for _, one := range sentences {
			if !slices.Contains(differences, one) {
				differences = append(differences, one)
			}
		}
	}
	add(c.elsewhere()...)
	add(c.secondPlatform()...)
	if c.Before != nil {
		add(c.moved()...)
	}
	for _, name := range slices.Sorted(maps.Keys(c.All.Services)) {
		add(c.service(name)...)
	}
	// An interrupted run may have stopped them in its outage.
	if !down && c.Before == nil {
		add(c.notRunning()...)
	}
	for _, name := range c.orphans() {
		add(fmt.Sprintf("Service %s is running, but it is not in the compose files: a start would not start it.", name))
	}
	add(c.missingImages()...)
	for _, name := range slices.Sorted(maps.Keys(c.Enabled.Services)) {
		if c.Enabled.Services[name].AlwaysPulls {
			warnings = append(warnings, fmt.Sprintf("Service %s pulls a newer image at every start (pull_policy). The outage may upgrade it.", name))
		}
	}
	return differences, warnings
}

// elsewhere checks whether compose created the containers in another directory.
func (c Comparison) elsewhere() []string {
	for _, one := range c.Containers {
		if one.Dir != "" && one.Dir != c.Dir && one.Role.HoldsKeys() {
			return []string{fmt.Sprintf("The Platform was started in the directory %s, not in %s. Set compose_dir to %s.", one.Dir, c.Dir, one.Dir)}
		}
	}
	return nil
}

// secondPlatform checks whether a start would create a second Platform next to the one of another project.
func (c Comparison) secondPlatform() []string {
	if slices.ContainsFunc(c.Containers, func(one Container) bool { return one.Role.HoldsKeys() }) {
		return nil
	}
	var projects []string
	for _, stranger := range c.Foreign {
		projects = append(projects, stranger.Project)
	}
	slices.Sort(projects)
	var said []string
	for _, project := range slices.Compact(projects) {
		said = append(said, fmt.Sprintf("A second Platform would start: project %s has no backend and no cron, but project %s runs both. Set compose_project to %s.", c.Project, project, project))
	}
	return said
}

// service compares a service in the compose files with its containers.
func (c Comparison) service(name string) []string {
	var found []string
	say := func(sentences ...string) { found = append(found, sentences...) }
	service := c.All.Services[name]
	for _, one := range c.Containers {
		if one.Service != name {
			continue
		}
		before := len(found)
		say(c.mounts(one, service)...)
		say(c.image(one, service)...)
		if names := environment(one, service); len(names) > 0 {
			say(fmt.Sprintf("Service %s would get a different environment: %s. Cause: a pending edit of the compose file or an env file, or a variable that was set only when the Platform was started.", name, strings.Join(names, ", ")))
		}
		if one.Running && !service.PortsUnknown && !slices.Equal(slices.Sorted(slices.Values(one.Ports)), service.Ports) {
			say(fmt.Sprintf("Service %s would publish different ports (%s instead of %s).", name, orNone(service.Ports), orNone(one.Ports)))
		}
		for _, event := range c.Events {
			if event.Container == one.Name && one.Running {
				say(c.event(event.Action, one, len(found) > before)...)
			}
		}
	}
	for _, event := range c.Events {
		if event.Action == "Creating" && !slices.ContainsFunc(c.Containers, func(one Container) bool { return one.Name == event.Container }) && c.runs(name) && created(event.Container, name, c.Project) {
			say(fmt.Sprintf("Service %s would get an additional container (%s).", name, event.Container))
		}
	}
	return found
}

func orNone(names []string) string { return cmp.Or(strings.Join(names, ", "), "none") }

func created(container, service, project string) bool {
	number, ok := strings.CutPrefix(container, project+"-"+service+"-")
	return ok && strings.Trim(number, "0123456789") == ""
}

func (c Comparison) runs(service string) bool {
	return slices.ContainsFunc(c.Containers, func(one Container) bool { return one.Service == service && one.Running })
}

func (c Comparison) event(action string, one Container, explained bool) []string {
	switch action {
	case "Recreate":
		if explained {
			return nil // another sentence gives the reason
		}
		cause := "a pending edit of the compose files, such as another command or health check"
		if one.Compose != "" && one.Compose != c.Compose {
			cause = fmt.Sprintf("Docker Compose %s created it, and %s is installed now; or a pending edit of the compose files", one.Compose, c.Compose)
		}
		return []string{fmt.Sprintf("Service %s would be recreated, with the same mounts, image, environment and ports. Cause: %s. Apply it first (docker compose up -d).", one.Service, cause)}
	case "Stopping", "Removing":
		return []string{fmt.Sprintf("Container %s would be removed. Cause: the compose files have fewer replicas of service %s.", one.Name, one.Service)}
	}
	return nil
}

func (c Comparison) image(one Container, service Service) []string {
	if one.Image != service.Image {
		return []string{fmt.Sprintf("Service %s would run a different image (%s instead of %s). A rotation is not an upgrade: apply the upgrade first, or restore the old image.", one.Service, service.Image, one.Image)}
	}
	now := c.Images[service.Image]
	if now != "" && len(one.ImageIDs) > 0 && !slices.Contains(one.ImageIDs, now) {
		return []string{fmt.Sprintf("Service %s would run a different image: %s was pulled or built again since its container was created.", one.Service, service.Image)}
	}
	return nil
}

// missingImages checks whether a start would have to pull images.
func (c Comparison) missingImages() []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(c.Enabled.Services)) {
		service := c.Enabled.Services[name]
		if id, asked := c.Images[service.Image]; asked && id == "" && service.Replicas > 0 {
			found = append(found, fmt.Sprintf("The image %s of service %s is not on this VM. Pull it first (docker compose pull %s).", service.Image, name, name))
		}
	}
	return found
}

// environment returns the names of the variables that differ, never a value.
func environment(one Container, service Service) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(service.Environment)) {
		has, ok := one.Environment[name]
		switch {
		case !ok:
			names = append(names, name+" (only in the compose files)")
		case !has.Equal(service.Environment[name]):
			names = append(names, name+" (a different value)")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(one.Environment)) {
		if _, ok := service.Environment[name]; ok {
			continue
		}
		if brought, ok := one.FromImage[name]; !ok || !brought.Equal(one.Environment[name]) {
			names = append(names, name+" (only in the container)")
		}
	}
	return names
}

// notRunning checks for services that are not running and that a start would start.
func (c Comparison) notRunning() []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(c.Enabled.Services)) {
		service := c.Enabled.Services[name]
		if service.Replicas == 0 || c.runs(name) {
			continue
		}
		of := slices.DeleteFunc(slices.Clone(c.Containers), func(one Container) bool { return one.Service != name })
		through := service.Once && !slices.ContainsFunc(of, func(one Container) bool { return one.ExitCode != 0 })
		// The role runs migrate with docker compose run --rm, which leaves no container.
		if through && (len(of) > 0 || service.WaitedFor) {
			continue
		}
		found = append(found, fmt.Sprintf("Service %s is in the compose files but is not running, so a start would start it. Start it first (docker compose up -d %s), or remove it from the compose files.", name, name))
	}
	return found
}

// orphans returns the running services that a start would not start.
func (c Comparison) orphans() []string {
	var names []string
	for _, one := range c.Containers {
		if _, ok := c.Enabled.Services[one.Service]; !ok && one.Running && !slices.Contains(names, one.Service) {
			names = append(names, one.Service)
		}
	}
	slices.Sort(names)
	return names
}

// Profiles returns the active profiles, sorted. A profile is active if each of its services has a container. If the Platform is down,
// an interrupted run may have removed containers, so those that were active before count too.
func Profiles(all Config, containers []Container, before []string) []string {
	var has, lacks []string
	for name, service := range all.Services {
		there := slices.ContainsFunc(containers, func(one Container) bool { return one.Service == name })
		for _, profile := range service.Profiles {
			if there {
				has = append(has, profile)
			} else {
				lacks = append(lacks, profile)
			}
		}
	}
	has = slices.DeleteFunc(has, func(p string) bool { return slices.Contains(lacks, p) })
	if Down(containers) {
		has = append(has, before...)
	}
	slices.Sort(has)
	return slices.Compact(has)
}

// followers returns the services, sorted, that depend on one of the backends, directly or not, and are not holders.
func followers(config Config, holders, backends []string) []string {
	follows := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for name, service := range config.Services {
			on := slices.ContainsFunc(service.DependsOn, func(d string) bool { return follows[d] || slices.Contains(backends, d) })
			if on && !follows[name] && !slices.Contains(holders, name) {
				follows[name], changed = true, true
			}
		}
	}
	return slices.Sorted(maps.Keys(follows))
}

// Secrets returns all values of the environments, to mask them in the output of compose.
func (c Config) Secrets() []secret.Secret {
	var all []secret.Secret
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		for _, variable := range slices.Sorted(maps.Keys(c.Services[name].Environment)) {
			all = append(all, c.Services[name].Environment[variable])
		}
	}
	return all
}

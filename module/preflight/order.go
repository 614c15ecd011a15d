package preflight

import (
	"maps"
	"slices"
)

// Order says which services an outage stops and starts before others. All lists are sorted and never nil.
type Order struct {
	Running    []string `json:"running"`     // services with a running container
	BeforeCron []string `json:"before_cron"` // services that start before cron: those that a plain docker compose up starts, and those that run
	Base       []string `json:"base"`        // of these, the services that others depend on and that depend on none, and the database with all that it depends on
	Dependents []string `json:"dependents"`  // of these, the services that depend on backend or cron, directly or not; they stop first
}

// KeepsAddresses returns the services to restart after a backend, each after those that it depends on. They may keep the address of a
// backend, or of another of them, as nginx does: they depend on a backend, directly or not. The installer's reverse proxy comes last. It
// keeps the address of the frontend but depends on other services (docker-compose.yml of the installer).
func (c Comparison) KeepsAddresses(holders, backends []string) []string {
	follow := slices.DeleteFunc(followers(c.Enabled, holders, backends), func(name string) bool { return c.Enabled.Services[name].Once && !c.runs(name) })
	sorted := []string{}
	for range follow { // in each pass, at least one more has all that it depends on
		for _, name := range follow {
			waits := slices.ContainsFunc(c.Enabled.Services[name].DependsOn, func(on string) bool { return slices.Contains(follow, on) && !slices.Contains(sorted, on) })
			if !waits && !slices.Contains(sorted, name) {
				sorted = append(sorted, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.All.Services)) {
		if c.All.Services[name].ReverseProxy && c.runs(name) && !slices.Contains(sorted, name) {
			sorted = append(sorted, name)
		}
	}
	return sorted
}

// Order returns the order of the services. Migrate, the backends and cron have their own places in it. A service of an inactive profile
// has a place only if it runs.
func (c Comparison) Order(migrate, backends, cron []string) Order {
	holders := slices.Concat(backends, cron)
	enabled, needed, made := map[string]bool{}, map[string]bool{}, Order{Running: []string{}, BeforeCron: []string{}, Base: []string{}, Dependents: []string{}}
	for name, service := range c.Enabled.Services {
		enabled[name] = service.Replicas > 0
	}
	for _, service := range c.All.Services {
		for _, name := range service.DependsOn {
			needed[name] = true
		}
	}
	follows, database := followers(c.All, holders, holders), c.database()
	for _, name := range slices.Sorted(maps.Keys(c.All.Services)) {
		runs := c.runs(name)
		if runs {
			made.Running = append(made.Running, name)
		}
		if !runs && !enabled[name] || slices.Contains(migrate, name) || slices.Contains(cron, name) {
			continue
		}
		made.BeforeCron = append(made.BeforeCron, name)
		alone := len(c.All.Services[name].DependsOn) == 0 && needed[name]
		if (alone || slices.Contains(database, name)) && !slices.Contains(backends, name) {
			made.Base = append(made.Base, name)
		}
		if slices.Contains(follows, name) && (runs || !c.All.Services[name].Once) {
			made.Dependents = append(made.Dependents, name)
		}
	}
	return made
}

// database returns the database's service and the services that it depends on, directly or not.
func (c Comparison) database() []string {
	var found []string
	for _, one := range c.Containers {
		if c.Database != "" && one.Name == c.Database {
			found = append(found, one.Service)
		}
	}
	for i := 0; i < len(found); i++ {
		for _, on := range c.All.Services[found[i]].DependsOn {
			if !slices.Contains(found, on) {
				found = append(found, on)
			}
		}
	}
	return found
}

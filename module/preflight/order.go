package preflight

import (
	"maps"
	"slices"
)

// Order says which services an outage stops and starts before others. All lists are sorted and never nil.
type Order struct {
	Running    []string `json:"running"`     // services with a running container
	BeforeCron []string `json:"before_cron"` // services that start before cron: those that a plain docker compose up starts, and those that run
	Base       []string `json:"base"`        // of these, the services that others depend on and that depend on none, such as the database
	Dependents []string `json:"dependents"`  // of these, the services that depend on backend or cron, directly or not; they stop first
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
	follows := Followers(c.All, holders, holders)
	for _, name := range slices.Sorted(maps.Keys(c.All.Services)) {
		runs := slices.ContainsFunc(c.Containers, func(each Container) bool { return each.Service == name && each.Running })
		if runs {
			made.Running = append(made.Running, name)
		}
		if !runs && !enabled[name] || slices.Contains(migrate, name) || slices.Contains(cron, name) {
			continue
		}
		made.BeforeCron = append(made.BeforeCron, name)
		if len(c.All.Services[name].DependsOn) == 0 && needed[name] && !slices.Contains(backends, name) {
			made.Base = append(made.Base, name)
		}
		if slices.Contains(follows, name) && (runs || !c.All.Services[name].Once) {
			made.Dependents = append(made.Dependents, name)
		}
	}
	return made
}

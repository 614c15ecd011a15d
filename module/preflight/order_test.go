package preflight

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOrder(t *testing.T) {
	on := func(services ...string) Service { return Service{DependsOn: services, Replicas: 1} }
	all := map[string]Service{
		"db": on(), "lonely": on(), "migrate": on("db"), "cron": on("migrate"), "backend": on("db", "cron"), "backend2": on("backend"),
		"frontend": on("backend2"), "proxy": on("frontend"), "wave": on("db"), "none": {Replicas: 0, DependsOn: []string{"backend"}}, "debugger": on("backend"),
		"setup": {Replicas: 1, Once: true, DependsOn: []string{"backend"}},
	}
	up := []string{"db", "lonely", "cron", "backend", "backend2", "frontend", "proxy", "wave"}
	before := []string{"backend", "backend2", "db", "frontend", "lonely", "proxy", "setup", "wave"}
	for name, c := range map[string]struct {
		backends []string
		running  []string
		want     Order
	}{
		"everything runs": {
			[]string{"backend", "backend2"},
			up,
			Order{
				Running:    []string{"backend", "backend2", "cron", "db", "frontend", "lonely", "proxy", "wave"},
				BeforeCron: before, Base: []string{"db"}, Dependents: []string{"frontend", "proxy"},
			},
		},
		"nothing runs": {
			[]string{"backend", "backend2"},
			nil,
			Order{Running: []string{}, BeforeCron: before, Base: []string{"db"}, Dependents: []string{"frontend", "proxy"}},
		},
		"one backend": {
			[]string{"backend"},
			[]string{"db"},
			Order{Running: []string{"db"}, BeforeCron: before, Base: []string{"db"}, Dependents: []string{"backend2", "frontend", "proxy"}},
		},
		"a service of an inactive profile runs": {
			[]string{"backend", "backend2"},
			[]string{"debugger"},
			Order{
				Running:    []string{"debugger"},
				BeforeCron: []string{"backend", "backend2", "db", "debugger", "frontend", "lonely", "proxy", "setup", "wave"}, Base: []string{"db"},
				Dependents: []string{"debugger", "frontend", "proxy"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			enabled := maps.Clone(all)
			delete(enabled, "debugger")
			compared := Comparison{All: Config{Services: all}, Enabled: Config{Services: enabled}}
			for _, service := range c.running {
				compared.Containers = append(compared.Containers, Container{Service: service, Running: true})
			}
			compared.Containers = append(compared.Containers, Container{Service: "migrate"})
			assert.Equal(t, c.want, compared.Order([]string{"migrate"}, c.backends, []string{"cron"}))
		})
	}
}

func TestKeepsAddresses(t *testing.T) {
	on := func(services ...string) Service { return Service{DependsOn: services, Replicas: 1} }
	proxy := func(services ...string) Service { return Service{DependsOn: services, Replicas: 1, ReverseProxy: true} }
	installer := map[string]Service{
		"backend": on("db", "cron"), "cron": on("migrate"), "migrate": on("db"), "db": on(), "frontend": on("backend"), "connect": on("redis"),
		"reverseproxy": proxy("connect"), "groundswell": on("backend"),
	}
	for name, test := range map[string]struct {
		services map[string]Service
		running  []string
		want     []string
	}{
		"the installer's reverse proxy comes last":     {installer, []string{"reverseproxy", "connect"}, []string{"frontend", "groundswell", "reverseproxy"}},
		"a reverse proxy that does not run stays so":   {installer, nil, []string{"frontend", "groundswell"}},
		"each comes after those that it depends on":    {map[string]Service{"backend": on(), "a": on("b"), "b": on("c", "db"), "c": on("backend"), "db": on()}, nil, []string{"c", "b", "a"}},
		"a reverse proxy that depends on a backend":    {map[string]Service{"backend": on(), "a": proxy("z"), "z": on("backend")}, []string{"a"}, []string{"z", "a"}},
		"a service that has ended is not started":      {map[string]Service{"backend": on(), "setup": {DependsOn: []string{"backend"}, Once: true}}, nil, []string{}},
		"a service without a restart policy that runs": {map[string]Service{"backend": on(), "ui": {DependsOn: []string{"backend"}, Once: true}}, []string{"ui"}, []string{"ui"}},
		"nothing": {map[string]Service{"backend": on()}, nil, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Comparison{All: Config{Services: test.services}, Enabled: Config{Services: test.services}}
			for _, service := range test.running {
				c.Containers = append(c.Containers, Container{Service: service, Running: true})
			}
			assert.Equal(t, test.want, c.KeepsAddresses([]string{"backend", "cron", "migrate"}, []string{"backend"}))
		})
	}
}

func TestTheDatabaseStartsFirst(t *testing.T) {
	services := map[string]Service{
		"backend": {Replicas: 1}, "cron": {Replicas: 1}, "db": {Replicas: 1, DependsOn: []string{"volume"}}, "volume": {Replicas: 1, DependsOn: []string{"disk"}},
		"disk": {Replicas: 1}, "other": {Replicas: 1},
	}
	c := Comparison{All: Config{Services: services}, Enabled: Config{Services: services}, Containers: []Container{{Name: "tower-db-1", Service: "db", Running: true}}}
	assert.Equal(t, []string{"disk"}, c.Order(nil, []string{"backend"}, []string{"cron"}).Base)
	c.Database = "tower-db-1"
	assert.Equal(t, []string{"db", "disk", "volume"}, c.Order(nil, []string{"backend"}, []string{"cron"}).Base, "nobody depends on it, but the run waits for it")
}

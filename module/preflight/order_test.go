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

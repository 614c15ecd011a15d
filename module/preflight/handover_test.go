package preflight

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

func TestServing_leavesOutWhatAHandoverMadeAndDidNotFinish(t *testing.T) {
	made := func(name string, begun bool) Container {
		return Container{Name: name, Service: "backend", Project: "tower", Role: proof.RoleBackend, Begun: begun, Running: begun}
	}
	old, cron := made("tower-backend-1", true), Container{Name: "tower-cron-1", Service: "cron", Project: "tower", Role: proof.RoleCron}
	for name, test := range map[string]struct {
		containers []Container
		pending    []string
	}{
		"one":                            {[]Container{old, cron}, nil},
		"just created":                   {[]Container{old, made("tower-backend-2", false), cron}, []string{"tower-backend-2"}},
		"started":                        {[]Container{old, made("tower-backend-next", true)}, []string{"tower-backend-next"}},
		"two replicas":                   {[]Container{old, made("tower-backend-2", true)}, nil},
		"the old one is gone":            {[]Container{made("tower-backend-next", true)}, nil},
		"all of them were created by up": {[]Container{made("tower-backend-1", false), made("tower-backend-2", false)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			serving, pending := Serving(test.containers)
			var names []string
			for _, c := range pending {
				names = append(names, c.Name)
			}
			assert.Equal(t, test.pending, names)
			assert.Len(t, serving, len(test.containers)-len(names))
		})
	}
}

func TestEachReasonAgainstAHandoverIsASentence(t *testing.T) {
	able := func() HandoverFacts {
		return HandoverFacts{
			Backends: []string{"backend"}, Service: Service{Replicas: 1, Networks: []string{"tower_backend"}}, Containers: []Container{{Name: "tower-backend-1", Service: "backend"}},
			HealthURL: "http://{address}:8080/health", MemoryUsed: 900 << 20, MemoryAvailable: 1800 << 20,
		}
	}
	for name, test := range map[string]struct {
		edit func(*HandoverFacts)
		says string
	}{
		"able":           {func(*HandoverFacts) {}, ""},
		"two services":   {func(s *HandoverFacts) { s.Backends = []string{"backend", "backend2"} }, "names 2 (backend and backend2)"},
		"two replicas":   {func(s *HandoverFacts) { s.Service.Replicas = 2 }, "service backend has 2"},
		"two containers": {func(s *HandoverFacts) { s.Containers = append(s.Containers, s.Containers...) }, "service backend has 2"},
		"container_name": {func(s *HandoverFacts) { s.Service.ContainerName = "tower" }, "container_name: tower"},
		"ports":          {func(s *HandoverFacts) { s.Service.Ports = []string{"0.0.0.0:8080->8080/tcp"} }, "publishes ports of the VM (0.0.0.0:8080->8080/tcp)"},
		"any port":       {func(s *HandoverFacts) { s.Service.PortsUnknown = true }, "publishes ports of the VM (any)"},
		"network_mode":   {func(s *HandoverFacts) { s.Service.NetworkMode = "host" }, "has network_mode"},
		"an alias":       {func(s *HandoverFacts) { s.Service.Fixed = true }, "aliases or an address"},
		"name taken":     {func(s *HandoverFacts) { s.NameTakenBy = "backend" }, "is called backend"},
		"no health URL":  {func(s *HandoverFacts) { s.HealthURL = "" }, "backend_health_url is empty"},
		"no memory":      {func(s *HandoverFacts) { s.MemoryAvailable = 600 << 20 }, "the running one uses 900 MiB, and the VM has 600 MiB left"},
	} {
		t.Run(name, func(t *testing.T) {
			s := able()
			test.edit(&s)
			problems, _ := Handover(s)
			if test.says == "" {
				assert.Empty(t, problems)
				return
			}
			assert.Len(t, problems, 1)
			assert.Contains(t, problems[0], test.says)
			assert.Contains(t, problems[0], "Set restart_scope to key_holders")
		})
	}
	_, memory := Handover(able())
	assert.Contains(t, memory, "assumed to need the 900 MiB")
	unknown := able()
	unknown.MemoryUsed = 0
	problems, memory := Handover(unknown)
	assert.Empty(t, problems)
	assert.Contains(t, memory, "is not known")
}

func TestParseConfig_knowsWhatASecondContainerCannotHave(t *testing.T) {
	config, err := ParseConfig([]byte(`{"name":"tower","services":{
		"plain":{"networks":{"backend":null}},
		"named":{"container_name":"reverseproxy","networks":{"backend":{"aliases":["api"]}}},
		"fixed":{"networks":{"backend":{"ipv4_address":"10.0.0.2"}}},
		"host":{"network_mode":"host"}}}`))
	assert.NoError(t, err)
	assert.False(t, config.Services["plain"].Fixed)
	assert.Equal(t, "reverseproxy", config.Services["named"].ContainerName)
	assert.True(t, config.Services["named"].Fixed)
	assert.True(t, config.Services["fixed"].Fixed)
	assert.Equal(t, "host", config.Services["host"].NetworkMode)
}

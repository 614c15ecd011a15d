package platform

import (
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

func usual() Services {
	return Services{Migrate: []string{"migrate"}, Backends: []string{"backend"}, Cron: []string{"cron"}}
}

func faultOf(t *testing.T, err error) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.NotEmpty(t, f.What)
	assert.NotEmpty(t, f.Next)
	return f
}

// listed is what ContainerList says of compose containers, given as project/service; a service with ! is a one-off.
func listed(names ...[2]string) []container.Summary {
	var list []container.Summary
	for _, name := range names {
		oneOff, service := "False", name[1]
		if service != "" && service[0] == '!' {
			oneOff, service = "True", service[1:]
		}
		list = append(list, container.Summary{Labels: map[string]string{labelProject: name[0], labelService: service, labelOneOff: oneOff}})
	}
	return append(list, container.Summary{Names: []string{"/not-of-compose"}})
}

func TestTheProjectIsTheOneThatHasABackendAndACron(t *testing.T) {
	tests := []struct {
		name  string
		list  []container.Summary
		query Query
		want  string
		code  fault.Code
		says  string
	}{
		{"the only one", listed([2]string{"tower", "backend"}, [2]string{"tower", "cron"}, [2]string{"web", "nginx"}), Query{}, "tower", "", ""},
		{"cron is not there yet", listed([2]string{"tower", "backend"}, [2]string{"other", "cron"}), Query{}, "tower", "", ""},
		{"a cron alone is not a Platform", listed([2]string{"other", "cron"}), Query{}, "", fault.CodePlatformNotFound, "If the project is down"},
		{"several backends without cron", listed([2]string{"b", "backend"}, [2]string{"a", "backend"}), Query{}, "", fault.CodePlatformNotFound, "a, b"},
		{"a one-off is not a service", listed([2]string{"tower", "backend"}, [2]string{"tower", "!cron"}, [2]string{"x", "!backend"}), Query{}, "tower", "", ""},
		{"none", listed([2]string{"web", "nginx"}), Query{}, "", fault.CodePlatformNotFound, "If the project is down"},
		{"nothing at all", nil, Query{}, "", fault.CodePlatformNotFound, "If the project is down"},
		{"two", listed([2]string{"b", "backend"}, [2]string{"b", "cron"}, [2]string{"a", "cron"}, [2]string{"a", "backend"}), Query{}, "", fault.CodePlatformAmbiguous, "a, b. Set compose_project to the right one."},
		{"two, one named", listed([2]string{"b", "backend"}, [2]string{"b", "cron"}, [2]string{"a", "cron"}, [2]string{"a", "backend"}), Query{Project: "b"}, "b", "", ""},
		{"the one named is not there", listed([2]string{"web", "nginx"}), Query{Project: "tower"}, "", fault.CodePlatformNotFound, `"tower"; the projects here are: web`},
		{"the one named has one-offs alone", listed([2]string{"tower", "!migrate"}), Query{Project: "tower"}, "", fault.CodePlatformNotFound, "there are no compose projects here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			query := test.query
			if query.Services.Backends == nil && query.Services.Cron == nil {
				query.Services = usual()
			}
			got, err := choose(test.list, query)
			if test.code != "" {
				assert.Equal(t, test.code, faultOf(t, err).Code)
				assert.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestOfSeveralProjectsTheOneOfTheDirectoryIsTaken(t *testing.T) {
	list := listed([2]string{"a", "backend"}, [2]string{"a", "cron"}, [2]string{"b", "backend"}, [2]string{"b", "cron"})
	for _, c := range list[:4] {
		c.Labels[labelDir] = "/home/" + c.Labels[labelProject]
	}
	query := Query{Dir: "/home/b/", Services: usual()}
	got, err := choose(list, query)
	require.NoError(t, err)
	assert.Equal(t, "b", got)
	query.Dir = "/home/c"
	_, err = choose(list, query)
	assert.Equal(t, fault.CodePlatformAmbiguous, faultOf(t, err).Code)

	// Started once more under another name, in part: it writes to the same database.
	list = append(list[:4:4], listed([2]string{"b2", "backend"})...)
	list[4].Labels[labelDir], query.Dir = "/home/b", "/home/b"
	_, err = choose(list, query)
	assert.Equal(t, fault.CodePlatformAmbiguous, faultOf(t, err).Code)
	assert.ErrorContains(t, err, "look like a Platform: b, b2.")
}

func TestOtherNamesOfServicesAreTaken(t *testing.T) {
	query := Query{Services: Services{Backends: []string{"api-1", "api-2"}, Cron: []string{"jobs"}}}
	got, err := choose(listed([2]string{"tower", "api-2"}, [2]string{"tower", "jobs"}, [2]string{"x", "backend"}, [2]string{"x", "cron"}), query)
	require.NoError(t, err)
	assert.Equal(t, "tower", got)
}

// inspected is what ContainerInspect says, as far as the tests need it.
func inspected(name, service string, env ...string) container.InspectResponse {
	return container.InspectResponse{
		ContainerJSONBase: &container.ContainerJSONBase{Name: "/" + name, State: &container.State{Status: "running", Running: true}, HostConfig: &container.HostConfig{}},
		Config:            &container.Config{Image: "image", Labels: map[string]string{labelService: service}, Env: env},
	}
}

func TestServicesComeInTheOrderOfTheirNames(t *testing.T) {
	found := describe("tower", []container.InspectResponse{
		inspected("tower-cron-1", "cron"), inspected("tower-backend-2", "backend"), inspected("tower-a-1", "migrate"), inspected("tower-backend-1", "backend"), inspected("z", "redis"),
	}, usual())
	var got [][2]string
	for _, service := range found.Platform.Services {
		got = append(got, [2]string{service.Container, string(service.Role)})
	}
	assert.Equal(t, [][2]string{{"tower-backend-1", "backend"}, {"tower-backend-2", "backend"}, {"tower-cron-1", "cron"}, {"tower-a-1", "migrate"}, {"z", "other"}}, got)
}

func TestStateTimesAndHealthAreTheEngines(t *testing.T) {
	c := inspected("tower-backend-1", "backend")
	c.RestartCount = 3
	c.State = &container.State{
		Status: "exited", ExitCode: 137, StartedAt: "2026-01-02T03:04:05.123456789Z", FinishedAt: "0001-01-01T00:00:00Z",
		Health: &container.Health{Status: container.Unhealthy},
	}
	assert.Equal(t, proof.Service{
		Name: "backend", Role: proof.RoleBackend, Container: "tower-backend-1", Image: "image", State: "exited", ExitCode: 137, RestartCount: 3, Health: "unhealthy",
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC),
	}, serviceOf(c, containerOf(c, usual())))
	c.State.Health.Status = container.NoHealthcheck
	assert.Empty(t, serviceOf(c, containerOf(c, usual())).Health)
	c.State = nil
	assert.Empty(t, serviceOf(c, containerOf(c, usual())).State, "an Engine that says nothing of the state is survived")
}

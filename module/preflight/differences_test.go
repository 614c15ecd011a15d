package preflight

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

const canary = "c4nary-s3cret"

// installer is a project like the installer's, as compose config prints it for the user ec2-user: paths below $HOME, inline
// passwords, lists that end with commas, the database in a directory of the host.
const installer = `{
  "name": "ec2-user",
  "networks": {"frontend": {"name": "ec2-user_frontend"}},
  "services": {
    "db": {"image": "mysql:8.0", "restart": "always", "environment": {"MYSQL_PASSWORD": "c4nary-s3cret$$x", "MYSQL_USER": "tower"},
      "volumes": [{"type": "bind", "source": "/home/ec2-user/.tower/db/mysql", "target": "/var/lib/mysql", "bind": {"create_host_path": true}}]},
    "redis": {"image": "redis:7", "restart": "always", "command": ["--appendonly", "yes"], "volumes": [{"type": "volume", "source": "redis", "target": "/data", "volume": {}}]},
    "migrate": {"image": "x/migrate-db:v26.1.3", "restart": "no", "environment": {"TOWER_DB_URL": "u"}, "depends_on": {"db": {"condition": "service_healthy", "required": true}}},
    "cron": {"image": "x/backend:v26.1.3", "restart": "always", "environment": {"TOWER_ENABLE_AWS_SSM": "true", "MICRONAUT_ENVIRONMENTS": "prod,redis,cron,,,"},
      "volumes": [{"type": "bind", "source": "/home/ec2-user/target/tower.yml", "target": "/tower.yml"}],
      "depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
    "backend": {"image": "x/backend:v26.1.3", "restart": "always", "environment": {"TOWER_ENABLE_AWS_SSM": "true", "MICRONAUT_ENVIRONMENTS": "prod,redis,ha,,,", "UNSET": null},
      "volumes": [{"type": "bind", "source": "/home/ec2-user/target/tower.yml", "target": "/tower.yml"}, {"type": "tmpfs", "target": "/tmp"}],
      "depends_on": {"db": {"condition": "service_started"}, "redis": {"condition": "service_started"}, "cron": {"condition": "service_started"}}},
    "frontend": {"image": "x/frontend:v26.1.3", "restart": "always", "ports": [{"mode": "ingress", "target": 8000, "published": "8000", "protocol": "tcp"}], "depends_on": {"backend": {"condition": "service_started"}}},
    "proxy": {"image": "nginx", "restart": "always", "profiles": ["tls"], "depends_on": {"frontend": {"condition": "service_started"}}}
  },
  "volumes": {"redis": {"name": "ec2-user_redis"}}
}`

func config(t *testing.T, edits ...string) Config {
	t.Helper()
	text := installer
	for i := 0; i < len(edits); i += 2 {
		require.Contains(t, text, edits[i])
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	parsed, err := ParseConfig([]byte(text))
	require.NoError(t, err)
	return parsed
}

// same is a Platform that runs as its compose files say, started by ec2-user. Edits are of the files.
func same(t *testing.T, edits ...string) Comparison {
	t.Helper()
	c := Comparison{Project: "ec2-user", Dir: "/home/ec2-user", Home: "/home/ec2-user", Compose: "2.40.3", Images: map[string]string{}, Database: "ec2-user-db-1"}
	roles := map[string]proof.Role{"backend": proof.RoleBackend, "cron": proof.RoleCron, "migrate": proof.RoleMigrate}
	for name, service := range config(t).Services {
		c.Images[service.Image] = "sha256:" + service.Image
		if name == "proxy" {
			continue
		}
		one := Container{
			Name: "ec2-user-" + name + "-1", Service: name, Project: c.Project, Role: proof.RoleOther, Running: name != "migrate", Dir: c.Dir, Compose: c.Compose, Image: service.Image,
			ImageIDs: []string{"sha256:" + service.Image}, Environment: map[string]secret.Secret{"PATH": secret.New("/bin")}, FromImage: map[string]secret.Secret{"PATH": secret.New("/bin")},
			Mounts: service.Mounts, Ports: service.Ports,
		}
		if role := roles[name]; role != "" {
			one.Role = role
		}
		for variable, value := range service.Environment {
			one.Environment[variable] = value
		}
		c.Containers = append(c.Containers, one)
		if one.Running {
			c.Events = append(c.Events, Event{one.Name, "Running"})
		}
	}
	c.All = config(t, edits...)
	c.Enabled = enabled(c.All)
	return c
}

func enabled(all Config, profiles ...string) Config {
	made := Config{Project: all.Project, Services: map[string]Service{}}
	for name, service := range all.Services {
		if len(service.Profiles) == 0 || strings.Join(service.Profiles, ",") == strings.Join(profiles, ",") {
			made.Services[name] = service
		}
	}
	return made
}

func (c Comparison) container(t *testing.T, service string) *Container {
	t.Helper()
	for i := range c.Containers {
		if c.Containers[i].Service == service {
			return &c.Containers[i]
		}
	}
	t.Fatal("no container of " + service)
	return nil
}

func TestEachDifferenceOfWhatWouldStartIsNamedInASentence(t *testing.T) {
	for _, test := range []struct {
		name  string
		edits []string // of the compose files, after the Platform started
		edit  func(*testing.T, *Comparison)
		want  []string
	}{
		{name: "the installer's own (V1, V2)"},
		{
			name: "compose runs as root: $HOME is another one (V1, case 1)", edits: []string{`"/home/ec2-user/`, `"/root/`},
			edit: func(_ *testing.T, c *Comparison) { c.Home = "/root" },
			want: []string{"The database container ec2-user-db-1 would be recreated with another data directory (/root/.tower/db/mysql instead of /home/ec2-user/.tower/db/mysql). Cause: the compose file uses $HOME, and Docker Compose runs as a user whose home is /root. Run it as the user whose home is /home/ec2-user (with the role: seqera_crypto_rotation_compose_user).", "source of /tower.yml (/root/target/tower.yml instead of"},
		},
		{
			name: "$PWD is another one (V6, case 6)", edits: []string{`"/home/ec2-user/target/tower.yml"`, `"/opt/seqera/target/tower.yml"`},
			edit: func(_ *testing.T, c *Comparison) { c.Dir, c.Home = "/opt/seqera", "/root" },
			want: []string{"The Platform was started in the directory /home/ec2-user, not in /opt/seqera.", "Set compose_dir to /home/ec2-user."},
		},
		{name: "a tag that was raised and not applied (V11, case 5)", edits: []string{"x/backend:v26.1.3", "x/backend:v26.2.0"}, want: []string{"Service backend would run a different image (x/backend:v26.2.0 instead of x/backend:v26.1.3).", "Service cron would run a different image"}},
		{
			name: "a tag that moved", edit: func(_ *testing.T, c *Comparison) { c.Images["x/backend:v26.1.3"] = "sha256:newer" },
			want: []string{"x/backend:v26.1.3 was pulled or built again"},
		},
		{
			name: "an image that was pruned (case 28)", edit: func(_ *testing.T, c *Comparison) { c.Images["x/migrate-db:v26.1.3"] = "" },
			want: []string{"The image x/migrate-db:v26.1.3 of service migrate is not on this VM. Pull it first (docker compose pull migrate)."},
		},
		{
			name: "an env file was edited, a variable of the shell is gone (case 4, 5)", edits: []string{`"TOWER_ENABLE_AWS_SSM": "true", "MICRONAUT_ENVIRONMENTS": "prod,redis,ha,,,"`, `"TOWER_ENABLE_AWS_SSM": "` + canary + `", "ADDED": "` + canary + `"`},
			want: []string{"Service backend would get a different environment: ADDED (only in the compose files), TOWER_ENABLE_AWS_SSM (a different value), MICRONAUT_ENVIRONMENTS (only in the container)."},
		},
		{name: "another port", edits: []string{`"published": "8000"`, `"published": "80"`}, want: []string{"Service frontend would publish different ports (0.0.0.0:80->8000/tcp instead of 0.0.0.0:8000->8000/tcp)."}},
		{
			name: "a health check was edited", edit: func(_ *testing.T, c *Comparison) { c.Events = append(c.Events, Event{"ec2-user-db-1", "Recreate"}) },
			want: []string{"Service db would be recreated, with the same mounts, image, environment and ports. Cause: a pending edit"},
		},
		{
			name: "compose was upgraded (case 5)", edit: func(_ *testing.T, c *Comparison) {
				c.Compose, c.Events = "5.5.0", append(c.Events, Event{"ec2-user-db-1", "Recreate"})
			},
			want: []string{"Cause: Docker Compose 2.40.3 created it, and 5.5.0 is installed now"},
		},
		{
			name: "replicas", edit: func(_ *testing.T, c *Comparison) {
				c.Events = append(c.Events, Event{"ec2-user-frontend-1", "Removing"}, Event{"ec2-user-backend-2", "Creating"})
			},
			want: []string{"Container ec2-user-frontend-1 would be removed.", "Service backend would get an additional container (ec2-user-backend-2)."},
		},
		{
			name: "a service was taken out", edits: []string{`"redis": {"image"`, `"cache": {"image"`},
			want: []string{"Service redis is running, but it is not in the compose files", "Service cache is in the compose files but is not running"},
		},
		{
			name: "migrate ran without leaving a container, as in a rotation", edit: func(_ *testing.T, c *Comparison) {
				c.Containers = slices.DeleteFunc(c.Containers, func(one Container) bool { return one.Service == "migrate" })
				c.Events = append(slices.DeleteFunc(c.Events, func(one Event) bool { return one.Container == "ec2-user-migrate-1" }), Event{"ec2-user-migrate-1", "Creating"})
			},
		},
		{
			name: "a service was stopped by hand", edit: func(t *testing.T, c *Comparison) { t.Helper(); c.container(t, "frontend").Running = false },
			want: []string{"Service frontend is in the compose files but is not running"},
		},
		{name: "an interrupted run stopped a service in its outage", edit: func(t *testing.T, c *Comparison) {
			t.Helper()
			c.container(t, "frontend").Running = false
			c.Before = &Before{Project: c.Project}
		}},
		{name: "a second Platform (case 2)", edit: func(_ *testing.T, c *Comparison) {
			c.Containers, c.Events, c.Project = nil, nil, "seqera"
			c.Foreign = []Container{{Project: "other", Role: proof.RoleCron}, {Project: "other", Role: proof.RoleBackend}}
		}, want: []string{"A second Platform would start: project seqera has no backend and no cron, but project other runs both. Set compose_project to other."}},
		{name: "the Platform is down"},
		{name: "the Platform is down, and the files mount another directory than before", edits: []string{`"/home/ec2-user/`, `"/root/`}, edit: func(_ *testing.T, c *Comparison) {
			c.Containers, c.Events = nil, nil
			c.Before = &Before{"ec2-user", map[string][]string{"db": {"/home/ec2-user/.tower/db/mysql:/var/lib/mysql"}}}
		}, want: []string{"Service db has different mounts than before (/root/.tower/db/mysql:/var/lib/mysql instead of /home/ec2-user/.tower/db/mysql:/var/lib/mysql)."}},
		{name: "secrets, configs and the mounts of volumes_from that an earlier run saw", edits: []string{
			`"tmpfs", "target": "/tmp"}],`, `"tmpfs", "target": "/tmp"}], "secrets": [{"source": "s", "target": "pass"}], "configs": [{"source": "c"}],`,
			`"x/frontend:v26.1.3",`, `"x/frontend:v26.1.3", "volumes_from": ["backend"],`,
		}, edit: func(t *testing.T, c *Comparison) {
			t.Helper()
			backend, frontend := c.container(t, "backend"), c.container(t, "frontend")
			backend.Mounts = append(slices.Clone(backend.Mounts), Mount{Source: "/home/ec2-user/s", Target: "/run/secrets/pass"}, Mount{Source: "/home/ec2-user/c", Target: "/c"})
			frontend.Mounts = backend.Mounts
			c.Before = &Before{c.Project, Mounts(c.Containers)}
		}},
		{name: "another file of the same service has moved since then", edits: []string{
			`"tmpfs", "target": "/tmp"}],`, `"tmpfs", "target": "/tmp"}], "secrets": [{"source": "s"}],`, `"/home/ec2-user/target/tower.yml"`, `"/opt/tower.yml"`,
		}, edit: func(_ *testing.T, c *Comparison) {
			c.Containers, c.Events = nil, nil
			c.Before = &Before{c.Project, map[string][]string{"backend": {"/home/ec2-user/s:/run/secrets/s", "/home/ec2-user/target/tower.yml:/tower.yml"}}}
		}, want: []string{"Service backend has different mounts than before (/opt/tower.yml:/tower.yml instead of /home/ec2-user/target/tower.yml:/tower.yml)."}},
		{name: "a service with volumes_from would have another directory of its own", edits: []string{`"x/frontend:v26.1.3",`, `"x/frontend:v26.1.3", "volumes_from": ["backend"], "volumes": [{"type": "bind", "source": "/root/own", "target": "/own"}],`}, edit: func(_ *testing.T, c *Comparison) {
			c.Containers, c.Events = nil, nil
			c.Before = &Before{c.Project, map[string][]string{"frontend": {"/home/ec2-user/own:/own", "/home/ec2-user/target/tower.yml:/tower.yml"}}}
		}, want: []string{"Service frontend has different mounts than before (/root/own:/own instead of /home/ec2-user/own:/own)."}},
		{name: "a source with more slashes than the Engine says", edits: []string{`"/home/ec2-user/target/tower.yml"`, `"/home/ec2-user//target/tower.yml/"`}},
		{name: "the project has another name than before", edit: func(_ *testing.T, c *Comparison) { c.Before = &Before{Project: "seqera"} }, want: []string{"The Platform's project was seqera and is now ec2-user."}},
		{
			name: "the database has no mount at all", edit: func(t *testing.T, c *Comparison) {
				t.Helper()
				c.container(t, "db").Mounts = []Mount{{Source: strings.Repeat("0", 64), Target: "/var/lib/mysql2", Anonymous: true}, {Source: "/home/ec2-user/.tower/db/mysql", Target: "/var/lib/mysql"}}
			},
			want: []string{"keeps /var/lib/mysql2 in an anonymous volume"},
		},
		{name: "a volume of another name", edits: []string{"ec2-user_redis", "seqera_redis"}, want: []string{"Container ec2-user-redis-1 would be recreated with another source of /data (seqera_redis instead of ec2-user_redis)."}},
		{name: "a mount more and one less", edits: []string{`"target": "/data"`, `"target": "/data2"`}, want: []string{"without its mount ec2-user_redis:/data.", "with an additional mount (ec2-user_redis:/data2)."}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := same(t, test.edits...)
			if test.edit != nil {
				test.edit(t, &c)
			}
			got, _ := Differences(c)
			whole := strings.Join(got, "\n")
			for _, want := range test.want {
				assert.Contains(t, whole, want)
			}
			if test.want == nil {
				assert.Empty(t, got)
			}
			assert.NotContains(t, whole, canary)
			for _, sentence := range got {
				assert.True(t, strings.HasSuffix(sentence, "."), sentence)
			}
		})
	}
}

// What the installer adds for RDS with Studios, Groundswell, a private CA and Wave Lite: two replicas, a one-shot that stays up, a
// service of which nothing depends on anything, sockets and files of $HOME.
func TestTheInstallersFurtherServicesAreNoDifference(t *testing.T) {
	const further = `"groundswell": {"image": "x/groundswell:1", "restart": "always", "command": ["sh", "-c", "pip install x"], "ports": [{"target": 8090, "published": "8090", "protocol": "tcp"}]},
    "connect-proxy": {"image": "x/connect-proxy:1", "restart": "always", "user": "65532:65532", "ports": [{"target": 9090, "published": "9090", "protocol": "tcp"}, {"target": 2222, "published": "2222", "protocol": "tcp"}],
      "volumes": [{"type": "bind", "source": "/home/ec2-user/.tower/connect", "target": "/data"}]},
    "reverseproxy": {"image": "nginx", "container_name": "reverseproxy", "restart": "always", "labels": {"seqera": "reverseproxy"}, "ports": [{"target": 443, "published": "443", "protocol": "tcp"}, {"target": 80, "published": "80", "protocol": "tcp"}],
      "depends_on": {"wave-lite-reverse-proxy": {"condition": "service_started"}, "connect-proxy": {"condition": "service_started"}}},
    "wave-lite": {"image": "x/wave:1", "restart": "always", "deploy": {"mode": "replicated", "replicas": 2}, "environment": {"MICRONAUT_ENVIRONMENTS": "lite"}},
    "wave-lite-reverse-proxy": {"image": "nginx", "ports": [{"target": 80, "published": "9099", "protocol": "tcp"}], "depends_on": {"wave-lite": {"condition": "service_started"}}},
    "proxy": {`
	names := []string{"groundswell", "connect-proxy", "reverseproxy", "wave-lite", "wave-lite-reverse-proxy"}
	c := same(t, `"proxy": {`, further)
	for _, name := range names {
		service := c.All.Services[name]
		c.Images[service.Image] = "sha256:" + service.Image
		for n := range service.Replicas {
			one := Container{
				Name: fmt.Sprintf("ec2-user-%s-%d", name, n+1), Service: name, Project: c.Project, Role: proof.RoleOther, Running: true, Dir: c.Dir, Image: service.Image,
				Environment: service.Environment, Mounts: service.Mounts, Ports: service.Ports,
			}
			if name == "reverseproxy" {
				one.Name = name
			}
			c.Containers, c.Events = append(c.Containers, one), append(c.Events, Event{one.Name, "Running"})
		}
	}
	got, warnings := Differences(c)
	assert.Empty(t, append(got, warnings...))
	assert.Equal(t, []string{"frontend", "reverseproxy"}, c.KeepsAddresses([]string{"backend", "cron", "migrate"}, []string{"backend"}), "Studios, Groundswell and Wave keep running")

	c.container(t, "wave-lite-reverse-proxy").Running = false
	c.container(t, "wave-lite-reverse-proxy").ExitCode = 1
	c.Events = append(c.Events, Event{"reverseproxy", "Recreate"})
	got, _ = Differences(c)
	assert.Len(t, got, 2, "and are told of")

	facts := able()
	facts.Containers = append(facts.Containers, c.Containers[len(c.Containers)-5:]...)
	assert.Empty(t, Unsuitable(facts).Problems, "Wave has MICRONAUT_ENVIRONMENTS, and is no backend")
}

func TestARecreationThatASentenceExplainsIsNotToldTwice(t *testing.T) {
	c := same(t, "x/frontend:v26.1.3", "x/frontend:v26.2.0")
	c.Events = []Event{{"ec2-user-frontend-1", "Recreate"}}
	got, _ := Differences(c)
	require.Len(t, got, 1, got)
	assert.Contains(t, got[0], "a different image")
}

func TestAStoppedPlatformIsNoDifference(t *testing.T) {
	c := same(t)
	for i := range c.Containers {
		c.Containers[i].Running = false
	}
	c.Events = []Event{{"ec2-user-db-1", "Recreate"}}
	got, _ := Differences(c)
	assert.Empty(t, got, "half-way through a rotation services are stopped, and nothing that runs is recreated")
	assert.True(t, Down(c.Containers) && BackendDown(c.Containers))
	for i := range c.Containers {
		c.Containers[i].Running = c.Containers[i].Role != proof.RoleCron
	}
	assert.True(t, Down(c.Containers) && !BackendDown(c.Containers), "cron alone is stopped")
}

func TestAPullAtEachStartIsAWarning(t *testing.T) {
	for policy, warns := range map[string]bool{"always": true, "daily": true, "missing": false, "never": false, "build": false} {
		c := same(t, `"image": "redis:7"`, fmt.Sprintf(`"image": "redis:7", "pull_policy": %q`, policy))
		got, warnings := Differences(c)
		assert.Empty(t, got)
		assert.Equal(t, warns, len(warnings) == 1, policy)
	}
}

func TestProfilesAreToldByWhatRuns(t *testing.T) {
	all := config(t)
	running := same(t).Containers
	assert.Empty(t, Profiles(all, running, nil))
	with := append(slices.Clone(running), Container{Service: "proxy", Running: true})
	assert.Equal(t, []string{"tls"}, Profiles(all, with, nil))
	all.Services["more"] = Service{Profiles: []string{"tls"}}
	assert.Empty(t, Profiles(all, with, nil), "a profile that would start more is not the one that runs")
	assert.Empty(t, Profiles(all, running, []string{"tls"}), "somebody ended it")
	down := slices.DeleteFunc(slices.Clone(running), func(one Container) bool { return one.Role.HoldsKeys() })
	assert.Equal(t, []string{"tls"}, Profiles(all, down, []string{"tls"}), "an interrupted run removed its containers")
	assert.Equal(t, []string{"other"}, Profiles(all, nil, []string{"other"}))
}

func TestComposesJSONIsReadAsItsVersionsWriteIt(t *testing.T) {
	c := config(t, `"published": "8000"`, `"published": 8000`)
	assert.Equal(t, []string{"0.0.0.0:8000->8000/tcp"}, c.Services["frontend"].Ports)
	assert.True(t, c.Services["db"].Environment["MYSQL_PASSWORD"].Equal(secret.New("c4nary-s3cret$x")), "compose doubles each $")
	assert.NotContains(t, c.Services["backend"].Environment, "UNSET")
	assert.Equal(t, []Mount{{Source: "ec2-user_redis", Target: "/data"}}, c.Services["redis"].Mounts)
	assert.True(t, c.Services["migrate"].Once)
	assert.Equal(t, "ec2-user-redis", config(t, `"image": "redis:7", `, "").Services["redis"].Image)
	assert.True(t, config(t, `"published": "8000"`, `"published": "8000-8010"`).Services["frontend"].PortsUnknown)
	assert.Equal(t, 0, config(t, `"image": "redis:7"`, `"image": "redis:7", "deploy": {"replicas": 0}`).Services["redis"].Replicas)
	_, err := ParseConfig([]byte(`{"services": {"db": "` + canary + `"}}`))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), canary)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), canary)
}

func TestEventsAreReadAsEachVersionPrintsThem(t *testing.T) {
	for name, text := range map[string]string{
		"2.24 and 2.40": "time=\"2026\" level=warning msg=\"The \\\"x\\\" variable is not set.\"\n DRY-RUN MODE -  Volume \"p_vol\"  Creating\n DRY-RUN MODE -  Container p-db-1  Running\n DRY-RUN MODE -  Container p-cron-1  Recreate\n DRY-RUN MODE -  Container p-cron-1  Recreated\n",
		"5":             " Network p_backend Creating \n Container p-db-1 Running \n Container p-cron-1 Recreate \n Container p-cron-1 Recreated \n",
	} {
		assert.Equal(t, []Event{{"p-db-1", "Running"}, {"p-cron-1", "Recreate"}, {"p-cron-1", "Recreated"}}, ParseEvents(text), name)
	}
	assert.Empty(t, ParseEvents("nothing of the kind\n"))
}

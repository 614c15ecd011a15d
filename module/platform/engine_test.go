package platform

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// bench is a real Engine with one image, whose containers print, serve on port 3306 or exit.
type bench struct {
	*Engine
	image string
	mark  string // in every name, so that parallel tests and their leftovers can be told apart
}

// engine connects to the Engine at TEST_DOCKER_HOST, on which containers may be made.
func engine(t *testing.T) *bench {
	t.Helper()
	host := os.Getenv("TEST_DOCKER_HOST")
	if host == "" {
		const why = "TEST_DOCKER_HOST is not set: give the address of a Docker Engine on which containers may be made (unix:///…)"
		if os.Getenv("REAL_PARTS") == "required" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	connected, err := Connect(t.Context(), host)
	require.NoError(t, err)
	t.Cleanup(connected.Close)
	b := &bench{Engine: connected, mark: "t" + strings.ToLower(rand.Text()[:8])}
	b.image = "crypto-rotation-test:" + b.mark
	layer := layerOf(t, build(t))
	done, err := b.client.ImageImport(t.Context(), image.ImportSource{Source: layer, SourceName: "-"}, b.image, image.ImportOptions{Changes: []string{`ENTRYPOINT ["/program"]`}})
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, done)
	require.NoError(t, err)
	require.NoError(t, done.Close())
	b.cleanup(t, func(ctx context.Context) error {
		_, err := b.client.ImageRemove(ctx, b.image, image.RemoveOptions{Force: true})
		return err
	})
	return b
}

func (b *bench) cleanup(t *testing.T, do func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() { assert.NoError(t, do(context.WithoutCancel(t.Context()))) })
}

func build(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	command := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, "./testdata/program")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(path)
	require.NoError(t, err)
	return program
}

func layerOf(t *testing.T, program []byte) io.Reader {
	t.Helper()
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	require.NoError(t, archive.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(program))}))
	_, err := archive.Write(program)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	return &layer
}

func (b *bench) network(t *testing.T) string {
	t.Helper()
	name := b.mark + "-net"
	_, err := b.client.NetworkCreate(t.Context(), name, network.CreateOptions{})
	require.NoError(t, err)
	b.cleanup(t, func(ctx context.Context) error { return b.client.NetworkRemove(ctx, name) })
	return name
}

// part is a container as compose would make it.
type part struct {
	project, service, net string
	oneOff, tty, idle     bool // idle: created, not started
	env, aliases, command []string
}

func (b *bench) make(t *testing.T, name string, p part) string {
	t.Helper()
	labels := map[string]string{labelOneOff: "False"}
	if p.oneOff {
		labels[labelOneOff] = "True"
	}
	if p.project != "" {
		labels[labelProject], labels[labelService] = b.mark+"-"+p.project, p.service
	}
	if p.command == nil {
		p.command = []string{"0", "serve"}
	}
	joined := &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{p.net: {Aliases: append(p.aliases, p.service)}}}
	name = b.mark + "-" + name
	made, err := b.client.ContainerCreate(t.Context(), &container.Config{Image: b.image, Cmd: p.command, Env: p.env, Labels: labels, Tty: p.tty},
		&container.HostConfig{NetworkMode: container.NetworkMode(p.net)}, joined, nil, name)
	require.NoError(t, err)
	b.cleanup(t, func(ctx context.Context) error {
		return b.client.ContainerRemove(ctx, made.ID, container.RemoveOptions{Force: true, RemoveVolumes: true})
	})
	if !p.idle {
		require.NoError(t, b.client.ContainerStart(t.Context(), name, container.StartOptions{}))
	}
	return name
}

func (b *bench) wait(t *testing.T, name string) {
	t.Helper()
	status, failed := b.client.ContainerWait(t.Context(), name, container.WaitConditionNotRunning)
	select {
	case <-status:
	case err := <-failed:
		require.NoError(t, err)
	}
}

func (b *bench) stop(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, b.client.ContainerKill(t.Context(), name, "KILL"))
	b.wait(t, name)
}

// platform makes a project with a backend, a cron that was not started, a migrate that is through and a database.
func (b *bench) platform(t *testing.T, project, shared string) {
	t.Helper()
	b.make(t, project+"-cron-1", part{project: project, service: "cron", net: shared, idle: true})
	b.make(t, project+"-backend-1", part{project: project, service: "backend", net: shared, env: []string{"TOWER_DB_URL=jdbc:mysql://db:3306/tower?useSSL=false", "TOWER_DB_USER=tower", "TOWER_DB_PASSWORD=" + canary}})
	b.make(t, project+"-db-1", part{project: project, service: "db", net: shared, aliases: []string{"mysql.internal"}})
	b.wait(t, b.make(t, project+"-migrate-1", part{project: project, service: "migrate", net: shared, command: []string{"0", "exit", "3"}}))
}

func (b *bench) find(t *testing.T, project string) Found {
	t.Helper()
	found, err := b.Find(t.Context(), Query{Project: project, Services: usual()})
	require.NoError(t, err)
	return found
}

// among asks with names of services that only this test has, as other projects may be on the same Engine.
func (b *bench) among() Query {
	return Query{Services: Services{Migrate: []string{"migrate"}, Backends: []string{"backend" + b.mark}, Cron: []string{"cron" + b.mark}}}
}

func TestTheEngineShowsTheProjectAsItIs(t *testing.T) {
	b := engine(t)
	shared := b.network(t)
	before := time.Now().Add(-time.Second)
	b.platform(t, "tower", shared)
	b.make(t, "run-migrate", part{project: "tower", service: "migrate", net: shared, oneOff: true})
	b.make(t, "other-1", part{project: "other", service: "backend", net: shared})
	found := b.find(t, b.mark+"-tower")
	assert.Equal(t, b.mark+"-tower", found.Platform.Project)
	names, roles, states := []string{}, []proof.Role{}, []string{}
	for _, service := range found.Platform.Services {
		names, roles, states = append(names, strings.TrimPrefix(service.Container, b.mark+"-tower-")), append(roles, service.Role), append(states, service.State)
		assert.Equal(t, b.image, service.Image)
	}
	assert.Equal(t, []string{"backend-1", "cron-1", "db-1", "migrate-1"}, names, "in order, without the one-off")
	assert.Equal(t, []proof.Role{proof.RoleBackend, proof.RoleCron, proof.RoleOther, proof.RoleMigrate}, roles)
	assert.Equal(t, []string{"running", "created", "running", "exited"}, states)
	backend, cron, migrate := found.Platform.Services[0], found.Platform.Services[1], found.Platform.Services[3]
	assert.True(t, backend.StartedAt.After(before) && backend.FinishedAt.IsZero(), "%+v", backend)
	assert.True(t, cron.StartedAt.IsZero() && cron.FinishedAt.IsZero(), "%+v", cron)
	assert.Equal(t, 3, migrate.ExitCode)
	assert.True(t, migrate.StartedAt.After(before) && migrate.FinishedAt.After(before), "%+v", migrate)
}

func TestTheDatabasesAddressIsReachableFromTheVM(t *testing.T) {
	b := engine(t)
	shared := b.network(t)
	b.platform(t, "tower", shared)
	reached := func(t *testing.T, project string) {
		t.Helper()
		where, err := b.find(t, project).Database()
		require.NoError(t, err)
		assert.Equal(t, "tower", where.Name)
		assert.NotNil(t, net.ParseIP(where.Host), where.Host)
		require.Eventually(t, func() bool { return greets(t, where.Host) }, 10*time.Second, 20*time.Millisecond)
	}
	reached(t, b.mark+"-tower")
	for i, host := range []string{"mysql.internal", b.mark + "-tower-db-1"} {
		project := "alias" + string(rune('a'+i))
		b.make(t, project, part{project: project, service: "backend", net: shared, env: []string{"TOWER_DB_URL=jdbc:mysql://" + host + "/tower"}})
		reached(t, b.mark+"-"+project) // db is in another project, on the network that both share
	}
	b.stop(t, b.mark+"-tower-backend-1")
	reached(t, b.mark+"-tower") // the backend need not run
	b.stop(t, b.mark+"-tower-db-1")
	_, err := b.find(t, b.mark+"-tower").Database()
	assert.Equal(t, fault.CodeDatabaseUnavailable, faultOf(t, err).Code)
	assert.ErrorContains(t, err, "docker start "+b.mark+"-tower-db-1")
}

func greets(t *testing.T, host string) bool {
	t.Helper()
	connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", net.JoinHostPort(host, "3306"))
	if err != nil {
		return false
	}
	defer func() { _ = connection.Close() }()
	text, _ := io.ReadAll(connection)
	return string(text) == "hello"
}

func TestTheEnginesProjectIsChosenWithoutBeingNamed(t *testing.T) {
	b := engine(t)
	shared := b.network(t)
	tower := []string{"TOWER_DB_URL=jdbc:mysql://db/tower"}
	_, err := b.Find(t.Context(), b.among())
	assert.Equal(t, fault.CodePlatformNotFound, faultOf(t, err).Code)
	assert.ErrorContains(t, err, "If the project is down")

	b.make(t, "web", part{project: "web", service: "backend" + b.mark, net: shared})
	_, err = b.Find(t.Context(), b.among())
	assert.Equal(t, fault.CodePlatformNotFound, faultOf(t, err).Code, "some backend, but not of a Platform")
	require.ErrorContains(t, err, `"`+b.mark+`-web" has a backend, but its settings are not those of the Platform`)

	b.make(t, "one-backend", part{project: "one", service: "backend" + b.mark, net: shared, env: tower})
	b.make(t, "one-cron", part{project: "one", service: "cron" + b.mark, net: shared, env: tower})
	found, err := b.Find(t.Context(), b.among())
	require.NoError(t, err)
	assert.Equal(t, b.mark+"-one", found.Platform.Project)

	b.make(t, "two-backend", part{project: "two", service: "backend" + b.mark, net: shared, env: tower})
	b.make(t, "two-cron", part{project: "two", service: "cron" + b.mark, net: shared, env: tower})
	_, err = b.Find(t.Context(), b.among())
	assert.Equal(t, fault.CodePlatformAmbiguous, faultOf(t, err).Code)
	assert.ErrorContains(t, err, b.mark+"-one, "+b.mark+"-two")
}

func TestTheEndOfALogIsReadWithAndWithoutATerminal(t *testing.T) {
	b := engine(t)
	shared := b.network(t)
	for name, tty := range map[string]bool{"streams": false, "tty": true} {
		t.Run(name, func(t *testing.T) {
			c := b.make(t, name, part{project: "tower", service: "cron", net: shared, tty: tty, command: []string{"10", "serve"}})
			require.Eventually(t, func() bool {
				text, err := b.Tail(t.Context(), c, 100)
				return err == nil && strings.Count(text, "\n") == 21
			}, 10*time.Second, 20*time.Millisecond)
			all, err := b.Tail(t.Context(), c, 100)
			require.NoError(t, err)
			assert.Contains(t, all, "out 0\n")
			assert.Contains(t, all, "err 9\n", "both streams")
			assert.Contains(t, all, "serving\n")
			text, err := b.Tail(t.Context(), c, 3)
			require.NoError(t, err)
			assert.Equal(t, 3, strings.Count(text, "\n"))
			assert.True(t, strings.HasSuffix(all, text))
			assert.NotContains(t, text, "\x1b")
			assert.NotContains(t, text, "\x00", "the multiplexed stream is taken apart")
		})
	}
	_, err := b.Tail(t.Context(), b.mark+"-nobody", 3)
	assert.ErrorContains(t, err, "nobody")
}

func TestAnEngineThatIsAskedAfterTheEndOfTheRunIsNotBlamed(t *testing.T) {
	b := engine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Find(ctx, b.among())
	assert.Equal(t, fault.CodeInterrupted, faultOf(t, err).Code)
}

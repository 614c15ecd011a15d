package platform

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// layout is a project like those of the installer and the documentation: paths from the caller's environment, an env file, an inline
// password and no project name.
const layout = `services:
  db:
    image: IMAGE
    command: ["0", "serve"]
    environment: {MYSQL_PASSWORD: "CANARY$$x"}
    volumes: ["$HOME/.tower/db/mysql:/var/lib/mysql"]
  migrate:
    image: IMAGE
    command: ["0", "exit", "0"]
    restart: "no"
    env_file: [tower.env]
    depends_on: [db]
  cron:
    image: IMAGE
    command: ["0", "serve"]
    env_file: [tower.env]
    environment: ["MICRONAUT_ENVIRONMENTS=prod,redis,cron,,,"]
    volumes: ["$PWD/tower.yml:/tower.yml"]
    depends_on: {migrate: {condition: service_completed_successfully}}
  backend:
    image: IMAGE
    command: ["0", "serve"]
    env_file: [tower.env]
    environment: ["MICRONAUT_ENVIRONMENTS=prod,redis,ha,,,"]
    volumes: ["$PWD/tower.yml:/tower.yml", "cache:/cache"]
    depends_on: [db, cron]
  more:
    image: IMAGE
    command: ["0", "serve"]
    profiles: [more]
volumes: {cache: {}}
`

// composed is a directory with compose files, and a Composer for it.
type composed struct {
	*bench
	Composer
}

func (b *bench) composed(t *testing.T) *composed {
	t.Helper()
	if os.Getenv("DOCKER_CONFIG") == "" {
		tools, err := filepath.Abs("../../.tools/docker")
		require.NoError(t, err)
		t.Setenv("DOCKER_CONFIG", tools)
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
		if os.Getenv("REAL_PARTS") == "required" {
			t.Fatal(string(out))
		}
		t.Skip("there is no docker compose: " + string(out))
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	t.Setenv("HOME", filepath.Join(dir, "home"))
	c := &composed{b, Composer{Project: b.mark, Dir: dir, DockerHost: os.Getenv("TEST_DOCKER_HOST")}}
	c.write(t, "docker-compose.yml", layout)
	c.write(t, "tower.env", "TOWER_ENABLE_AWS_SSM=true\nTOWER_DB_URL=jdbc:mysql://db:3306/tower\nTOWER_DB_PASSWORD="+canary+"\n")
	c.write(t, "tower.yml", "micronaut.application.name: tower\n")
	return c
}

func (c *composed) write(t *testing.T, name, text string) {
	t.Helper()
	text = strings.NewReplacer("IMAGE", c.image, "CANARY", canary).Replace(text)
	require.NoError(t, os.WriteFile(filepath.Join(c.Dir, name), []byte(text), 0o600))
}

func (c *composed) up(t *testing.T, more ...string) {
	t.Helper()
	c.cleanup(t, func(ctx context.Context) error {
		_, _, err := c.run(ctx, c.arguments("down", "--volumes", "--timeout", "0", "--remove-orphans")...)
		return err
	})
	_, _, err := c.run(t.Context(), c.arguments(append([]string{"up", "--detach"}, more...)...)...)
	require.NoError(t, err)
}

// differences are those that the project has now.
func (c *composed) differences(t *testing.T) []string {
	t.Helper()
	version, err := c.Version(t.Context())
	require.NoError(t, err)
	every := c.Composer
	every.Profiles = []string{"*"}
	all, err := every.Config(t.Context())
	require.NoError(t, err)
	enabled, err := c.Config(t.Context())
	require.NoError(t, err)
	found, others, err := c.Survey(t.Context(), Query{Project: c.Project, Services: usual()})
	require.NoError(t, err)
	events, err := c.DryRun(t.Context())
	require.NoError(t, err)
	images, err := c.Images(t.Context(), []string{c.image, "crypto-rotation-test:nobody"})
	require.NoError(t, err)
	assert.NotEmpty(t, images[c.image])
	assert.Empty(t, images["crypto-rotation-test:nobody"])
	got, _ := preflight.Differences(preflight.Comparison{
		Project: c.Project, Dir: c.Dir, Home: os.Getenv("HOME"), Compose: version, All: all, Enabled: enabled, Containers: found.Containers(), Foreign: others,
		Images: images, Events: events, Database: found.DatabaseContainer(),
	})
	assert.NotContains(t, strings.Join(got, " "), canary)
	return got
}

func TestComposeWouldStartThePlatformThatItStarted(t *testing.T) {
	c := engine(t).composed(t)
	c.up(t)
	assert.Empty(t, c.differences(t))

	found, _, err := c.Survey(t.Context(), Query{Project: c.Project, Services: usual()})
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{
		"db": {os.Getenv("HOME") + "/.tower/db/mysql:/var/lib/mysql"}, "cron": {c.Dir + "/tower.yml:/tower.yml"}, "backend": {c.Dir + "/tower.yml:/tower.yml", c.Project + "_cache:/cache"},
	}, found.Platform.Mounts)
	assert.Equal(t, c.Project+"-db-1", found.DatabaseContainer())
	assert.Equal(t, []string{c.Dir + "/docker-compose.yml"}, found.Containers()[0].Files)
	texts, unreadable := Settings(found.Containers())
	assert.Contains(t, texts[c.Dir+"/tower.yml"], "micronaut")
	assert.Empty(t, unreadable)

	t.Run("as somebody else", func(t *testing.T) {
		t.Setenv("HOME", "/root/elsewhere")
		got := strings.Join(c.differences(t), "\n")
		assert.Contains(t, got, "The database container "+c.Project+"-db-1 would be recreated with another data directory (/root/elsewhere/.tower/db/mysql instead of "+c.Dir+"/home/.tower/db/mysql). Cause: the compose file uses $HOME")
	})
	t.Run("an env file was edited", func(t *testing.T) {
		c.write(t, "tower.env", "TOWER_ENABLE_AWS_SSM=true\nTOWER_DB_URL=jdbc:mysql://db:3306/tower\nTOWER_DB_PASSWORD=another-"+canary+"\n")
		got := c.differences(t)
		require.Len(t, got, 3, got)
		assert.Contains(t, got[0], "Service backend would get a different environment: TOWER_DB_PASSWORD (a different value).")
	})
	t.Run("a health check was added", func(t *testing.T) {
		c.write(t, "tower.env", "TOWER_ENABLE_AWS_SSM=true\nTOWER_DB_URL=jdbc:mysql://db:3306/tower\nTOWER_DB_PASSWORD="+canary+"\n")
		c.write(t, "docker-compose.yml", strings.Replace(layout, "    environment: {MYSQL", "    healthcheck: {test: [CMD, /program, \"0\", exit, \"0\"]}\n    environment: {MYSQL", 1))
		got := c.differences(t)
		assert.Contains(t, strings.Join(got, " "), "Service db would be recreated, with the same mounts, image, environment and ports.")
	})
}

func TestADryRunOfAProjectThatIsNotThereComesToAnEnd(t *testing.T) {
	c := engine(t).composed(t)
	events, err := c.DryRun(t.Context())
	require.NoError(t, err)
	assert.Contains(t, events, preflight.Event{Container: c.Project + "-db-1", Action: "Creating"})
}

func TestTheComposeFilesMayBeWrittenInEveryWayThatComposeReads(t *testing.T) {
	b := engine(t)
	for name, write := range map[string]func(*composed){
		"compose.yaml": func(c *composed) {
			require.NoError(t, os.Rename(filepath.Join(c.Dir, "docker-compose.yml"), filepath.Join(c.Dir, "compose.yaml")))
		},
		"an override with compose's own tags": func(c *composed) {
			c.write(t, "docker-compose.override.yml", "services:\n  db:\n    environment: !reset {}\n")
		},
		"an included file": func(c *composed) {
			c.write(t, "docker-compose.yml", "include: [all.yml]\n")
			c.write(t, "all.yml", layout)
		},
		"version at the top": func(c *composed) { c.write(t, "docker-compose.yml", "version: \"3\"\n"+layout) },
		"an env file of its own": func(c *composed) {
			c.write(t, "prod.env", "TAG="+strings.TrimPrefix(c.image, "crypto-rotation-test:"))
			c.write(t, "a.yml", strings.ReplaceAll(layout, "IMAGE", "crypto-rotation-test:${TAG:-old}"))
			c.Files, c.EnvFiles, c.Profiles = []string{filepath.Join(c.Dir, "a.yml")}, []string{filepath.Join(c.Dir, "prod.env")}, []string{"more"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := b.composed(t)
			write(c)
			config, err := c.Config(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.Project, config.Project)
			assert.Equal(t, c.image, config.Services["backend"].Image)
			assert.Equal(t, len(c.Profiles) > 0, config.Services["more"].Image != "")
			assert.Equal(t, []preflight.Mount{{Source: os.Getenv("HOME") + "/.tower/db/mysql", Target: "/var/lib/mysql"}}, config.Services["db"].Mounts)
			if name != "an override with compose's own tags" {
				assert.True(t, config.Services["db"].Environment["MYSQL_PASSWORD"].Equal(secret.New(canary+"$x")))
			}
		})
	}
}

// Files, project, profile and tag may be named in the project's .env (V9): what a plain docker compose up started there is found as
// it is, down or up, and an edit of .env after that is a pending one.
func TestWhatTheProjectsEnvFileNamesIsThePlatform(t *testing.T) {
	c := engine(t).composed(t)
	env := "COMPOSE_FILE=a.yml:b.yml\nCOMPOSE_PROJECT_NAME=" + c.mark + "\nCOMPOSE_PROFILES=more\nTAG=" + strings.TrimPrefix(c.image, "crypto-rotation-test:") + "\n"
	require.NoError(t, os.Remove(filepath.Join(c.Dir, "docker-compose.yml")))
	c.write(t, "a.yml", strings.ReplaceAll(layout, "IMAGE", "crypto-rotation-test:${TAG:-old}"))
	c.write(t, "b.yml", "services: {backend: {environment: {FROM: \"${FROM:-b.yml}\"}}}\n")
	c.write(t, ".env", env)
	c.Project = "" // nobody names it
	down, err := c.Config(t.Context())
	require.NoError(t, err)
	assert.Equal(t, c.mark, down.Project)
	assert.Equal(t, c.image, down.Services["more"].Image)
	assert.Contains(t, down.Services["backend"].Environment, "FROM")
	c.up(t)

	// As composer, in package main, takes them from the containers.
	c.Project = c.mark
	found, _, err := c.Survey(t.Context(), Query{Project: c.Project, Services: usual()})
	require.NoError(t, err)
	one := found.Containers()[0]
	assert.Equal(t, []string{c.Dir + "/a.yml", c.Dir + "/b.yml"}, one.Files)
	every := c.Composer
	every.Files, every.EnvFiles, every.Profiles = one.Files, one.EnvFiles, []string{"*"}
	all, err := every.Config(t.Context())
	require.NoError(t, err)
	c.Files, c.EnvFiles, c.Profiles = one.Files, one.EnvFiles, preflight.Profiles(all, found.Containers(), nil)
	assert.Equal(t, []string{"more"}, c.Profiles)
	assert.Empty(t, c.differences(t))

	c.write(t, ".env", strings.Replace(env, "a.yml:b.yml", "a.yml", 1))
	assert.Empty(t, c.differences(t), "the files are those that were used")
	c.write(t, ".env", env+"FROM=elsewhere\n")
	assert.Contains(t, strings.Join(c.differences(t), "\n"), "Service backend would get a different environment: FROM (a different value).")
}

func TestWhatComposeRefusesIsSaidInItsOwnWordsWithoutASecret(t *testing.T) {
	b := engine(t)
	for name, test := range map[string]struct {
		write func(*composed)
		says  string
	}{
		"an env file is missing (V1, case 3)": {func(c *composed) { require.NoError(t, os.Remove(filepath.Join(c.Dir, "tower.env"))) }, "tower.env"},
		"no compose file":                     {func(c *composed) { require.NoError(t, os.Remove(filepath.Join(c.Dir, "docker-compose.yml"))) }, "no configuration file"},
		"a password that is no interpolation": {func(c *composed) {
			c.write(t, "docker-compose.yml", strings.Replace(layout, "CANARY$$x", "${CANARY", 1))
		}, "db.environment.MYSQL_PASSWORD"},
		"a line that is no variable": {func(c *composed) { c.write(t, "tower.env", "pass word=CANARY%CANARY\nCANARY+x y\n") }, "tower.env"},
		"no YAML":                    {func(c *composed) { c.write(t, "docker-compose.yml", "services:\n  db: [CANARY\n") }, "yaml"},
		"no compose file's shape": {func(c *composed) {
			c.write(t, "docker-compose.yml", "services:\n  db:\n    environment:\n      - {A: CANARY}\n")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := b.composed(t)
			c.Secrets = []secret.Secret{secret.New(canary), secret.New("tower")} // as the documentation's MYSQL_PASSWORD, which is in every name
			test.write(c)
			_, err := c.Config(t.Context())
			assert.Equal(t, fault.CodeComposeUnavailable, faultOf(t, err).Code)
			assert.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), canary)
			c.Secrets = nil
			_, err = c.Config(t.Context())
			assert.NotContains(t, err.Error(), canary, "also of what no container has yet")
		})
	}
}

func TestAComposeThatHangsIsGivenUpWithAllItsChildren(t *testing.T) {
	bin := t.TempDir()
	mark := filepath.Join(bin, "pid")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\nsleep 60 &\necho $! > "+mark+"\nwait\n"), 0o700))
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Composer{Dir: bin}.Version(ctx)
	assert.Equal(t, fault.CodeInterrupted, faultOf(t, err).Code)
	assert.Less(t, time.Since(began), 4*time.Second)
	pid, err := os.ReadFile(mark)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, time.Second, 10*time.Millisecond)

	t.Setenv("PATH", filepath.Join(bin, "nowhere"))
	_, err = Composer{Dir: bin}.Version(t.Context())
	assert.Equal(t, fault.CodeComposeUnavailable, faultOf(t, err).Code)
	assert.ErrorContains(t, err, "the command docker is not")
}

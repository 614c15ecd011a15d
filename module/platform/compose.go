package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Compose is what Docker Compose says of the Platform: how it is to be run, and what a start would make. It holds no secret.
type Compose struct {
	Project        string                    `json:"project"`
	Dir            string                    `json:"dir"`
	Files          []string                  `json:"files"`
	EnvFiles       []string                  `json:"env_files"`
	Profiles       []string                  `json:"profiles"`
	Version        string                    `json:"version"`
	Mounts         map[string][]string       `json:"mounts"` // by service: source:target, sorted; the source is a path or the name of a volume
	Services       map[string]ComposeService `json:"services"`
	KeepsAddresses []string                  `json:"keeps_addresses"`  // services that may keep the address of a backend: to be restarted after it
	Memory         string                    `json:"memory,omitempty"` // what is assumed of a second backend, where a handover is asked for
}

// ComposeService is one service of the compose files.
type ComposeService struct {
	DependsOn []string `json:"depends_on"`
	Running   bool     `json:"running"`
	Enabled   bool     `json:"enabled"` // a plain docker compose up starts it
	Image     string   `json:"image"`
}

// Composer runs docker compose in one directory, for one project. It never changes anything.
type Composer struct {
	Project    string
	Dir        string
	Files      []string
	EnvFiles   []string
	Profiles   []string
	DockerHost string
	Secrets    []secret.Secret // to be masked in what compose says
}

// How long one call may take: a config is read in a second, and a dry run asks the Engine about each container.
const composeTimeout = time.Minute

// Version is that of Docker Compose, such as 2.40.3.
func (c Composer) Version(ctx context.Context) (string, error) {
	out, _, err := c.run(ctx, "version", "--short")
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), err
}

// Config resolves the compose files.
func (c Composer) Config(ctx context.Context) (preflight.Config, error) {
	out, _, err := c.run(ctx, c.arguments("config", "--format", "json")...)
	if err != nil {
		return preflight.Config{}, err
	}
	config, err := preflight.ParseConfig(out)
	if err != nil {
		return config, c.failed("its answer is not understood: "+err.Error(), err)
	}
	return config, nil
}

// DryRun says what a start would do to containers. It starts, waits for and pulls nothing.
func (c Composer) DryRun(ctx context.Context) ([]preflight.Event, error) {
	out, said, err := c.run(ctx, c.arguments("up", "--no-start", "--dry-run", "--pull", "never")...)
	if err != nil {
		return nil, err
	}
	return preflight.ParseEvents(string(said) + "\n" + string(out)), nil
}

// arguments are those that community.docker gives compose, so that both see one project.
func (c Composer) arguments(command ...string) []string {
	arguments := []string{"--project-directory", c.Dir}
	if c.Project != "" {
		arguments = append(arguments, "--project-name", c.Project)
	}
	for _, file := range c.Files {
		arguments = append(arguments, "--file", file)
	}
	for _, file := range c.EnvFiles {
		arguments = append(arguments, "--env-file", file)
	}
	for _, profile := range c.Profiles {
		arguments = append(arguments, "--profile", profile)
	}
	return append(arguments, command...)
}

func (c Composer) run(ctx context.Context, arguments ...string) (out, said []byte, err error) {
	limited, cancel := context.WithTimeout(ctx, composeTimeout)
	defer cancel()
	command := exec.CommandContext(limited, "docker", append([]string{"compose"}, arguments...)...) //nolint:gosec // the operator's own paths and names
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr, command.Dir = &stdout, &stderr, c.Dir
	command.Env = command.Environ() // with PWD, which compose files may use
	if c.DockerHost != "" {
		command.Env = append(command.Env, "DOCKER_HOST="+c.DockerHost)
	}
	// docker runs compose as a child of its own: both must go.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	err = command.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), stderr.Bytes(), nil
	case ctx.Err() != nil:
		return nil, nil, fault.New(fault.CodeInterrupted, "Run again.",
			"Asking Docker Compose was interrupted.").From(context.Cause(ctx))
	case limited.Err() != nil:
		return nil, nil, c.failed(fmt.Sprintf("it did not answer within %s", composeTimeout), limited.Err())
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil, c.failed("there is no command docker on this VM's PATH", err)
	}
	words := c.words(stderr.String())
	if words == "" {
		words = "it said nothing, and ended with " + err.Error()
	}
	return nil, nil, c.failed(words, err)
}

// words are what compose said last, without its warnings and without anything that may be a value of an environment.
func (c Composer) words(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(line, "level=warning") {
			lines = append(lines, line)
		}
	}
	text = secret.ScrubValues(strings.Join(lines, " "), strings.Join(append([]string{c.Dir, c.Project}, c.Files...), " "), c.Secrets...)
	// What compose cannot resolve or read it quotes, whole: it may be a password that no container has yet.
	for _, hidden := range [][2]string{
		{`(?i)(interpolation format for [\w.\[\]-]+).*`, "${1}"},
		{`(?i)((?:variable name|unexpected character) )"[^"]*"?`, "${1}" + secret.Mask},
		{"`[^`]*`?", secret.Mask},
		{`(?i)(\w*(?:password|secret|token|key)\w*\s*[=:]\s*)\S+`, "${1}" + secret.Mask},
	} {
		text = regexp.MustCompile(hidden[0]).ReplaceAllString(text, hidden[1])
	}
	if most := 600; len(text) > most { // compose 2.24 may end with a trace
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}

func (c Composer) failed(why string, err error) *fault.Fault {
	return fault.New(fault.CodeComposeUnavailable, fmt.Sprintf("Run docker compose config --quiet in %s as the user who started the Platform, and fix what it names. If the Platform has other files there, set compose_dir, compose_files or compose_env_files.", c.Dir),
		"Docker Compose cannot be asked in %s: %s.", c.Dir, strings.TrimSuffix(why, ".")).From(err)
}

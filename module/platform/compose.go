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

// Compose says how to run Docker Compose for the Platform, and what a start would create. It contains no secret.
type Compose struct {
	Project        string                    `json:"project"`
	Dir            string                    `json:"dir"`
	Files          []string                  `json:"files"`
	EnvFiles       []string                  `json:"env_files"`
	Profiles       []string                  `json:"profiles"`
	Version        string                    `json:"version"`
	Mounts         map[string][]string       `json:"mounts"` // by service: source:target, sorted; the source is a path or the name of a volume
	Services       map[string]ComposeService `json:"services"`
	KeepsAddresses []string                  `json:"keeps_addresses"`  // services that may keep the address of a backend, so restart them after it, in this order
	SecondBackends []string                  `json:"second_backends"`  // backend containers that an interrupted handover created and that do not serve
	Memory         string                    `json:"memory,omitempty"` // the assumption about the memory of a second backend, for a handover
	preflight.Order
}

// ComposeService is one service of the compose files.
type ComposeService struct {
	DependsOn []string `json:"depends_on"`
	Running   bool     `json:"running"`
	Enabled   bool     `json:"enabled"` // a plain docker compose up starts it
	Image     string   `json:"image"`
}

// Composer runs docker compose commands that only read, in one directory and for one project.
type Composer struct {
	Project    string
	Dir        string
	Files      []string
	EnvFiles   []string
	Profiles   []string
	DockerHost string
	Secrets    []secret.Secret // masked in the output of compose
}

// composeTimeout is the timeout of one command. A config takes about a second; a dry run asks the Engine about each container.
const composeTimeout = time.Minute

// Version returns the version of Docker Compose, such as 2.40.3. Its errors are faults, like those of Config and DryRun.
func (c Composer) Version(ctx context.Context) (string, error) {
	out, _, err := c.run(ctx, "version", "--short")
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v"), err
}

// Config returns the compose files with all variables and paths resolved.
func (c Composer) Config(ctx context.Context) (preflight.Config, error) {
	out, _, err := c.run(ctx, c.arguments("config", "--format", "json")...)
	if err != nil {
		return preflight.Config{}, err
	}
	config, err := preflight.ParseConfig(out)
	if err != nil {
		return config, c.failed("its output is not understood: "+err.Error(), err)
	}
	return config, nil
}

// DryRun returns what a start would do to containers. It does not start, wait for or pull anything.
func (c Composer) DryRun(ctx context.Context) ([]preflight.Event, error) {
	out, said, err := c.run(ctx, c.arguments("up", "--no-start", "--dry-run", "--pull", "never")...)
	if err != nil {
		return nil, err
	}
	return preflight.ParseEvents(string(said) + "\n" + string(out)), nil
}

// arguments returns the arguments that community.docker passes to compose, so that both see the same project.
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

func (c Composer) run(ctx context.Context, arguments ...string) (stdout, stderr []byte, err error) {
	limited, cancel := context.WithTimeout(ctx, composeTimeout)
	defer cancel()
	command := exec.CommandContext(limited, "docker", append([]string{"compose"}, arguments...)...) //nolint:gosec // the operator's own paths and names
	var out, log bytes.Buffer
	command.Stdout, command.Stderr, command.Dir = &out, &log, c.Dir
	command.Env = command.Environ() // with PWD, which compose files may use
	if c.DockerHost != "" {
		command.Env = append(command.Env, "DOCKER_HOST="+c.DockerHost)
	}
	// docker runs compose as a child process: kill the whole process group.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
	err = command.Run()
	switch {
	case err == nil:
		return out.Bytes(), log.Bytes(), nil
	case ctx.Err() != nil:
		return nil, nil, fault.New(fault.CodeInterrupted, "Run again.",
			"Asking Docker Compose was interrupted.").From(context.Cause(ctx))
	case limited.Err() != nil:
		return nil, nil, c.failed(fmt.Sprintf("it did not answer within %s", composeTimeout), limited.Err())
	case errors.Is(err, exec.ErrNotFound):
		return nil, nil, c.failed("the command docker is not on this VM's PATH", err)
	}
	reason := c.errorText(log.String())
	if reason == "" {
		reason = "it printed no error and ended with " + err.Error()
	}
	return nil, nil, c.failed(reason, err)
}

// errorText returns the error output of compose without warnings, and masks whatever may be the value of an environment variable.
func (c Composer) errorText(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(line, "level=warning") {
			lines = append(lines, line)
		}
	}
	text = secret.ScrubValues(strings.Join(lines, " "), strings.Join(append([]string{c.Dir, c.Project}, c.Files...), " "), c.Secrets...)
	// Compose quotes text that it cannot parse. That may be a password that no container has yet.
	for _, hidden := range [][2]string{
		{`(?i)(interpolation format for [\w.\[\]-]+).*`, "${1}"},
		{`(?i)((?:variable name|unexpected character) )"[^"]*"?`, "${1}" + secret.Mask},
		{"`[^`]*`?", secret.Mask},
		{`(?i)(\w*(?:password|secret|token|key)\w*\s*[=:]\s*)\S+`, "${1}" + secret.Mask},
	} {
		text = regexp.MustCompile(hidden[0]).ReplaceAllString(text, hidden[1])
	}
	if most := 600; len(text) > most { // compose 2.24 may print a stack trace
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
}

func (c Composer) failed(why string, err error) *fault.Fault {
	return fault.New(fault.CodeComposeUnavailable, fmt.Sprintf("Run docker compose config --quiet in %s as the user who started the Platform, and fix what it reports. If the Platform uses other files, set compose_dir, compose_files or compose_env_files.", c.Dir),
		"Docker Compose failed in %s: %s.", c.Dir, strings.TrimSuffix(why, ".")).From(err)
}

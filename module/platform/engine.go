// Package platform observes the Platform's compose project through the Docker Engine: which services run, since when, whether they are
// ready, and where the database is. It changes nothing. Package sealed knows how records are encrypted, package records reads them,
// and package parameters reads SSM.
package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

const connectTimeout = 10 * time.Second

// Engine is a connection to a Docker Engine, version 20.10 or later. The API version is negotiated.
type Engine struct {
	client *client.Client
	host   string
}

// Connect connects to the Engine at host (unix:///… or tcp://…); an empty host means the local socket. Its error is a
// docker_unavailable fault with the cause, such as a missing socket, a refused connection or missing permission.
func Connect(ctx context.Context, host string) (*Engine, error) {
	if host == "" {
		host = client.DefaultDockerHost
	}
	where, err := client.ParseHostURL(host)
	if err != nil || (where.Scheme != "unix" && where.Scheme != "tcp") || where.Host == "" {
		return nil, unavailable(host, "the address is not understood", "Give docker_host as unix:///path or tcp://host:port.", err)
	}
	c, err := client.NewClientWithOpts(client.WithHost(host), client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, unavailable(host, "the address is not understood", "Give docker_host as unix:///path or tcp://host:port.", err)
	}
	e := &Engine{client: c, host: host}
	limited, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if _, err := c.Ping(limited); err != nil {
		e.Close()
		if ctx.Err() != nil {
			return nil, e.interrupted(ctx)
		}
		return nil, diagnose(limited, host, where.Scheme, where.Host, err)
	}
	return e, nil
}

// Close ends the connection.
func (e *Engine) Close() { _ = e.client.Close() }

// diagnose dials again, because the client's error does not say why the connection failed.
func diagnose(ctx context.Context, host, network, address string, err error) *fault.Fault {
	connection, refused := (&net.Dialer{}).DialContext(ctx, network, address)
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(refused, context.DeadlineExceeded), errors.Is(refused, syscall.ETIMEDOUT):
		return unavailable(host, fmt.Sprintf("it does not answer within %s", connectTimeout), "Read its log (journalctl -u docker). If it hangs, restart it.", err)
	case refused == nil:
		_ = connection.Close()
		return unavailable(host, "the program that listens there does not answer like an Engine without TLS", "Check docker_host.", err)
	case errors.Is(refused, fs.ErrPermission):
		return unavailable(host, "permission denied", "Run the task with become: true, or as a member of the group docker.", refused)
	case errors.Is(refused, fs.ErrNotExist):
		return unavailable(host, "the socket does not exist", "Install or start Docker (systemctl start docker), or set docker_host.", refused)
	case errors.Is(refused, syscall.ECONNREFUSED):
		return unavailable(host, "the connection was refused; nothing listens there", "Start Docker (systemctl start docker), or set docker_host.", refused)
	case errors.As(refused, &dns):
		return unavailable(host, "this machine cannot resolve the host name", "Check docker_host.", refused)
	default:
		return unavailable(host, "it cannot be reached", "Start Docker (systemctl start docker), or set docker_host.", refused)
	}
}

func unavailable(host, why, next string, err error) *fault.Fault {
	return fault.New(fault.CodeDockerUnavailable, next,
		"The Docker Engine at %s is not available: %s.", host, why).From(err)
}

// broken is the error for a request that a connected Engine did not answer.
func (e *Engine) broken(ctx context.Context, what string, err error) *fault.Fault {
	if ctx.Err() != nil {
		return e.interrupted(ctx)
	}
	return unavailable(e.host, what, "Read its log (journalctl -u docker), then run again.", err)
}

func (e *Engine) interrupted(ctx context.Context) *fault.Fault {
	return fault.New(fault.CodeInterrupted, "Run again.",
		"A request to the Docker Engine at %s was interrupted.", e.host).From(context.Cause(ctx))
}

const logTimeout = 2 * time.Minute // a large log that was never rotated is slow

const tailBytes = 64 << 10 // limit for the end of a log, because a line may be very long

// Tail returns the last lines of a container's log (stdout and stderr), at most 64 KiB, without terminal escape sequences. The text
// may contain secrets: the caller must mask the secrets that it knows.
func (e *Engine) Tail(ctx context.Context, name string, lines int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	inspected, err := e.inspectOne(ctx, name)
	if err != nil {
		return "", fmt.Errorf("container %s: %w", name, err)
	}
	stream, err := e.client.ContainerLogs(ctx, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: strconv.Itoa(max(lines, 1))})
	if err != nil {
		return "", fmt.Errorf("log of container %s: %w", name, err)
	}
	defer func() { _ = stream.Close() }()
	var out tailBuffer
	if inspected.Config != nil && inspected.Config.Tty {
		_, err = io.Copy(&out, stream)
	} else {
		_, err = stdcopy.StdCopy(&out, &out, stream)
	}
	if err != nil {
		return "", fmt.Errorf("log of container %s: %w", name, err)
	}
	return plain(out.kept), nil
}

// tailBuffer keeps the last tailBytes bytes that are written to it.
type tailBuffer struct{ kept []byte }

func (e *tailBuffer) Write(p []byte) (int, error) {
	e.kept = append(e.kept, p...)
	if over := len(e.kept) - tailBytes; over > 0 {
		e.kept = bytes.Clone(e.kept[over:])
	}
	return len(p), nil
}

// plain removes escape sequences (ECMA-48: ESC [ parameters, final byte @ to ~) and control characters.
func plain(text []byte) string {
	return regexp.MustCompile(`\x1b(\[[^\x40-\x7e\x1b]*[\x40-\x7e]?|[^\[\x1b]|$)|[\x00-\x08\x0b-\x1f\x7f]`).ReplaceAllString(strings.ToValidUTF8(string(text), "\uFFFD"), "")
}

// Package platform looks at the Platform's compose project through the Docker Engine: which services run, since when,
// whether they are ready, and where the database is. It changes nothing. How records are encrypted is in package sealed,
// how they are read in package records, and what is in SSM in package parameters.
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

// Engine is a Docker Engine, 20.10 or later; the API version is negotiated.
type Engine struct {
	client *client.Client
	host   string
}

// Connect reaches the Engine at host (unix:///…, tcp://…); empty means the local socket. Its error is a
// docker_unavailable fault that tells an absent socket, a refused one and one that is not permitted apart.
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

// diagnose dials once more: the client's own error does not say why a connection failed.
func diagnose(ctx context.Context, host, network, address string, err error) *fault.Fault {
	connection, refused := (&net.Dialer{}).DialContext(ctx, network, address)
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(refused, context.DeadlineExceeded), errors.Is(refused, syscall.ETIMEDOUT):
		return unavailable(host, fmt.Sprintf("it does not answer within %s", connectTimeout), "Look at its log (journalctl -u docker); restart it if it hangs.", err)
	case refused == nil:
		_ = connection.Close()
		return unavailable(host, "what listens there does not answer as an Engine without TLS does", "Check docker_host.", err)
	case errors.Is(refused, fs.ErrPermission):
		return unavailable(host, "permission denied", "Run the task with become: true, or as a member of the group docker.", refused)
	case errors.Is(refused, fs.ErrNotExist):
		return unavailable(host, "there is no such socket", "Install or start Docker (systemctl start docker), or set docker_host.", refused)
	case errors.Is(refused, syscall.ECONNREFUSED):
		return unavailable(host, "the connection was refused, so nothing listens there", "Start Docker (systemctl start docker), or set docker_host.", refused)
	case errors.As(refused, &dns):
		return unavailable(host, "this machine does not know that host", "Check docker_host.", refused)
	default:
		return unavailable(host, "it cannot be reached", "Start Docker (systemctl start docker), or set docker_host.", refused)
	}
}

func unavailable(host, why, next string, err error) *fault.Fault {
	return fault.New(fault.CodeDockerUnavailable, next,
		"The Docker Engine at %s cannot be asked: %s.", host, why).From(err)
}

// broken is a question that the Engine, once connected, did not answer.
func (e *Engine) broken(ctx context.Context, what string, err error) *fault.Fault {
	if ctx.Err() != nil {
		return e.interrupted(ctx)
	}
	return unavailable(e.host, what, "Look at its log (journalctl -u docker) and run again.", err)
}

func (e *Engine) interrupted(ctx context.Context) *fault.Fault {
	return fault.New(fault.CodeInterrupted, "Run again.",
		"Asking the Docker Engine at %s was interrupted.", e.host).From(context.Cause(ctx))
}

const logTimeout = 2 * time.Minute // a log that was never rotated takes its time

const tailBytes = 64 << 10 // of a log's end are kept: one line of it may be long

// Tail gives the last lines of a container's log, both streams, at most 64 KiB, without the colours of a terminal. They
// may hold anything: the caller scrubs the secrets it knows.
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
	var out end
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

// end keeps the end of what is written to it.
type end struct{ kept []byte }

func (e *end) Write(p []byte) (int, error) {
	e.kept = append(e.kept, p...)
	if over := len(e.kept) - tailBytes; over > 0 {
		e.kept = bytes.Clone(e.kept[over:])
	}
	return len(p), nil
}

// plain leaves out escape sequences (ECMA-48: ESC [ parameters, final byte @ to ~) and control characters.
func plain(text []byte) string {
	return regexp.MustCompile(`\x1b(\[[^\x40-\x7e\x1b]*[\x40-\x7e]?|[^\[\x1b]|$)|[\x00-\x08\x0b-\x1f\x7f]`).ReplaceAllString(strings.ToValidUTF8(string(text), "\uFFFD"), "")
}

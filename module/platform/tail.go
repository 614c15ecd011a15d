package platform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
)

const logTimeout = 2 * time.Minute // a log that was never rotated takes its time

const tailBytes = 64 << 10 // of a log's end are kept: one line of it may be long

// Tail gives the last lines of a container's log, both streams, at most 64 KiB, without the colours of a terminal. They
// may hold anything: the caller scrubs the secrets it knows.
func (e *Engine) Tail(ctx context.Context, name string, lines int) (string, error) {
	var out end
	if err := e.log(ctx, name, container.LogsOptions{Tail: strconv.Itoa(max(lines, 1))}, &out); err != nil {
		return "", err
	}
	return plain(out.kept), nil
}

// log copies both streams of a container's log.
func (e *Engine) log(ctx context.Context, name string, options container.LogsOptions, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	inspected, err := e.inspectOne(ctx, name)
	if err != nil {
		return fmt.Errorf("container %s: %w", name, err)
	}
	options.ShowStdout, options.ShowStderr = true, true
	stream, err := e.client.ContainerLogs(ctx, name, options)
	if err != nil {
		return fmt.Errorf("log of container %s: %w", name, err)
	}
	defer func() { _ = stream.Close() }()
	if inspected.Config != nil && inspected.Config.Tty {
		_, err = io.Copy(out, stream)
	} else {
		_, err = stdcopy.StdCopy(out, out, stream)
	}
	if err != nil {
		return fmt.Errorf("log of container %s: %w", name, err)
	}
	return nil
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
	return regexp.MustCompile(`\x1b(\[[^@-~\x1b]*[@-~]?|[^\[\x1b]|$)|[\x00-\x08\x0b-\x1f\x7f]`).ReplaceAllString(strings.ToValidUTF8(string(text), "\uFFFD"), "")
}

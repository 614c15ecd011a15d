package platform

import (
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
)

// Foreign returns name if a container with that name belongs to another service or project, or else "".
func (e *Engine) Foreign(ctx context.Context, name, project, service string) (string, error) {
	c, err := e.inspectOne(ctx, name)
	switch {
	case cerrdefs.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", e.broken(ctx, "it does not inspect container "+name, err)
	case strings.TrimPrefix(c.Name, "/") != name || c.Config == nil: // the Engine also accepts the beginning of a container ID
		return "", nil
	case c.Config.Labels[labelProject] == project && c.Config.Labels[labelService] == service:
		return "", nil
	}
	return name, nil
}

// MemoryUsed returns how many bytes of memory a container uses, without reclaimable page cache, or 0 if it is not known.
func (e *Engine) MemoryUsed(ctx context.Context, name string) int64 {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := e.client.ContainerStatsOneShot(ctx, name)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	var stats container.StatsResponse
	if json.NewDecoder(answer.Body).Decode(&stats) != nil {
		return 0
	}
	used := stats.MemoryStats.Usage
	for _, cache := range []string{"inactive_file", "total_inactive_file"} { // cgroup 2, cgroup 1
		if bytes, ok := stats.MemoryStats.Stats[cache]; ok && bytes < used {
			return int64(used - bytes) //nolint:gosec // no machine has that much memory
		}
	}
	return int64(used) //nolint:gosec // no machine has that much memory
}

// MemoryAvailable returns how many bytes of memory this machine has for new programs, or 0 if it is not known.
func MemoryAvailable() int64 {
	text, _ := os.ReadFile("/proc/meminfo") // only Linux has it
	found := regexp.MustCompile(`(?m)^MemAvailable: +(\d+) kB$`).FindSubmatch(text)
	if found == nil {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(string(found[1]), 10, 64)
	return kilobytes << 10
}

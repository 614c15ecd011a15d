package vm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// pollPause is the pause between two checks during an outage. It is short, because users are waiting.
const pollPause = 200 * time.Millisecond

// Look observes what gather names. It uses Docker only if gather requires it, or to find the database.
func (v *VM) Look(ctx context.Context, gather []string) error {
	scan, count := slices.Contains(gather, "records"), slices.Contains(gather, "count")
	if slices.Contains(gather, "database") {
		if err := v.waitForDatabase(ctx); err != nil {
			return err
		}
	}
	var found platform.Found
	var err error
	switch {
	case slices.Contains(gather, "platform"):
		found, err = v.started(ctx)
	case (scan || count) && v.about.Options.Database == nil:
		found, err = v.containers(ctx, false)
	}
	if err != nil {
		return err
	}
	if count {
		if err := v.count(ctx, found); err != nil {
			return err
		}
	}
	if !scan {
		return nil
	}
	if err := v.open(ctx, found); err != nil {
		return err
	}
	counted, err := v.Scanner.Scan(ctx)
	if err != nil {
		return err
	}
	v.Observed.Records = &counted
	return v.lookAgain(ctx)
}

// lookAgain dates the observation at the end of the scan, which may take long. If nothing wrote at its beginning, a backend that has
// started since then may have written.
func (v *VM) lookAgain(ctx context.Context) error {
	began := v.Observed.Now
	v.Observed.Now = v.about.Now()
	if v.Observed.Platform == nil || v.Observed.Platform.Writer() != "" {
		return nil
	}
	readiness := v.Observed.Platform.Readiness
	_, err := v.containers(ctx, false)
	v.Observed.Platform.Readiness, v.Observed.Platform.ReadSince = readiness, began
	return err
}

func (v *VM) count(ctx context.Context, found platform.Found) error {
	if err := v.connectDatabase(ctx, found); err != nil {
		return err
	}
	total, err := v.database.Count(ctx)
	v.Counted = &proof.Records{Database: v.database.Identity(), Total: total, UnreadableIDs: []string{}, NotRewritten: []string{}, Notes: []string{}}
	return err
}

// started observes the containers and compares them with the option platform. With ready_timeout, it waits until everything is ready.
func (v *VM) started(ctx context.Context) (platform.Found, error) {
	deadline := v.about.Now().Add(time.Duration(v.about.Compose.ReadyTimeout) * time.Second)
	for {
		found, err := v.containers(ctx, true)
		if err != nil {
			return found, err
		}
		if err := v.moved(found); err != nil || v.about.Compose.ReadyTimeout == 0 {
			return found, err
		}
		late := v.notReady(ctx, found)
		if late == "" {
			return found, nil
		}
		if !v.about.Now().Before(deadline) {
			return found, fault.New(fault.CodePlatformNotReady, "Read the backend's log (docker logs), fix the cause, then run the same command again.",
				"The Platform is not ready after %s (ready_timeout): %s.", time.Duration(v.about.Compose.ReadyTimeout)*time.Second, late)
		}
		select {
		case <-ctx.Done():
			return found, interrupted()
		case <-time.After(pollPause):
		}
	}
}

// notReady says what is not ready yet, or returns "".
func (v *VM) notReady(ctx context.Context, found platform.Found) string {
	if r := found.Platform.Readiness; !r.Ready {
		return fmt.Sprintf("%s: %s", r.URL, r.Detail)
	}
	unhealthy, _ := v.askBackends(ctx, found.Containers())
	for _, name := range slices.Sorted(maps.Keys(unhealthy)) {
		return fmt.Sprintf("backend %s: %s", name, unhealthy[name])
	}
	return ""
}

// moved compares what is running with the option platform. Its error is a fault.
func (v *VM) moved(found platform.Found) error {
	before := v.about.Before
	differences := preflight.Moved(preflight.Before{Project: before.Project, Mounts: before.Mounts}, found.Platform.Project, found.Platform.Mounts)
	if v.about.Compose.AllowDrift {
		v.Drift, differences = differences, nil
	}
	if len(differences) == 0 {
		return nil
	}
	return fault.New(fault.CodePlatformDiffers, "Stop it (docker compose down) and start it as before (same user, directory and files). Then run the same command again.",
		"%s", "This is not the Platform that ran before. "+strings.Join(differences, " "))
}

// waitForDatabase waits up to ready_timeout seconds until the database answers. It does not wait for compose's health check, which
// runs only after 30 s.
func (v *VM) waitForDatabase(ctx context.Context) error {
	var backend preflight.Service
	if v.about.Options.Database == nil {
		var err error
		if backend, err = v.backend(ctx); err != nil {
			return err
		}
	}
	timeout := time.Duration(v.about.Compose.ReadyTimeout) * time.Second
	deadline := v.about.Now().Add(timeout)
	for {
		err := v.ask(ctx, backend)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Code != fault.CodeDatabaseUnavailable {
			return err
		}
		if !v.about.Now().Before(deadline) {
			return fault.New(f.Code, f.Next, "The database does not answer after %s (ready_timeout). %s", timeout, f.What).From(err)
		}
		select {
		case <-ctx.Done():
			return interrupted()
		case <-time.After(pollPause):
		}
	}
}

func (v *VM) ask(ctx context.Context, backend preflight.Service) (err error) {
	var found platform.Found
	if v.about.Options.Database == nil {
		if found, err = v.engine.Await(ctx, v.query(), backend); err != nil {
			return err
		}
	}
	return v.connectDatabase(ctx, found)
}

// backend returns the first backend service in the compose files.
func (v *VM) backend(ctx context.Context) (preflight.Service, error) {
	if err := v.connect(ctx); err != nil {
		return preflight.Service{}, err
	}
	composer, err := v.composer(nil, v.about.Options.ComposeProject)
	if err != nil {
		return preflight.Service{}, err
	}
	composer.Profiles = []string{"*"}
	config, err := composer.Config(ctx)
	if err != nil {
		return preflight.Service{}, err
	}
	return config.Services[v.about.Options.Services.Backends[0]], nil
}

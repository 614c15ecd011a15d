package proof

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// ready checks that the standalone parameters are as the state prepared leaves them. Its errors are faults.
func (p Parameters) ready(prints Fingerprinter) error {
	for _, key := range []Parameter{p.Current, p.Previous} {
		if err := key.Secure(); err != nil {
			return err
		}
	}
	missing := func(what string) error {
		return fault.New(fault.CodeNotPrepared, "Run state prepared first; with standalone: delete, run terraform apply after it.",
			"%s", what)
	}
	switch {
	case !p.Current.Exists:
		return missing(fmt.Sprintf("There is no SSM parameter %s.", p.Current.Name))
	case !p.Previous.Exists:
		return missing(fmt.Sprintf("There is no SSM parameter %s, so no rotation is prepared.", p.Previous.Name))
	case !p.Switch.On():
		return missing(fmt.Sprintf("The SSM parameter %s does not say true, so cron would not rotate.", p.Switch.Name))
	case p.Current.Value.Equal(p.Previous.Value):
		return missing(fmt.Sprintf("%s and %s hold the same key (%s).", p.Current.Name, p.Previous.Name, prints.Of(p.Current.Value)))
	}
	return nil
}

// backendsStarted checks that every backend started after the parameters last changed, is running and is ready.
func (o Observed) backendsStarted(Asked) (string, *fault.Fault, error) {
	backends := o.Platform.Of(RoleBackend)
	if len(backends) == 0 {
		return "", nil, fault.New(fault.CodePlatformNotFound, "Check the option services, and start the backends.",
			"The compose project %s has no backend container.", o.Platform.Project)
	}
	for _, backend := range backends {
		if backend.State != "running" {
			return notRunning(backend), notYet(notRunning(backend)), nil
		}
		if !o.readsBoth(backend) {
			return "", nil, fault.New(fault.CodePlatformOrder, "Stop cron, restart the backends, wait until they are ready, then start cron.",
				"Backend container %s started at %s, before the parameters last changed (%s), so it has only the old key.", backend.Container, stamp(backend.StartedAt), stamp(o.changed()))
		}
	}
	if ready := o.Platform.Readiness; !ready.Ready {
		detail := fmt.Sprintf("%s is not ready yet (%s)", ready.URL, ready.Detail)
		return detail, notYet(detail), nil
	}
	return fmt.Sprintf("%d running, started after the parameters changed, ready at %s", len(backends), o.Platform.Readiness.URL), nil, nil
}

// cronStarted checks that cron started after the backends were ready, and has not failed. Docker may have restarted it once: it
// re-encrypts again.
func (o Observed) cronStarted(asked Asked) (string, *fault.Fault, error) {
	crons := o.Platform.Of(RoleCron)
	if len(crons) == 0 {
		detail := "there is no cron container yet"
		return detail, notYet(detail), nil
	}
	backendStart := latest(slices.DeleteFunc(o.Platform.Of(RoleBackend), func(s Service) bool { return s.RestartCount > 0 }))
	for _, cron := range crons {
		failed := cron.State != "running" && cron.State != "restarting" && cron.State != "created" && !cron.FinishedAt.IsZero() && cron.ExitCode != 0
		starting := cron.State == "restarting" || o.Now.Sub(cron.StartedAt) < time.Minute
		if failed || cron.RestartCount > 1 && starting {
			return "", nil, fault.New(fault.CodeCronFailed, "Read its log (docker logs "+cron.Container+"), fix the cause, start cron and run this again. It continues where it stopped.",
				"Cron container %s does not stay up: state %s, exit code %d, restarted %d times. Both keys are still in place. Re-encrypted records stay re-encrypted, and the others open with the previous key.", cron.Container, cron.State, cron.ExitCode, cron.RestartCount)
		}
		if cron.State == "created" || cron.State == "restarting" || cron.StartedAt.IsZero() {
			detail := fmt.Sprintf("cron container %s has not started yet", cron.Container)
			return detail, notYet(detail), nil
		}
		// A backend that restarts later still has both keys. So compare with the time when the backends were ready or, if that is not
		// known, with the starts of the backends that never restarted.
		early := cron.StartedAt.Before(asked.BackendsReadyAt)
		if asked.BackendsReadyAt.IsZero() {
			early = !cron.StartedAt.After(backendStart)
		}
		// If every backend has restarted, only the parameters say whether cron has both keys.
		if early || !o.readsBoth(cron) {
			return "", nil, o.cronTooEarly(cron, backendStart, asked.BackendsReadyAt)
		}
	}
	if asked.BackendsReadyAt.IsZero() {
		return "started after the backends; it is not known when the backends were ready (backends_ready_at)", nil, nil
	}
	return "started after the backends were ready at " + stamp(asked.BackendsReadyAt), nil, nil
}

// idleCron says that no cron runs, so that nothing is re-encrypted, or returns "".
func (o Observed) idleCron() (idle string) {
	for _, cron := range o.Platform.Of(RoleCron) {
		if cron.State == "running" {
			return ""
		}
		idle = fmt.Sprintf("cron container %s is %s, so nothing re-encrypts the remaining records", cron.Container, cron.State)
	}
	return idle
}

func (o Observed) cronTooEarly(cron Service, backendStart, readyAt time.Time) *fault.Fault {
	earlier := "the parameters last changed at " + stamp(o.changed())
	switch {
	case cron.StartedAt.Before(readyAt):
		earlier = "the backends were ready at " + stamp(readyAt)
	case readyAt.IsZero() && !backendStart.IsZero():
		earlier = "the last backend started at " + stamp(backendStart)
	}
	return fault.New(fault.CodePlatformOrder, "Both keys are in place. Restart only cron (docker compose restart cron), then run this again. A plain docker compose up starts cron first.",
		"Cron container %s started at %s, but %s. All backends must be ready with both keys before cron starts. Cron may already re-encrypt records.", cron.Container, stamp(cron.StartedAt), earlier)
}

func notYet(what string) *fault.Fault {
	return fault.New(fault.CodePlatformNotReady, "Start the Platform in the documented order (backends, then cron), or wait longer.",
		"%s", strings.ToUpper(what[:1])+what[1:]+".")
}

func notRunning(s Service) string {
	return fmt.Sprintf("%s container %s is %s", s.Role, s.Container, s.State)
}

// Of returns the containers of a role, in any state.
func (p Platform) Of(role Role) []Service {
	return slices.DeleteFunc(slices.Clone(p.Services), func(s Service) bool { return s.Role != role })
}

func latest(services []Service) time.Time {
	var last time.Time
	for _, service := range services {
		if service.StartedAt.After(last) {
			last = service.StartedAt
		}
	}
	return last
}

// clockGrain is the precision of SSM's clock: its responses contain whole seconds.
const clockGrain = time.Second

// changed returns when a parameter that a backend reads last changed, by this machine's clock, like the Engine's times.
func (o Observed) changed() time.Time {
	p := o.Parameters
	last := slices.MaxFunc([]time.Time{p.Current.Modified, p.Previous.Modified, p.Switch.Modified}, time.Time.Compare)
	return last.Add(-p.Ahead)
}

// readsBoth reports whether a service started after the parameters last changed, so that it has both keys.
func (o Observed) readsBoth(s Service) bool { return s.StartedAt.After(o.changed().Add(-clockGrain)) }

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// CronStarted reports whether the newest cron container started after the parameters changed.
func (o Observed) CronStarted() bool {
	return o.Platform != nil && latest(o.Platform.Of(RoleCron)).After(o.changed())
}

package proof

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// ready wants the standalone parameters as state prepared leaves them.
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

// backendsStarted wants every backend started after the parameters last changed, running, and ready.
func (o Observed) backendsStarted(Asked) (string, *fault.Fault, error) {
	backends := o.services(RoleBackend)
	if len(backends) == 0 {
		return "", nil, fault.New(fault.CodePlatformNotFound, "Check the option services, and start the backends.",
			"The compose project %s has no backend container.", o.Platform.Project)
	}
	for _, backend := range backends {
		if backend.State != "running" {
			return notRunning(backend), notYet(notRunning(backend)), nil
		}
		if !backend.StartedAt.After(o.changed().Add(-clockGrain)) {
			return "", nil, fault.New(fault.CodePlatformOrder, "Stop cron, restart the backends, wait until they are ready, then start cron.",
				"Backend container %s started %s, before the parameters last changed (%s): it runs with the old key only.", backend.Container, stamp(backend.StartedAt), stamp(o.changed()))
		}
	}
	if ready := o.Platform.Readiness; !ready.Ready {
		detail := fmt.Sprintf("%s does not answer as ready yet (%s)", ready.URL, ready.Detail)
		return detail, notYet(detail), nil
	}
	return fmt.Sprintf("%d running, started after the parameters changed, ready at %s", len(backends), o.Platform.Readiness.URL), nil, nil
}

// cronStarted wants cron started after the backends were ready, alive, and never fallen over.
func (o Observed) cronStarted(asked Asked) (string, *fault.Fault, error) {
	crons := o.services(RoleCron)
	if len(crons) == 0 {
		detail := "there is no cron container yet"
		return detail, notYet(detail), nil
	}
	backendStart := latest(slices.DeleteFunc(o.services(RoleBackend), func(s Service) bool { return s.RestartCount > 0 }))
	for _, cron := range crons {
		failed := cron.State != "running" && cron.State != "created" && !cron.FinishedAt.IsZero() && cron.ExitCode != 0
		if failed || cron.RestartCount > 0 || cron.State == "restarting" {
			return "", nil, fault.New(fault.CodeCronFailed, "Read its log (docker logs "+cron.Container+"), fix the cause, start cron again and run this again: it goes on where it was.",
				"Cron container %s does not stay up: state %s, exit code %d, restarted %d times. Both keys are still in place; records that are re-encrypted stay so, the others open with the previous key.", cron.Container, cron.State, cron.ExitCode, cron.RestartCount)
		}
		if cron.State == "created" || cron.StartedAt.IsZero() {
			detail := fmt.Sprintf("cron container %s has not started yet", cron.Container)
			return detail, notYet(detail), nil
		}
		// A backend that restarts later comes back with both keys: the order is when they were ready, or else their first starts.
		early := cron.StartedAt.Before(asked.BackendsReadyAt)
		if asked.BackendsReadyAt.IsZero() {
			early = !cron.StartedAt.After(backendStart)
		}
		if early {
			return "", nil, cronTooEarly(cron, backendStart, asked.BackendsReadyAt)
		}
	}
	if asked.BackendsReadyAt.IsZero() {
		return "started after the backends; when these were ready is not known (backends_ready_at)", nil, nil
	}
	return "started after the backends were ready at " + stamp(asked.BackendsReadyAt), nil, nil
}

func cronTooEarly(cron Service, backendStart, readyAt time.Time) *fault.Fault {
	earlier := "the last backend started " + stamp(backendStart)
	if !readyAt.IsZero() {
		earlier = "the backends were ready " + stamp(readyAt)
	}
	return fault.New(fault.CodePlatformOrder, "Both keys are in place: restart cron alone (docker compose restart cron), then run this again. A plain docker compose up starts cron first.",
		"Cron container %s started %s, but %s: all backends must be ready with both keys before cron starts. Cron may have begun to re-encrypt.", cron.Container, stamp(cron.StartedAt), earlier)
}

func notYet(what string) *fault.Fault {
	return fault.New(fault.CodePlatformNotReady, "Start the Platform in the documented order (backends, then cron), or wait longer.",
		"%s", strings.ToUpper(what[:1])+what[1:]+".")
}

func notRunning(s Service) string {
	return fmt.Sprintf("%s container %s is %s", s.Role, s.Container, s.State)
}

func (o Observed) services(role Role) []Service { return o.Platform.Of(role) }

// Of are the containers of a role, whatever their state.
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

// clockGrain is how exactly SSM's clock is known: its answers tell it in whole seconds.
const clockGrain = time.Second

// changed is when a parameter that a backend reads last changed, by this machine's clock, as the Engine's times are.
func (o Observed) changed() time.Time {
	var last time.Time
	for _, parameter := range []Parameter{o.Parameters.Current, o.Parameters.Previous, o.Parameters.Switch} {
		if parameter.Modified.After(last) {
			last = parameter.Modified
		}
	}
	return last.Add(-o.Parameters.Ahead)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// CronStarted reports whether the newest cron container started after the parameters changed.
func (o Observed) CronStarted() bool {
	return o.Platform != nil && latest(o.services(RoleCron)).After(o.changed())
}

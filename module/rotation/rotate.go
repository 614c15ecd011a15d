package rotation

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// rotate judges the state rotating. It writes nothing: its steps are checks, in the order in which they depend on each
// other. What is not there yet but may still come is Pending; what cannot come right by waiting is an error.
func rotate(w World, wish Wish, p picture) (Plan, error) {
	if err := ready(w, p); err != nil {
		return Plan{}, err
	}
	if len(wish.Verify) == 0 {
		wish.Verify = []Verify{VerifyDatabase}
	}
	plan := Plan{
		Phase: PhasePrepared, Before: PhasePrepared, RotationID: wish.RotationID,
		Current: p.standaloneCurrent.print, Previous: p.standalonePrevious.print,
		Steps: []Step{
			{Action: ActCheckParameters, Target: w.SSM.Switch.Name, Reason: "both keys and the switch must be there before anything starts", Done: true},
			{Action: ActCheckBackends, Target: project(w), Reason: "all backends must run with both keys before cron starts"},
			{Action: ActCheckCron, Target: project(w), Reason: "rotation runs inside cron, at its start"},
			{Action: ActProveRecords, Target: database(w), Reason: proves(wish)},
		},
		Evidence: []Evidence{{Check: "parameters", OK: true, Detail: fmt.Sprintf("current %s, previous %s, switch on; last changed %s", p.standaloneCurrent.print, p.standalonePrevious.print, stamp(changed(w)))}},
	}
	if w.Platform == nil {
		return Plan{}, &Fault{Code: CodePlatformNotFound, What: "The Platform's containers were not looked at.", State: nothingWritten}
	}
	for i, check := range []func(World, Wish) (string, *Fault, error){backendsStarted, cronStarted} {
		detail, pending, err := check(w, wish)
		if err != nil {
			return Plan{}, err
		}
		step := &plan.Steps[i+1]
		plan.Evidence = append(plan.Evidence, Evidence{Check: strings.TrimPrefix(string(step.Action), "check_"), OK: pending == nil, Detail: detail})
		step.Done = pending == nil
		if pending != nil {
			plan.Pending = pending
			plan.Msg = pending.What
			return plan, nil //nolint:nilerr // what is pending is no failure
		}
	}
	plan.Phase = PhaseRotating
	return prove(w, wish, p, plan)
}

// ready wants the standalone parameters as state prepared leaves them.
func ready(w World, p picture) error {
	missing := func(what string) error {
		return &Fault{
			Code: CodeNotPrepared, What: what, State: nothingWritten,
			Next: "Run state prepared first; with standalone: delete, run terraform apply after it.",
		}
	}
	switch {
	case !w.SSM.Current.Exists:
		return missing(fmt.Sprintf("There is no SSM parameter %s.", w.SSM.Current.Name))
	case !w.SSM.Previous.Exists:
		return missing(fmt.Sprintf("There is no SSM parameter %s, so no rotation is prepared.", w.SSM.Previous.Name))
	case !w.SSM.Switch.Exists || w.SSM.Switch.Value.Reveal() != "true":
		return missing(fmt.Sprintf("The SSM parameter %s does not say true, so cron would not rotate.", w.SSM.Switch.Name))
	case p.standaloneCurrent.Equal(p.standalonePrevious.Secret):
		return missing(fmt.Sprintf("%s and %s hold the same key (%s).", w.SSM.Current.Name, w.SSM.Previous.Name, p.standaloneCurrent.print))
	}
	return nil
}

// backendsStarted wants every backend started after the parameters last changed, running, and ready.
func backendsStarted(w World, _ Wish) (string, *Fault, error) {
	backends := services(w, RoleBackend)
	if len(backends) == 0 {
		return "", nil, &Fault{Code: CodePlatformNotFound, What: fmt.Sprintf("The compose project %s has no backend container.", project(w)), State: nothingWritten, Next: "Check the option services, and start the backends."}
	}
	for _, backend := range backends {
		if backend.State != "running" {
			return notRunning(backend), notYet(notRunning(backend)), nil
		}
		if !backend.StartedAt.After(changed(w).Add(-clockGrain)) {
			return "", nil, &Fault{
				Code:  CodePlatformOrder,
				What:  fmt.Sprintf("Backend container %s started %s, before the parameters last changed (%s): it runs with the old key only.", backend.Container, stamp(backend.StartedAt), stamp(changed(w))),
				State: nothingWritten, Next: "Stop cron, restart the backends, wait until they are ready, then start cron.",
			}
		}
	}
	if ready := w.Platform.Readiness; !ready.Ready {
		detail := fmt.Sprintf("%s does not answer as ready yet (%s)", ready.URL, ready.Detail)
		return detail, notYet(detail), nil
	}
	return fmt.Sprintf("%d running, started after the parameters changed, ready at %s", len(backends), w.Platform.Readiness.URL), nil, nil
}

// cronStarted wants cron started after the backends were ready, alive, and never fallen over.
func cronStarted(w World, wish Wish) (string, *Fault, error) {
	crons := services(w, RoleCron)
	if len(crons) == 0 {
		detail := "there is no cron container yet"
		return detail, notYet(detail), nil
	}
	backendStart := latest(slices.DeleteFunc(services(w, RoleBackend), func(s Service) bool { return s.RestartCount > 0 }))
	for _, cron := range crons {
		failed := cron.State != "running" && cron.State != "created" && !cron.FinishedAt.IsZero() && cron.ExitCode != 0
		if failed || cron.RestartCount > 0 || cron.State == "restarting" {
			return "", nil, &Fault{
				Code:  CodeCronFailed,
				What:  fmt.Sprintf("Cron container %s does not stay up: state %s, exit code %d, restarted %d times.", cron.Container, cron.State, cron.ExitCode, cron.RestartCount),
				State: "Both keys are still in place; records that are re-encrypted stay so, the others open with the previous key.",
				Next:  "Read its log (docker logs " + cron.Container + "), fix the cause, start cron again and run this again: it goes on where it was.",
			}
		}
		if cron.State == "created" || cron.StartedAt.IsZero() {
			detail := fmt.Sprintf("cron container %s has not started yet", cron.Container)
			return detail, notYet(detail), nil
		}
		// When the backends were ready is the order, where it is known: one that restarts later comes back with both keys. Else their
		// starts are, but for one that restarted by itself, whose first start nobody knows.
		early := cron.StartedAt.Before(wish.BackendsReadyAt)
		if wish.BackendsReadyAt.IsZero() {
			early = !cron.StartedAt.After(backendStart)
		}
		if early {
			return "", nil, cronTooEarly(cron, backendStart, wish.BackendsReadyAt)
		}
	}
	if wish.BackendsReadyAt.IsZero() {
		return "started after the backends; when these were ready is not known (backends_ready_at)", nil, nil
	}
	return "started after the backends were ready at " + stamp(wish.BackendsReadyAt), nil, nil
}

func cronTooEarly(cron Service, backendStart, readyAt time.Time) *Fault {
	earlier := "the last backend started " + stamp(backendStart)
	if !readyAt.IsZero() {
		earlier = "the backends were ready " + stamp(readyAt)
	}
	return &Fault{
		Code:  CodePlatformOrder,
		What:  fmt.Sprintf("Cron container %s started %s, but %s: all backends must be ready with both keys before cron starts.", cron.Container, stamp(cron.StartedAt), earlier),
		State: "Nothing was written by this module; cron may have begun to re-encrypt.",
		Next:  "Both keys are in place: restart cron alone (docker compose restart cron), then run this again. A plain docker compose up starts cron first.",
	}
}

func notYet(what string) *Fault {
	return &Fault{
		Code: CodePlatformNotReady, What: upper(what) + ".", State: "Both keys are in place; nothing was written.",
		Next: "Start the Platform in the documented order (backends, then cron), or wait longer.",
	}
}

func notRunning(s Service) string {
	return fmt.Sprintf("%s container %s is %s", s.Role, s.Container, s.State)
}

// services are the containers of a role.
func services(w World, role Role) []Service {
	var found []Service
	for _, service := range w.Platform.Services {
		if service.Role == role {
			found = append(found, service)
		}
	}
	return found
}

// Has says whether a container of the role is there, whatever its state.
func (p Platform) Has(role Role) bool {
	return slices.ContainsFunc(p.Services, func(s Service) bool { return s.Role == role })
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

// changed is when the last of the parameters that a backend reads at its start changed, by the clock of this machine: the
// Engine's times are by it, SSM's are not.
func changed(w World) time.Time {
	var last time.Time
	for _, parameter := range []Parameter{w.SSM.Current, w.SSM.Previous, w.SSM.Switch} {
		if parameter.Modified.After(last) {
			last = parameter.Modified
		}
	}
	return last.Add(-w.SSM.Ahead)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func project(w World) string {
	if w.Platform == nil {
		return ""
	}
	return w.Platform.Project
}

func database(w World) string {
	if w.Records == nil {
		return ""
	}
	return w.Records.Database
}

package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// Preflight is the result of a preflight, even if it fails.
type Preflight struct {
	Compose  *platform.Compose
	Warnings []string
	Evidence []proof.Evidence
}

// Preflight checks whether a rotation may start: it checks Docker Compose, the containers, the backends and the database. Its error is
// a fault with every reason against it. If a rotation is already running (rotates), unhealthy backends are only a warning. For a
// handover (handsOver), it also checks that a second backend can run next to the first, unless the first is down.
func (v *VM) Preflight(ctx context.Context, rotates, handsOver bool) (out Preflight, err error) {
	found, others, err := v.survey(ctx)
	if err != nil {
		return out, err
	}
	comparison, composer, err := v.compose(ctx, &found, &others)
	if err != nil {
		return out, err
	}
	out.Compose = toRun(comparison, composer, v.about.Options.Services)
	down := preflight.Down(comparison.Containers)
	if down {
		out.Warnings = append(out.Warnings, fmt.Sprintf("The Platform of project %s, or a part of it, is down. Its services, health and sessions were not checked.", comparison.Project))
	}
	differences, warnings := preflight.Differences(comparison)
	out.Warnings = append(out.Warnings, warnings...)
	same := proof.Evidence{Check: "same_platform", OK: len(differences) == 0, Detail: "a start would create the Platform that is running"}
	if len(differences) > 0 {
		same.Detail = strings.Join(differences, " ")
	}
	if v.about.Compose.AllowDrift {
		out.Warnings = append(out.Warnings, differences...)
		differences = nil
	}
	verdict, err := v.suitable(ctx, found, comparison, rotates, down)
	out.Warnings, out.Evidence = append(out.Warnings, verdict.Warnings...), append([]proof.Evidence{same}, verdict.Evidence...)
	if handsOver && !preflight.BackendDown(comparison.Containers) {
		problems, err := v.handover(ctx, found, comparison, out.Compose)
		if err != nil {
			return out, err
		}
		verdict.Problems = append(verdict.Problems, problems...)
	}
	if err = refused(differences, verdict.Problems, err); unseen(err) {
		// A rotation may be proved without reading the database from this VM. If this rotation needs the database, its baseline fails
		// before the outage.
		out.Warnings = append(out.Warnings, "The records were not counted. "+err.Error())
		return out, nil
	}
	return out, err
}

// refused returns one fault for all problems, or err if there are none. Differences come first, because the other checks depend on
// them.
func refused(differences, problems []string, err error) error {
	f := &fault.Fault{Next: "Do what each sentence says, then run the same command again."}
	switch {
	case len(differences) > 0:
		f.Code = fault.CodePlatformDiffers
		f.What = "Docker Compose would not start the Platform that is running. " + strings.Join(slices.Concat(differences, problems), " ")
		f.Next += " To go on with the differences instead, set allow_drift: true."
	case len(problems) > 0:
		f.Code = fault.CodePlatformUnsuitable
		f.What = "This Platform cannot rotate. " + strings.Join(problems, " ")
	default:
		return err
	}
	if err != nil {
		f.What += " Further checks could not be made: " + err.Error()
		f.Cause = err
	}
	return f
}

// unseen reports whether the only problem is that the database cannot be read from this VM.
func unseen(err error) bool {
	return fault.Is(err, fault.CodeDatabaseUnavailable, fault.CodeDatabaseUnknown, fault.CodeDatabaseLoginRefused, fault.CodeDatabaseSchema)
}

// survey returns the Platform's containers, if there are any, and the backends and crons of other projects.
func (v *VM) survey(ctx context.Context) (platform.Found, []preflight.Container, error) {
	if err := v.connect(ctx); err != nil {
		return platform.Found{}, nil, err
	}
	query := v.query()
	if query.Project == "" {
		found, err := v.engine.Find(ctx, query)
		switch {
		case err == nil:
			query.Project = found.Platform.Project
		case fault.Is(err, fault.CodePlatformNotFound):
			query.Project = v.about.Before.Project
		default:
			return platform.Found{}, nil, err
		}
	}
	return v.engine.Survey(ctx, query)
}

// handover returns the reasons why no second backend can run next to the first, and sets compose.Memory.
func (v *VM) handover(ctx context.Context, found platform.Found, c preflight.Comparison, compose *platform.Compose) (problems []string, err error) {
	facts := preflight.HandoverFacts{Backends: v.about.Options.Services.Backends, Containers: c.Containers, HealthURL: v.about.Compose.BackendHealthURL, MemoryAvailable: platform.MemoryAvailable()}
	for _, name := range facts.Backends {
		facts.Service = c.All.Services[name]
		if facts.NameTakenBy, err = v.engine.Foreign(ctx, name, c.Project, name); err != nil {
			return nil, err
		}
	}
	for _, one := range c.Containers {
		if one.Role == proof.RoleBackend && one.Running {
			facts.MemoryUsed = v.engine.MemoryUsed(ctx, one.Name)
		}
	}
	// A backend that an interrupted handover left is removed before the next one is created.
	if _, pending := preflight.Serving(found.Containers()); facts.MemoryAvailable > 0 {
		for _, one := range pending {
			facts.MemoryAvailable += v.engine.MemoryUsed(ctx, one.Name)
		}
	}
	problems, compose.Memory = preflight.Handover(facts)
	return problems, nil
}

// suitable checks whether this Platform can rotate. If it returns an error, the verdict has what it found without the database.
func (v *VM) suitable(ctx context.Context, found platform.Found, c preflight.Comparison, rotates, down bool) (preflight.Verdict, error) {
	facts := preflight.Facts{App: v.about.App, Rotates: rotates, Project: c.Project, Containers: c.Containers}
	_, facts.Pending = preflight.Serving(found.Containers())
	facts.Settings, facts.Unreadable = platform.Settings(c.Containers)
	for _, name := range v.about.Options.Services.Backends {
		facts.Image = c.All.Services[name].Image
	}
	names := v.about.Names
	ours := []string{names.Current, names.Previous, names.Switch, names.ChunkSize}
	parameters, err := v.about.Reader.Read(ctx, preflight.Overriding(c.Containers, v.about.ConfigPrefix, ours)...)
	var f *fault.Fault
	switch {
	case errors.As(err, &f) && f.Code == fault.CodeAccessDenied:
		facts.OverridingUnknown = f.What
	case err != nil:
		return preflight.Verdict{}, err
	}
	for name, parameter := range parameters {
		if parameter.Exists {
			facts.Overriding = append(facts.Overriding, name)
		}
	}
	slices.Sort(facts.Overriding)
	if !down {
		facts.Version = platform.Ready(ctx, v.about.Options.HealthURL, v.about.Now).Version
		facts.Unhealthy, facts.Asked = v.askBackends(ctx, c.Containers)
	}
	err = v.recordsThere(ctx, found, &facts, down)
	return preflight.Unsuitable(facts), err
}

// recordsThere counts the records and reads the sessions, unless the database is down with the rest of the Platform.
func (v *VM) recordsThere(ctx context.Context, found platform.Found, facts *preflight.Facts, down bool) error {
	err := v.connectDatabase(ctx, found)
	if down && fault.Is(err, fault.CodeDatabaseUnavailable, fault.CodeDatabaseUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := v.count(ctx, found); err != nil {
		return err
	}
	if says, bad := proof.TooFew(v.Counted.Database, v.Counted.Total, v.earlierRecords()...); bad {
		return proof.RecordsMissing(says)
	}
	seen, err := v.database.Sessions(ctx)
	if err != nil {
		return err
	}
	// A container that restarts, such as a cron that crashes, may have got its address after the first look.
	now, _, err := v.survey(ctx)
	if err != nil {
		return err
	}
	facts.Sessions = &preflight.Sessions{Database: v.Counted.Database, Own: seen.Own, Hosts: seen.Others, Containers: now.Containers(), All: seen.All}
	return nil
}

// earlierRecords returns what is known about earlier numbers of records.
func (v *VM) earlierRecords() []proof.Known {
	var known []proof.Known
	if number, ok := v.about.Options.Baseline["total"].(json.Number); ok {
		if total, err := number.Int64(); err == nil {
			known = append(known, proof.Known{Total: int(total), By: "the baseline"})
		}
	}
	if v.about.Compose.LastRecords != nil {
		known = append(known, proof.Known{Total: *v.about.Compose.LastRecords, By: "the last rotation"})
	}
	return known
}

// askBackends checks the health of each running backend, because the frontend's answer comes from only one of them.
func (v *VM) askBackends(ctx context.Context, containers []preflight.Container) (unhealthy map[string]string, asked int) {
	unhealthy = map[string]string{}
	address := v.about.Compose.BackendHealthURL
	if address == "" {
		return unhealthy, 0
	}
	for _, c := range containers {
		if c.Role != proof.RoleBackend || !c.Running {
			continue
		}
		why := "it has no address on a network that this VM can reach"
		for _, at := range c.Addresses {
			if ip := net.ParseIP(at); ip != nil && ip.To4() == nil {
				at = "[" + at + "]"
			}
			answer := platform.Healthy(ctx, strings.ReplaceAll(address, "{address}", at), v.about.Now)
			if why = fmt.Sprintf("%s: %s", answer.URL, answer.Detail); answer.Ready {
				why = ""
				break
			}
		}
		if asked++; why != "" {
			unhealthy[c.Name] = why
		}
	}
	return unhealthy, asked
}

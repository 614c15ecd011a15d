package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// preflight asks Docker Compose, the containers, the backends and the database whether a rotation may begin, and fails with
// every reason why not. Where a rotation runs already (rotates), the run that goes on may be what makes a backend healthy.
func (v *vm) preflight(ctx context.Context, asked options.Info, rotates bool, out *info) error {
	found, others, err := v.survey(ctx, asked)
	if err != nil {
		return err
	}
	comparison, composer, err := v.compose(ctx, asked, &found, &others)
	if err != nil {
		return err
	}
	out.Compose = toRun(comparison, composer, asked.Services)
	down := preflight.Down(comparison.Containers)
	if down {
		out.Warnings = append(out.Warnings, fmt.Sprintf("The Platform of project %s is down, or a part of it: its services, health and sessions were not looked at.", comparison.Project))
	}
	differences, warnings := preflight.Differences(comparison)
	out.Warnings = append(out.Warnings, warnings...)
	evidence := rotation.Evidence{Check: "same_platform", OK: len(differences) == 0, Detail: "a start would make the Platform that runs"}
	if len(differences) > 0 {
		evidence.Detail = strings.Join(differences, " ")
	}
	out.Evidence = append(out.Evidence, evidence)
	if asked.AllowDrift {
		out.Warnings = append(out.Warnings, differences...)
		differences = nil
	}
	verdict, err := v.suitable(ctx, asked, found, comparison, rotates, down)
	out.Warnings, out.Evidence = append(out.Warnings, verdict.Warnings...), append(out.Evidence, verdict.Evidence...)
	if err = refused(differences, verdict.Problems, err); unseen(err) {
		// A rotation may be proved without this VM's own look. One that needs the look takes it before the outage, and fails there.
		out.Warnings = append(out.Warnings, "The records were not counted. "+err.Error())
		return nil
	}
	return err
}

// refused is one failure for all that was found: what would start comes first, because the rest is seen through it.
func refused(differences, problems []string, err error) error {
	fault := &rotation.Fault{State: "Nothing was changed.", Next: "Do what each sentence says, then run the same command again."}
	switch {
	case len(differences) > 0:
		fault.Code = rotation.CodePlatformDiffers
		fault.What = "Docker Compose would not start the Platform that runs. " + strings.Join(slices.Concat(differences, problems), " ")
		fault.Next += " To go on with the differences instead, set allow_drift: true."
	case len(problems) > 0:
		fault.Code = rotation.CodePlatformUnsuitable
		fault.What = "This Platform cannot rotate. " + strings.Join(problems, " ")
	default:
		return err
	}
	if err != nil {
		fault.What += " Further checks could not be made: " + err.Error()
		fault.Cause = err
	}
	return fault
}

// unseen says whether the database cannot be looked at from this VM, and nothing else is wrong.
func unseen(err error) bool {
	var fault *rotation.Fault
	return errors.As(err, &fault) && slices.Contains([]rotation.Code{
		rotation.CodeDatabaseUnavailable, rotation.CodeDatabaseUnknown, rotation.CodeDatabaseLoginRefused, rotation.CodeDatabaseSchema,
	}, fault.Code)
}

// survey finds the Platform's containers, if there are any, and those of other projects that look like them.
func (v *vm) survey(ctx context.Context, asked options.Info) (platform.Found, []preflight.Container, error) {
	if err := v.connect(ctx); err != nil {
		return platform.Found{}, nil, err
	}
	query := v.query()
	if query.Project == "" {
		found, err := v.engine.Find(ctx, query)
		var fault *rotation.Fault
		switch {
		case err == nil:
			query.Project = found.Platform.Project
		case errors.As(err, &fault) && fault.Code == rotation.CodePlatformNotFound:
			before, err := earlier(asked.Platform)
			if err != nil {
				return platform.Found{}, nil, err
			}
			query.Project = before.Project
		default:
			return platform.Found{}, nil, err
		}
	}
	return v.engine.Survey(ctx, query)
}

// suitable checks that this Platform can rotate. With an error it says what it found without a database.
func (v *vm) suitable(ctx context.Context, asked options.Info, found platform.Found, c preflight.Comparison, rotates, down bool) (preflight.Verdict, error) {
	r := v.run
	facts := preflight.Facts{App: r.asked.AppName, Rotates: rotates, Project: c.Project, Containers: c.Containers}
	facts.Settings, facts.Unreadable = platform.Settings(c.Containers)
	for _, name := range asked.Services.Backends {
		facts.Image = c.All.Services[name].Image
	}
	names := r.wish.Names
	ours := []string{names.Current, names.Previous, names.Switch, names.ChunkSize}
	parameters, err := r.store.Read(ctx, preflight.Overriding(c.Containers, r.asked.ConfigPrefix, ours)...)
	var fault *rotation.Fault
	switch {
	case errors.As(err, &fault) && fault.Code == rotation.CodeAccessDenied:
		facts.Unlooked = fault.What
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
		facts.Version = platform.Ready(ctx, nil, asked.HealthURL, r.now).Version
		facts.Unhealthy, facts.Asked = v.askBackends(ctx, asked.BackendHealthURL, c.Containers)
	}
	err = v.recordsThere(ctx, found, &facts, asked, down)
	return preflight.Unsuitable(facts), err
}

// recordsThere counts the records and sees who else uses the database. A database that is down with the rest of the Platform
// is looked at when it is up again.
func (v *vm) recordsThere(ctx context.Context, found platform.Found, facts *preflight.Facts, asked options.Info, down bool) error {
	err := v.connectDatabase(ctx, found)
	var fault *rotation.Fault
	if down && errors.As(err, &fault) && (fault.Code == rotation.CodeDatabaseUnavailable || fault.Code == rotation.CodeDatabaseUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := v.count(ctx, found); err != nil {
		return err
	}
	if says, bad := rotation.TooFew(v.counted.Database, v.counted.Total, earlierRecords(asked)...); bad {
		return rotation.RecordsMissing(says)
	}
	seen, err := v.database.Sessions(ctx)
	if err != nil {
		return err
	}
	facts.Sessions = &preflight.Sessions{Database: v.counted.Database, Own: seen.Own, Hosts: seen.Others}
	return nil
}

// earlierRecords is what is known of how many records there were.
func earlierRecords(asked options.Info) []rotation.Known {
	var known []rotation.Known
	if number, ok := asked.Baseline["total"].(json.Number); ok {
		if total, err := number.Int64(); err == nil {
			known = append(known, rotation.Known{Total: int(total), By: "the baseline"})
		}
	}
	if asked.LastRecords != nil {
		known = append(known, rotation.Known{Total: *asked.LastRecords, By: "the last rotation"})
	}
	return known
}

// askBackends asks each backend itself: the frontend's answer is that of one of them.
func (v *vm) askBackends(ctx context.Context, address string, containers []preflight.Container) (unhealthy map[string]string, asked int) {
	unhealthy = map[string]string{}
	if address == "" {
		return unhealthy, 0
	}
	for _, c := range containers {
		if c.Role != rotation.RoleBackend || !c.Running {
			continue
		}
		why := "it has no address on a network that this VM reaches"
		for _, at := range c.Addresses {
			if ip := net.ParseIP(at); ip != nil && ip.To4() == nil {
				at = "[" + at + "]"
			}
			answer := platform.Healthy(ctx, nil, strings.ReplaceAll(address, "{address}", at), v.run.now)
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

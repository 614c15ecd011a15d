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

// Preflight is what a preflight found, also where it refuses.
type Preflight struct {
	Compose  *platform.Compose
	Warnings []string
	Evidence []proof.Evidence
}

// Preflight asks Docker Compose, the containers, the backends and the database whether a rotation may begin, and fails with
// every reason why not. Where a rotation runs already (rotates), the run that goes on may be what makes a backend healthy. Where
// it hands over, a second backend must be possible beside the first.
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
		out.Warnings = append(out.Warnings, fmt.Sprintf("The Platform of project %s is down, or a part of it: its services, health and sessions were not looked at.", comparison.Project))
	}
	differences, warnings := preflight.Differences(comparison)
	out.Warnings = append(out.Warnings, warnings...)
	same := proof.Evidence{Check: "same_platform", OK: len(differences) == 0, Detail: "a start would make the Platform that runs"}
	if len(differences) > 0 {
		same.Detail = strings.Join(differences, " ")
	}
	if v.about.Compose.AllowDrift {
		out.Warnings = append(out.Warnings, differences...)
		differences = nil
	}
	verdict, err := v.suitable(ctx, found, comparison, rotates, down)
	out.Warnings, out.Evidence = append(out.Warnings, verdict.Warnings...), append([]proof.Evidence{same}, verdict.Evidence...)
	if handsOver {
		problems, err := v.handover(ctx, comparison, out.Compose)
		if err != nil {
			return out, err
		}
		verdict.Problems = append(verdict.Problems, problems...)
	}
	if err = refused(differences, verdict.Problems, err); unseen(err) {
		// A rotation may be proved without this VM's own look. One that needs the look takes it before the outage, and fails there.
		out.Warnings = append(out.Warnings, "The records were not counted. "+err.Error())
		return out, nil
	}
	return out, err
}

// refused is one failure for all that was found: what would start comes first, because the rest is seen through it.
func refused(differences, problems []string, err error) error {
	f := &fault.Fault{Next: "Do what each sentence says, then run the same command again."}
	switch {
	case len(differences) > 0:
		f.Code = fault.CodePlatformDiffers
		f.What = "Docker Compose would not start the Platform that runs. " + strings.Join(slices.Concat(differences, problems), " ")
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

// unseen says whether the database cannot be looked at from this VM, and nothing else is wrong.
func unseen(err error) bool {
	return fault.Is(err, fault.CodeDatabaseUnavailable, fault.CodeDatabaseUnknown, fault.CodeDatabaseLoginRefused, fault.CodeDatabaseSchema)
}

// survey finds the Platform's containers, if there are any, and those of other projects that look like them.
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

// handover asks whether a second backend can be started beside the first, and tells what is assumed of its memory.
func (v *VM) handover(ctx context.Context, c preflight.Comparison, told *platform.Compose) (problems []string, err error) {
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
	problems, told.Memory = preflight.Handover(facts)
	return problems, nil
}

// suitable checks that this Platform can rotate. With an error it says what it found without a database.
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

// recordsThere counts the records and the other sessions, unless the database is down with the rest of the Platform.
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
	facts.Sessions = &preflight.Sessions{Database: v.Counted.Database, Own: seen.Own, Hosts: seen.Others}
	return nil
}

// earlierRecords is what is known of how many records there were.
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

// askBackends asks each backend itself: the frontend's answer is that of one of them.
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
		why := "it has no address on a network that this VM reaches"
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

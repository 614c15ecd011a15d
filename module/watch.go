package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// vm is what is looked at on the Platform's VM, kept open between polls.
type vm struct {
	run      *run
	asked    options.VM
	engine   *platform.Engine
	database *records.DB
	scanner  *records.Scanner
	secrets  []secret.Secret // to be masked in what containers say
	first    time.Time       // of the first scan, for the rate
	start    int             // records that were done then
}

// watch observes and judges, again and again while waiting can help, until the rotation is proved.
func (r *run) watch(ctx context.Context) (rotation.Plan, error) {
	view := &vm{run: r, asked: r.asked.VM}
	defer view.close()
	deadline := r.now().Add(time.Duration(r.asked.WaitTimeout) * time.Second)
	for {
		plan, err := view.poll(ctx)
		if err != nil {
			return plan, err
		}
		if plan.Pending == nil {
			return plan, nil
		}
		if !r.asked.Wait {
			if plan.Pending.Code == rotation.CodeWaitTimeout {
				return plan, nil // order and readiness are proved; how far it is, progress says
			}
			return plan, plan.Pending
		}
		if !r.now().Before(deadline) {
			return plan, timedOut(plan.Pending, r.asked.WaitTimeout)
		}
		select {
		case <-ctx.Done():
			return plan, interrupted(nil)
		case <-time.After(time.Duration(r.asked.PollInterval) * time.Second):
		}
	}
}

// poll is one look at parameters, containers and, once these are in order, records.
func (v *vm) poll(ctx context.Context) (rotation.Plan, error) {
	r := v.run
	if err := r.observe(ctx); err != nil {
		return rotation.Plan{}, err
	}
	r.world.Now, r.world.Records = r.now(), nil
	found, err := v.containers(ctx)
	if err != nil {
		return rotation.Plan{}, err
	}
	plan, err := r.plan(ctx)
	if err != nil {
		return plan, v.withLog(ctx, err)
	}
	if plan.Phase != rotation.PhaseRotating {
		return plan, nil
	}
	if err := v.scan(ctx, found); err != nil {
		return plan, err
	}
	plan, err = r.plan(ctx)
	if err == nil && plan.Progress != nil {
		v.estimate(plan.Progress)
	}
	return plan, err
}

// containers looks at the compose project and asks whether the Platform is ready.
func (v *vm) containers(ctx context.Context) (platform.Found, error) {
	if v.engine == nil {
		engine, err := platform.Connect(ctx, v.asked.DockerHost)
		if err != nil {
			return platform.Found{}, err
		}
		v.engine = engine
	}
	s := v.asked.Services
	found, err := v.engine.Find(ctx, platform.Query{
		Project: v.asked.ComposeProject, Services: platform.Services{Migrate: s.Migrate, Backends: s.Backends, Cron: s.Cron},
	})
	if err != nil {
		return found, err
	}
	found.Platform.Readiness = platform.Ready(ctx, nil, v.asked.HealthURL, v.run.now)
	v.run.world.Platform = &found.Platform
	return found, nil
}

// scan reads the records, through a connection and a memory that last from poll to poll.
func (v *vm) scan(ctx context.Context, found platform.Found) error {
	if v.scanner == nil {
		where, err := v.where(ctx, found)
		if err != nil {
			return err
		}
		if v.database, err = records.Open(ctx, where); err != nil {
			return err
		}
		baseline, err := records.ParseBaseline(v.asked.Baseline)
		if err != nil {
			return err
		}
		v.scanner = records.NewScanner(v.database, v.keys(), records.Options{Baseline: baseline})
	}
	scanned, err := v.scanner.Scan(ctx)
	if err != nil {
		return err
	}
	v.run.world.Records = &scanned
	return nil
}

// keys are the two that a record may be under. Where omnibus and standalone parameter differ, those two: the scan then
// tells which of them the Platform's records are under.
func (v *vm) keys() records.Keys {
	ssm := v.run.world.SSM
	keys := records.Keys{Current: ssm.Current.Value, Previous: ssm.Previous.Value}
	if keys.Previous.IsEmpty() {
		keys.Previous = rotation.OtherKey(v.run.world, v.run.wish, v.run.prints)
	}
	return keys
}

// where finds the database: the option, else the backend container's environment, with the login from SSM if that has none.
func (v *vm) where(ctx context.Context, found platform.Found) (rotation.Database, error) {
	var where rotation.Database
	if d := v.asked.Database; d != nil {
		where = rotation.Database{Host: d.Host, Port: d.Port, Name: d.Name, User: d.User, Password: d.Password, TLS: d.TLS}
	} else {
		var err error
		if where, err = found.Database(); err != nil {
			return where, err
		}
	}
	if where.User == "" || where.Password.IsEmpty() {
		user, password := v.run.asked.ConfigPrefix+"/datasources/default/username", v.run.asked.ConfigPrefix+"/datasources/default/password"
		login, err := v.run.store.Read(ctx, user, password)
		if err != nil {
			return where, err
		}
		where.User, where.Password = login[user].Value.Reveal(), login[password].Value
	}
	v.secrets = append(v.secrets, where.Password, v.run.world.SSM.Current.Value, v.run.world.SSM.Previous.Value)
	return where, nil
}

// withLog adds cron's last lines to the news that it does not stay up.
func (v *vm) withLog(ctx context.Context, err error) error {
	var fault *rotation.Fault
	if !errors.As(err, &fault) || fault.Code != rotation.CodeCronFailed {
		return err
	}
	masked := append([]secret.Secret{v.run.world.SSM.Current.Value, v.run.world.SSM.Previous.Value}, v.secrets...)
	for _, service := range v.run.world.Platform.Services {
		if service.Role != rotation.RoleCron {
			continue
		}
		if tail, failed := v.engine.Tail(ctx, service.Container, 3); failed == nil && tail != "" {
			lines := strings.ReplaceAll(strings.TrimSpace(tail), "\n", " | ")
			fault.What += " Its last lines: " + secret.Scrub(lines, masked...)
		}
	}
	return fault
}

// estimate fills in the time left from the rate since the first scan.
func (v *vm) estimate(p *rotation.Progress) {
	done, now := p.Current+p.Rewritten, v.run.now()
	if v.first.IsZero() {
		v.first, v.start = now, done
		return
	}
	if done > v.start {
		left := int(float64(p.Total-done) * now.Sub(v.first).Seconds() / float64(done-v.start))
		p.ETASeconds = &left
	}
}

func (v *vm) close() {
	if v.scanner != nil {
		v.scanner.Close()
	}
	if v.database != nil {
		_ = v.database.Close()
	}
	if v.engine != nil {
		v.engine.Close()
	}
}

func timedOut(pending *rotation.Fault, after int) *rotation.Fault {
	fault := *pending
	fault.Code = rotation.CodeWaitTimeout
	fault.What = "Not complete after " + (time.Duration(after) * time.Second).String() + " (wait_timeout). " + fault.What
	return &fault
}

package main

import (
	"context"
	"errors"
	"regexp"
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
	dir      string // compose_dir: of several projects the one that was started there
	engine   *platform.Engine
	database *records.DB
	scanner  *records.Scanner
	counted  *rotation.Records // how many there are, and no more
	drift    []string          // differences that allow_drift lets pass
	carry    bool              // see records.Options
	escrowed secret.Secret     // key_from_escrow: the one to open records with
	secrets  []secret.Secret   // to be masked in what containers say
	progress progress
	looked   bool      // a look at parameters and containers came to its end
	read     time.Time // when SSM was last read
}

// containers looks at the compose project and, where that counts, asks whether the Platform is ready: one that is stopped may
// take seconds to say no.
func (v *vm) containers(ctx context.Context, asksHealth bool) (platform.Found, error) {
	if err := v.connect(ctx); err != nil {
		return platform.Found{}, err
	}
	found, err := v.engine.Find(ctx, v.query())
	if err != nil {
		return found, err
	}
	if asksHealth {
		found.Platform.Readiness = platform.Ready(ctx, nil, v.asked.HealthURL, v.run.now)
	}
	v.run.world.Platform = &found.Platform
	return found, nil
}

func (v *vm) connect(ctx context.Context) (err error) {
	if v.engine == nil {
		v.engine, err = platform.Connect(ctx, v.asked.DockerHost)
	}
	return err
}

func (v *vm) query() platform.Query {
	s := v.asked.Services
	return platform.Query{Project: v.asked.ComposeProject, Dir: v.dir, Services: platform.Services{Migrate: s.Migrate, Backends: s.Backends, Cron: s.Cron}}
}

func (v *vm) connectDatabase(ctx context.Context, found platform.Found) error {
	if v.database != nil {
		return nil
	}
	where, err := v.where(ctx, found)
	if err != nil {
		return err
	}
	v.database, err = records.Open(ctx, where)
	return err
}

// open makes the connection and the memory that last from poll to poll.
func (v *vm) open(ctx context.Context, found platform.Found) error {
	if err := v.connectDatabase(ctx, found); err != nil {
		return err
	}
	if v.scanner != nil {
		v.scanner.Use(v.database)
		return nil
	}
	keys := v.keys()
	baseline, lost, err := records.Recall(v.asked.Baseline, v.run.asked.AppName, keys, v.run.prints)
	if err != nil {
		return err
	}
	v.run.world.BaselineLost, v.run.world.Known = lost, nil
	if named, _ := records.Named(v.asked.Baseline); named != nil {
		v.run.world.Known = []rotation.Known{{Total: named.Total, By: "the baseline of " + named.TakenAt.UTC().Format(time.RFC3339)}}
	}
	how := records.Options{Baseline: baseline, Carry: v.carry}
	if limit := v.asked.MaxRecordsPerSecond; limit != nil {
		how.PerSecond = *limit
	}
	v.scanner = records.NewScanner(v.database, keys, how)
	return nil
}

// keys are the two that a record may be under. Where omnibus and standalone parameter differ, those two: the scan then
// tells which of them the Platform's records are under.
func (v *vm) keys() records.Keys {
	if !v.escrowed.IsEmpty() {
		return records.Keys{Current: v.escrowed}
	}
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
		where = rotation.Database{Host: d.Host, Port: d.Port, Name: d.Name, User: d.User, Password: d.Password, TLS: d.TLS, CAFile: d.CAFile}
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
	v.secrets = append(v.secrets, where.Password)
	return where, nil
}

// crons gives cron's containers.
func (v *vm) crons() []rotation.Service {
	var found []rotation.Service
	for _, service := range v.run.world.Platform.Services {
		if service.Role == rotation.RoleCron {
			found = append(found, service)
		}
	}
	return found
}

// search looks for the operator's pattern in what cron logged since its start.
func (v *vm) search(ctx context.Context, text string) error {
	pattern, err := regexp.Compile(text)
	if err != nil {
		return err
	}
	v.run.world.Log = nil
	for _, cron := range v.crons() {
		line, err := v.engine.Search(ctx, cron.Container, cron.StartedAt, pattern)
		if err != nil {
			return &rotation.Fault{
				Code: rotation.CodeDockerUnavailable, What: "Cron's log cannot be read: " + err.Error() + ".", State: "Nothing was written.",
				Next: "Check that the Engine keeps the logs of this container (its logging driver), then run again.", Cause: err,
			}
		}
		if line != "" {
			v.run.world.Log = &rotation.LogLine{Container: cron.Container, Pattern: text, Line: v.masked(line)}
		}
	}
	return nil
}

// lastLines are what cron said last, in one line, with secrets masked; empty where it cannot be read.
func (v *vm) lastLines(ctx context.Context) string {
	var said []string
	for _, cron := range v.crons() {
		if tail, err := v.engine.Tail(ctx, cron.Container, 3); err == nil && tail != "" {
			said = append(said, strings.ReplaceAll(strings.TrimSpace(tail), "\n", " | "))
		}
	}
	return v.masked(strings.Join(said, " | "))
}

func (v *vm) masked(text string) string {
	ssm := v.run.world.SSM
	return secret.Scrub(text, append([]secret.Secret{ssm.Current.Value, ssm.Previous.Value}, v.secrets...)...)
}

// withLog adds cron's last lines to the news that it does not stay up.
func (v *vm) withLog(ctx context.Context, err error) error {
	var fault *rotation.Fault
	if !errors.As(err, &fault) || fault.Code != rotation.CodeCronFailed {
		return err
	}
	if lines := v.lastLines(ctx); lines != "" {
		fault.What += " Its last lines: " + lines
	}
	return fault
}

// disconnect forgets a connection that broke: a container of the database that starts again has another address.
func (v *vm) disconnect() {
	if v.database != nil {
		_ = v.database.Close()
		v.database = nil
	}
}

func (v *vm) close() {
	v.progress.end()
	v.disconnect()
	if v.engine != nil {
		v.engine.Close()
	}
}

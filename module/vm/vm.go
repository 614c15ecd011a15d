// Package vm is the VM's side of the module: the state rotating, and what seqera_crypto_rotation_info gathers on the VM. It observes
// containers and records, and package proof judges them. It must not access escrow or the omnibus, or write to SSM.
package vm

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/options"
	"github.com/seqera-tools/crypto-rotation/module/parameters"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/records"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Reader is how the VM reads SSM; *parameters.Store implements it.
type Reader interface {
	ReadStandalone(ctx context.Context, names proof.Names) (proof.Parameters, error)
	Read(ctx context.Context, names ...string) (map[string]proof.Parameter, error)
}

// VM observes the Platform's VM. It keeps its connections open between polls. It is not safe for concurrent use.
type VM struct {
	Observed proof.Observed
	Keys     records.Keys     // the keys that a record may be under
	Scanner  *records.Scanner // nil until the first scan
	Counted  *proof.Records   // only the number of records
	Drift    []string         // differences that allow_drift accepts

	about    About
	engine   *platform.Engine
	database *records.DB
	login    map[string]proof.Parameter // the database login from SSM; nil until it is needed
	secrets  []secret.Secret            // the database's password, masked in the logs of containers
	values   []secret.Secret            // all values of the containers' environments, masked as well
}

// About says what to observe, and how.
type About struct {
	App           string
	ConfigPrefix  string
	Names         proof.Names
	Reader        Reader
	Fingerprinter proof.Fingerprinter
	Now           func() time.Time
	Options       options.VM
	Compose       options.Compose  // how to run Docker Compose; zero for the state rotating
	Before        custody.Platform // the option platform; zero if it is not set
	Carry         bool             // see records.Options
}

// New returns a VM without connecting to anything.
func New(about About) *VM { return &VM{about: about, Observed: proof.Observed{Now: about.Now()}} }

// containers observes the compose project and, if asksHealth, whether the Platform is ready, which may take seconds.
func (v *VM) containers(ctx context.Context, asksHealth bool) (platform.Found, error) {
	if err := v.connect(ctx); err != nil {
		return platform.Found{}, err
	}
	found, err := v.engine.Find(ctx, v.query())
	if err != nil {
		return found, err
	}
	if asksHealth {
		found.Platform.Readiness = platform.Ready(ctx, v.about.Options.HealthURL, v.about.Now)
	}
	v.Observed.Platform, v.values = &found.Platform, environments(found.Containers())
	return found, nil
}

// environments returns the values of the containers' environments, to mask them.
func environments(containers []preflight.Container) (values []secret.Secret) {
	for _, c := range containers {
		values = slices.AppendSeq(values, maps.Values(c.Environment))
	}
	return values
}

func (v *VM) connect(ctx context.Context) (err error) {
	if v.engine == nil {
		v.engine, err = platform.Connect(ctx, v.about.Options.DockerHost)
	}
	return err
}

func (v *VM) query() platform.Query {
	return platform.Query{Project: v.about.Options.ComposeProject, Dir: v.about.Compose.ComposeDir, Services: platform.Services(v.about.Options.Services)}
}

func (v *VM) connectDatabase(ctx context.Context, found platform.Found) error {
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

func (v *VM) open(ctx context.Context, found platform.Found) error {
	if err := v.connectDatabase(ctx, found); err != nil {
		return err
	}
	if v.Scanner != nil {
		v.Scanner.Use(v.database)
		return nil
	}
	baseline, lost, err := records.LoadBaseline(v.about.Options.Baseline, v.about.App, v.Keys, v.about.Fingerprinter)
	if err != nil {
		return err
	}
	v.Observed.BaselineLost, v.Observed.Known = lost, nil
	if named, _ := records.Named(v.about.Options.Baseline); named != nil {
		v.Observed.Known = []proof.Known{{Total: named.Total, By: "the baseline of " + named.TakenAt.UTC().Format(time.RFC3339)}}
	}
	how := records.Options{Baseline: baseline, Carry: v.about.Carry}
	if limit := v.about.Options.MaxRecordsPerSecond; limit != nil {
		how.PerSecond = *limit
	}
	v.Scanner = records.NewScanner(v.database, v.Keys, how)
	return nil
}

// where returns the database: from the option database, or else from the backend container's environment. If that has no login, it reads
// the login from SSM.
func (v *VM) where(ctx context.Context, found platform.Found) (proof.Database, error) {
	var where proof.Database
	if d := v.about.Options.Database; d != nil {
		where = proof.Database(*d)
	} else {
		var err error
		if where, err = found.Database(); err != nil {
			return where, err
		}
	}
	if where.User == "" || where.Password.IsEmpty() {
		user, password := v.about.ConfigPrefix+"/datasources/default/username", v.about.ConfigPrefix+"/datasources/default/password"
		if v.login == nil {
			var err error
			if v.login, err = v.about.Reader.Read(ctx, user, password); err != nil {
				return where, err
			}
		}
		where.User, where.Password = v.login[user].Value.Reveal(), v.login[password].Value
	}
	v.secrets = append(v.secrets, where.Password)
	return where, nil
}

// lastLines returns the last lines of cron's log, in one line and with secrets masked, or "".
func (v *VM) lastLines(ctx context.Context) string {
	var said []string
	for _, cron := range v.Observed.Platform.Of(proof.RoleCron) {
		if tail, err := v.engine.Tail(ctx, cron.Container, 3); err == nil && tail != "" {
			said = append(said, strings.ReplaceAll(strings.TrimSpace(tail), "\n", " | "))
		}
	}
	return v.masked(strings.Join(said, " | "))
}

func (v *VM) masked(text string) string {
	text = secret.Scrub(text, append([]secret.Secret{v.Keys.Current, v.Keys.Previous}, v.secrets...)...)
	return secret.ScrubValues(text, "", v.values...)
}

// withLog adds the last lines of cron's log to a cron_failed fault.
func (v *VM) withLog(ctx context.Context, err error) error {
	var f *fault.Fault
	if errors.As(err, &f) && f.Code == fault.CodeCronFailed {
		if lines := v.lastLines(ctx); lines != "" {
			f.What += " The last lines of its log: " + lines
		}
	}
	return err
}

// disconnect drops a broken database connection: when the database's container restarts, it has another address.
func (v *VM) disconnect() {
	if v.database != nil {
		_ = v.database.Close()
		v.database = nil
	}
}

// Close closes the connections.
func (v *VM) Close() {
	v.disconnect()
	if v.engine != nil {
		v.engine.Close()
	}
}

// Result is what seqera_crypto_rotation returns for the state rotating (docs/return-values.md).
type Result struct {
	Changed         bool                `json:"changed"`
	Msg             string              `json:"msg"`
	Phase           rotation.Phase      `json:"phase,omitempty"`
	RotationID      string              `json:"rotation_id"`
	Fingerprints    secret.Fingerprints `json:"fingerprints"`
	Steps           []proof.Check       `json:"steps"`
	Warnings        []string            `json:"warnings,omitempty"`
	Progress        *proof.Progress     `json:"progress,omitempty"`
	Evidence        []proof.Evidence    `json:"evidence"`
	Proof           *proof.Proof        `json:"proof,omitempty"`
	APICalls        parameters.Calls    `json:"api_calls"`
	DurationSeconds float64             `json:"duration_seconds"`
}

func result(v proof.Verdict, rotationID string, calls parameters.Calls, took time.Duration) Result {
	out := Result{
		Msg: v.Msg, Fingerprints: secret.Fingerprints{Current: v.Current, Previous: v.Previous}, Steps: list(v.Checks), Warnings: v.Warnings, Progress: v.Progress,
		Evidence: list(v.Evidence), Proof: v.Proof, APICalls: calls, DurationSeconds: ansible.Seconds(took),
	}
	switch {
	case v.Proof != nil:
		out.Phase = rotation.PhaseRotated
	case v.Started:
		out.Phase = rotation.PhaseRotating
	case v.Msg != "":
		out.Phase = rotation.PhasePrepared
	}
	if v.Checks != nil {
		out.RotationID = rotationID
	}
	return out
}

package vm

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func faulty(code fault.Code, cause error) *fault.Fault {
	return &fault.Fault{Code: code, What: "This is " + string(code) + ".", Cause: cause}
}

// look is what one poll gives: something pending, an error, or neither: it is proved.
type look struct {
	pending fault.Code
	failed  fault.Code
	hangs   bool // until its time is over
}

func TestWaitingEndsWhenItShouldAndNotBefore(t *testing.T) {
	going := look{pending: fault.CodeWaitTimeout}
	long := []look{going}
	for range 50 {
		long = append(long, going)
	}
	tests := []struct {
		name   string
		once   bool // wait: false
		none   bool // wait_timeout: 0
		looks  []look
		code   fault.Code // of the error
		says   string
		polled int
	}{
		{name: "proved at once", looks: []look{{}}, polled: 1},
		{name: "proved in the end", looks: []look{going, going, {}}, polled: 3},
		{name: "one look that is pending", once: true, looks: []look{going}, polled: 1},
		{name: "one look before the Platform is ready", once: true, looks: []look{{pending: fault.CodePlatformNotReady}}, code: fault.CodePlatformNotReady, polled: 1},
		{name: "one look that fails", once: true, looks: []look{{failed: fault.CodeDatabaseUnavailable}}, code: fault.CodeDatabaseUnavailable, polled: 1},
		{name: "no time to wait: one look", none: true, looks: []look{going}, code: fault.CodeWaitTimeout, says: "Not complete after 0s", polled: 1},
		{name: "no time to wait, and nothing to wait for", none: true, looks: []look{{}}, polled: 1},
		{name: "a failure that stays", looks: []look{going, {failed: fault.CodeCronFailed}}, code: fault.CodeCronFailed, polled: 2},
		{name: "brief failures of database, Engine and SSM", looks: []look{going, {failed: fault.CodeDatabaseUnavailable}, {failed: fault.CodeDockerUnavailable}, going, {failed: fault.CodeAWS}, {failed: fault.CodeThrottled}, {}}, polled: 7},
		{name: "a first look that fails", looks: []look{{failed: fault.CodeDockerUnavailable}}, code: fault.CodeDockerUnavailable, polled: 1},
		{name: "a pause in which the time ends", looks: long, code: fault.CodeWaitTimeout, says: "Not complete after 100ms (wait_timeout). This is wait_timeout. It stalls."},
		{name: "a look in which the time ends", looks: []look{going, {hangs: true}}, code: fault.CodeWaitTimeout, says: "Not complete after 100ms (wait_timeout). This is wait_timeout. Half was read. It stalls.", polled: 2},
		{name: "the first look, in which the time ends", looks: []look{{hangs: true}}, code: fault.CodeWaitTimeout, says: "Half was read.", polled: 1},
		{name: "a database that does not come back", looks: append([]look{going}, repeated(look{failed: fault.CodeDatabaseUnavailable}, 50)...), code: fault.CodeDatabaseUnavailable, says: "Not complete after 100ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := 0
				began := time.Now()
				timeout := 100 * time.Millisecond
				if test.none {
					timeout = 0
				}
				_, err := wait{
					wait: !test.once, timeout: timeout, every: 15 * time.Millisecond,
					poll: func(ctx context.Context) (proof.Verdict, error) {
						one := test.looks[at]
						at++
						switch {
						case one.hangs:
							<-ctx.Done()
							return proof.Verdict{}, faulty(fault.CodeInterrupted, ctx.Err())
						case one.failed != "":
							return proof.Verdict{}, faulty(one.failed, nil)
						case one.pending != "":
							return proof.Verdict{Pending: faulty(one.pending, nil)}, nil
						}
						return proof.Verdict{}, nil
					},
					passes: func(f *fault.Fault) bool {
						return at > 1 && f.Code != fault.CodeCronFailed && f.Code != fault.CodeInterrupted
					},
					report: func(context.Context, proof.Verdict) string { return "It stalls." },
					unfinished: func(pending *fault.Fault) *fault.Fault {
						f := fault.Fault{Code: fault.CodeWaitTimeout}
						if pending != nil {
							f.What = pending.What + " "
						}
						f.What += "Half was read."
						return &f
					},
				}.run(t.Context())
				assert.Less(t, time.Since(began), 5*time.Second)
				if test.polled > 0 {
					assert.Equal(t, test.polled, at)
				}
				if test.code == "" {
					require.NoError(t, err)
					return
				}
				var f *fault.Fault
				require.ErrorAs(t, err, &f)
				assert.Equal(t, test.code, f.Code)
				assert.Contains(t, f.What, test.says)
			})
		})
	}
}

func repeated(one look, times int) []look {
	var all []look
	for range times {
		all = append(all, one)
	}
	return all
}

func TestAnInterruptionIsNoTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := wait{
		wait: true, timeout: time.Minute, every: time.Minute,
		poll: func(context.Context) (proof.Verdict, error) {
			cancel()
			return proof.Verdict{Pending: faulty(fault.CodeWaitTimeout, nil)}, nil
		},
		report: func(context.Context, proof.Verdict) string { return "" },
	}.run(ctx)
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.Equal(t, fault.CodeInterrupted, f.Code)
}

func TestSSMIsReadOnceAMinuteUnlessAContainerChanged(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	seen := func(state string, started time.Time) *proof.Platform {
		return &proof.Platform{Services: []proof.Service{{Container: "backend", State: state, StartedAt: started}}, Readiness: proof.Readiness{At: started}}
	}
	then := seen("running", now)
	for name, test := range map[string]struct {
		read          time.Time
		before, after *proof.Platform
		want          bool
	}{
		"never read":                {time.Time{}, nil, nil, true},
		"a minute ago":              {now.Add(-time.Minute), then, then, true},
		"just now":                  {now.Add(-5 * time.Second), then, seen("running", now), false},
		"just now, first look":      {now, nil, then, false},
		"a container has restarted": {now, then, seen("running", now.Add(time.Second)), true},
		"a container has stopped":   {now, then, seen("exited", now), true},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, test.want, stale(test.read, now, test.before, test.after)) })
	}
}

func TestATimeoutSaysHowFarTheLastLookCame(t *testing.T) {
	f := (&watch{VM: &VM{}}).unfinished(nil)
	assert.Equal(t, fault.CodeWaitTimeout, f.Code)
	assert.Contains(t, f.What, "first check")
	assert.Contains(t, f.Next, "longer wait_timeout")
	pending := faulty(fault.CodePlatformNotReady, nil)
	f = (&watch{VM: &VM{}}).unfinished(pending)
	assert.Contains(t, f.What, "This is platform_not_ready.")
	assert.Equal(t, fault.CodePlatformNotReady, pending.Code, "what was handed over is as it was")
}

// Records that change all the time are never counted in a single snapshot, but problems with them are still errors.
func TestAFailureThatNoSnapshotConfirmsIsNoSuccess(t *testing.T) {
	names, written := proof.NamesBelow("/config/app"), time.Now().AddDate(0, 0, -1)
	parameter := func(name, value string) proof.Parameter {
		return proof.Parameter{Name: name, Exists: true, Value: secret.New(value), Type: "SecureString", Modified: written}
	}
	w := watch{VM: New(About{Now: time.Now, Fingerprinter: secret.NewFingerprinter("app", 1)}), asked: proof.Asked{App: "app"}}
	w.Observed.Parameters = proof.Parameters{Current: parameter(names.Current, "new"), Previous: parameter(names.Previous, "old"), Switch: parameter(names.Switch, "true")}
	w.Observed.Platform = &proof.Platform{Readiness: proof.Readiness{Ready: true}, Services: []proof.Service{
		{Role: proof.RoleBackend, State: "running", StartedAt: written.Add(time.Minute)}, {Role: proof.RoleCron, State: "running", StartedAt: written.Add(time.Hour)},
	}}
	looks := 0
	changing := func(context.Context) (proof.Records, error) {
		looks++
		return proof.Records{Total: 2, Current: 1, Unreadable: 1, Unread: []proof.Unread{{ID: "a"}}, Before: &proof.Before{Total: 2}}, nil
	}
	_, err := w.confirmed(t.Context(), []func(context.Context) (proof.Records, error){changing, changing}...)
	assert.Equal(t, fault.CodeRecordsUnreadable, fault.CodeOf(err))
	assert.Equal(t, 2, looks, "the second one has the last word")
}

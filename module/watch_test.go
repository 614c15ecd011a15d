package main

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

func faulty(code rotation.Code, cause error) *rotation.Fault {
	return &rotation.Fault{Code: code, What: "This is " + string(code) + ".", Cause: cause}
}

// look is what one poll gives: something pending, an error, or neither: it is proved.
type look struct {
	pending rotation.Code
	failed  rotation.Code
	hangs   bool // until its time is over
}

func TestWaitingEndsWhenItShouldAndNotBefore(t *testing.T) {
	going := look{pending: rotation.CodeWaitTimeout}
	long := []look{going}
	for range 50 {
		long = append(long, going)
	}
	tests := []struct {
		name   string
		once   bool // wait: false
		looks  []look
		code   rotation.Code // of the error
		says   string
		polled int
	}{
		{name: "proved at once", looks: []look{{}}, polled: 1},
		{name: "proved in the end", looks: []look{going, going, {}}, polled: 3},
		{name: "one look that is pending", once: true, looks: []look{going}, polled: 1},
		{name: "one look before the Platform is ready", once: true, looks: []look{{pending: rotation.CodePlatformNotReady}}, code: rotation.CodePlatformNotReady, polled: 1},
		{name: "one look that fails", once: true, looks: []look{{failed: rotation.CodeDatabaseUnavailable}}, code: rotation.CodeDatabaseUnavailable, polled: 1},
		{name: "a failure that stays", looks: []look{going, {failed: rotation.CodeCronFailed}}, code: rotation.CodeCronFailed, polled: 2},
		{name: "brief failures of database, Engine and SSM", looks: []look{going, {failed: rotation.CodeDatabaseUnavailable}, {failed: rotation.CodeDockerUnavailable}, going, {failed: rotation.CodeAWS}, {failed: rotation.CodeThrottled}, {}}, polled: 7},
		{name: "a first look that fails", looks: []look{{failed: rotation.CodeDockerUnavailable}}, code: rotation.CodeDockerUnavailable, polled: 1},
		{name: "a pause in which the time ends", looks: long, code: rotation.CodeWaitTimeout, says: "Not complete after 100ms (wait_timeout). This is wait_timeout. It stalls."},
		{name: "a look in which the time ends", looks: []look{going, {hangs: true}}, code: rotation.CodeWaitTimeout, says: "Not complete after 100ms (wait_timeout). This is wait_timeout. Half was read. It stalls.", polled: 2},
		{name: "the first look, in which the time ends", looks: []look{{hangs: true}}, code: rotation.CodeWaitTimeout, says: "Half was read.", polled: 1},
		{name: "a database that does not come back", looks: append([]look{going}, repeated(look{failed: rotation.CodeDatabaseUnavailable}, 50)...), code: rotation.CodeDatabaseUnavailable, says: "Not complete after 100ms"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at := 0
			began := time.Now()
			_, err := wait{
				wait: !test.once, timeout: 100 * time.Millisecond, every: 10 * time.Millisecond,
				poll: func(ctx context.Context) (rotation.Plan, error) {
					one := test.looks[at]
					at++
					switch {
					case one.hangs:
						<-ctx.Done()
						return rotation.Plan{}, faulty(rotation.CodeInterrupted, ctx.Err())
					case one.failed != "":
						return rotation.Plan{}, faulty(one.failed, nil)
					case one.pending != "":
						return rotation.Plan{Pending: faulty(one.pending, nil)}, nil
					}
					return rotation.Plan{}, nil
				},
				passes: func(fault *rotation.Fault) bool {
					return at > 1 && fault.Code != rotation.CodeCronFailed && fault.Code != rotation.CodeInterrupted
				},
				tell: func(context.Context, rotation.Plan) string { return "It stalls." },
				unfinished: func(pending *rotation.Fault) *rotation.Fault {
					fault := rotation.Fault{Code: rotation.CodeWaitTimeout}
					if pending != nil {
						fault.What = pending.What + " "
					}
					fault.What += "Half was read."
					return &fault
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
			var fault *rotation.Fault
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, test.code, fault.Code)
			assert.Contains(t, fault.What, test.says)
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
		poll: func(context.Context) (rotation.Plan, error) {
			cancel()
			return rotation.Plan{Pending: faulty(rotation.CodeWaitTimeout, nil)}, nil
		},
		tell: func(context.Context, rotation.Plan) string { return "" },
	}.run(ctx)
	var fault *rotation.Fault
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, rotation.CodeInterrupted, fault.Code)
}

func TestSSMIsReadOnceAMinuteUnlessAContainerChanged(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	seen := func(state string, started time.Time) *rotation.Platform {
		return &rotation.Platform{Services: []rotation.Service{{Container: "backend", State: state, StartedAt: started}}, Readiness: rotation.Readiness{At: started}}
	}
	then := seen("running", now)
	for name, test := range map[string]struct {
		read          time.Time
		before, after *rotation.Platform
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
	fault := (&vm{}).unfinished(nil)
	assert.Equal(t, rotation.CodeWaitTimeout, fault.Code)
	assert.Contains(t, fault.What, "first look")
	assert.Contains(t, fault.Next, "longer wait_timeout")
	pending := faulty(rotation.CodePlatformNotReady, nil)
	fault = (&vm{}).unfinished(pending)
	assert.Contains(t, fault.What, "This is platform_not_ready.")
	assert.Equal(t, rotation.CodePlatformNotReady, pending.Code, "what was handed over is as it was")
}

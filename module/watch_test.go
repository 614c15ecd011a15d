package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/dbserver"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/sealed"
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
		none   bool // wait_timeout: 0
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
		{name: "no time to wait: one look", none: true, looks: []look{going}, code: rotation.CodeWaitTimeout, says: "Not complete after 0s", polled: 1},
		{name: "no time to wait, and nothing to wait for", none: true, looks: []look{{}}, polled: 1},
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
			timeout := 100 * time.Millisecond
			if test.none {
				timeout = 0
			}
			_, err := wait{
				wait: !test.once, timeout: timeout, every: 10 * time.Millisecond,
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

// engine is as much of a Docker Engine and of a Platform's health as a watch asks for. It falls silent where broken says so.
func engine(t *testing.T, started time.Time, broken func() bool) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.43")
		w.Header().Set("Content-Type", "application/json")
		labels := func(service string) map[string]string {
			return map[string]string{"com.docker.compose.project": "p", "com.docker.compose.service": service}
		}
		one := func(service string, after time.Duration) map[string]any {
			return map[string]any{
				"Id": service, "Name": "/" + service, "Config": map[string]any{"Image": "i", "Labels": labels(service)},
				"State": map[string]any{"Status": "running", "Running": true, "StartedAt": started.Add(after).Format(time.RFC3339Nano)},
			}
		}
		answer := any(map[string]any{})
		switch path := r.URL.Path; {
		case broken() && strings.Contains(path, "/containers/"):
			http.Error(w, `{"message": "starting"}`, http.StatusInternalServerError)
			return
		case strings.HasSuffix(path, "/containers/json"):
			answer = []any{map[string]any{"Id": "backend", "Names": []string{"/backend"}, "Labels": labels("backend")}, map[string]any{"Id": "cron", "Names": []string{"/cron"}, "Labels": labels("cron")}}
		case strings.HasSuffix(path, "/backend/json"):
			answer = one("backend", 2*time.Second)
		case strings.HasSuffix(path, "/cron/json"):
			answer = one("cron", 4*time.Second)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestAWatchOutlastsBriefFailuresAndReadsSSMSeldom(t *testing.T) {
	platform := installation(t)
	require.False(t, call(t, platform, "seqera_crypto_rotation", prepare(nil)).Failed)
	database := dbserver.Start(t, dbserver.MariaDB)
	database.Schema(t, "tower")
	seal := func(key string, salt []byte) []byte {
		derived, err := sealed.Derive([]byte(key), salt)
		require.NoError(t, err)
		secure, err := sealed.Seal(derived, []byte(`{"a":1}`), rand.Reader)
		require.NoError(t, err)
		return secure
	}
	salts := map[string][]byte{}
	for i := range 4 {
		salt := []byte(fmt.Sprintf("salt of sixteen%d", i))
		id, err := sealed.ID(sealed.Path(1, fmt.Sprint("c", i)), salt)
		require.NoError(t, err)
		salts[id] = salt
		database.Exec(t, "INSERT INTO tower.tw_credentials (id, user_id, version, salt) VALUES (?, 1, 0, ?)", fmt.Sprint("c", i), salt)
		database.Exec(t, "INSERT INTO tower.tw_secret (id, secure, version) VALUES (?, ?, 0)", id, seal(oldKey, salt))
	}
	platform.Reset()
	var asked atomic.Int64
	docker := engine(t, time.Now(), func() bool { n := asked.Add(1); return n > 9 && n < 12 })
	go func() {
		time.Sleep(4 * time.Second)
		for id, salt := range salts {
			database.Exec(t, "UPDATE tower.tw_secret SET secure = ?, version = 1 WHERE id = ?", seal(newKey, salt), id)
		}
	}()
	options := args{
		"state": "rotating", "app_name": "tower-template", "rotation_id": "r1", "region": "us-east-1", "access_key": "testing", "secret_key": "testing",
		"docker_host": strings.Replace(docker.URL, "http", "tcp", 1), "health_url": docker.URL + "/api/service-info", "poll_interval": 1, "wait_timeout": 50,
		"database": args{"host": "127.0.0.1", "port": database.Port, "name": "tower", "user": "reader", "password": "readers-pass"},
		// As the ledger has it of a baseline that was handed on with its records in it.
		"baseline": args{"digest": strings.Repeat("0", 64), "total": "4", "taken_at": "2026-01-02T12:00:00Z"},
	}
	done := call(t, platform, "seqera_crypto_rotation", options)
	require.False(t, done.Failed, done.Msg)
	assert.Equal(t, "rotated", done.Phase)
	assert.Contains(t, done.Msg, "All 4 records are under the new key")
	assert.Contains(t, done.text, "The records of the baseline of 2026-01-02T12:00:00Z are lost")
	assert.Equal(t, 2, done.APICalls["reads"], "once at the beginning, and once for the proof")
	assert.Greater(t, asked.Load(), int64(12), "it looked more often than twice")

	options["wait_timeout"], options["baseline"] = 3, args{"digest": "d", "total": 9}
	few := call(t, platform, "seqera_crypto_rotation", options)
	assert.Equal(t, "records_missing", few.ErrorCode)
	assert.Contains(t, few.Msg, fmt.Sprintf("127.0.0.1:%d/tower has 4 encrypted records, fewer than half of the 9", database.Port))

	delete(options, "baseline")
	began := time.Now()
	database.Stop()
	options["database"].(args)["port"] = 1
	gone := call(t, platform, "seqera_crypto_rotation", options)
	assert.Equal(t, "database_unavailable", gone.ErrorCode, "one that never answered is not waited for")
	assert.Less(t, time.Since(began), 20*time.Second)
}

package main

import (
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
	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

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
	lookedOften := make(chan struct{})
	docker := engine(t, time.Now(), func() bool {
		n := asked.Add(1)
		if n == 13 {
			close(lookedOften)
		}
		return n > 9 && n < 12
	})
	go func() {
		<-lookedOften
		for id, salt := range salts {
			database.Exec(t, "UPDATE tower.tw_secret SET secure = ?, version = 1 WHERE id = ?", seal(newKey, salt), id)
		}
	}()
	options := args{
		"state": "rotating", "app_name": "tower-template", "rotation_id": "r1", "region": "us-east-1", "access_key": "testing", "secret_key": "testing",
		"docker_host": strings.Replace(docker.URL, "http", "tcp", 1), "health_url": docker.URL + "/api/service-info", "poll_interval": 1, "wait_timeout": 50,
		"database": args{"host": "127.0.0.1", "port": database.Port, "name": "tower", "user": "reader", "password": "readers-pass"},
		// As the ledger has it of a baseline that was passed with its records in it.
		"baseline": args{"digest": strings.Repeat("0", 64), "total": "4", "taken_at": "2026-01-02T12:00:00Z"},
	}
	done := call(t, platform, "seqera_crypto_rotation", options)
	require.False(t, done.Failed, done.Msg)
	assert.Equal(t, "rotated", done.Phase)
	assert.Contains(t, done.Msg, "All 4 records are under the new key")
	assert.Contains(t, done.text, "The records of the baseline of 2026-01-02T12:00:00Z are lost")
	assert.Equal(t, 2, done.APICalls["reads"], "once at the beginning, and once for the proof")

	options["wait_timeout"], options["baseline"] = 10, args{"digest": "d", "total": 9}
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

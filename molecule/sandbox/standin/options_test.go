package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOptionsOfTheSandboxAreReadFromSSMAndTheEnvironmentWins(t *testing.T) {
	ssm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		assert.Contains(t, string(asked), "/sandbox/app/options")
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"Parameters": [{"Name": "/sandbox/app/options", "Value": "{\"SANDBOX_CRON_RECORD_DELAY\": \"2s\", \"SANDBOX_CRON_CRASH_AFTER\": \"7\"}"}]}`)
	}))
	defer ssm.Close()
	variables := map[string]string{
		"MICRONAUT_APPLICATION_NAME": "app", "AWS_ENDPOINT_URL": ssm.URL, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "SANDBOX_CRON_CRASH_AFTER": "3",
	}
	env := func(name string) string { return variables[name] }
	conf, err := configOf(t.Context(), "cron", env)
	require.NoError(t, err)
	assert.Equal(t, 2*time.Second, conf.Options.CronRecordDelay)
	assert.Equal(t, 3, conf.Options.CronCrashAfter)
	conf, err = configOf(t.Context(), "frontend", env)
	require.NoError(t, err)
	assert.Zero(t, conf.Options.CronRecordDelay)
}

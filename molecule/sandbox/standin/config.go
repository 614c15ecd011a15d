package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// config is what the environment says. Secrets come from SSM (settings.go), except for the database login that the installer
// also appends to tower.env.
type config struct {
	AppName     string // micronaut.application.name
	EnableSSM   bool
	Region      string
	EndpointURL string
	AccessKey   string
	SecretKey   string
	DatabaseURL string // jdbc:mysql://host:3306/tower?…
	DBUser      string
	DBPassword  string
	Version     string
	Upstream    string // of the frontend
	Options     options
}

// options make a service misbehave; all are SANDBOX_* variables, and none of them exists in the real one.
type options struct {
	BackendDelay      time.Duration // before the backend starts to listen
	BackendNeverReady bool
	BackendExit       bool          // exits 1 at its start
	MigrateDelay      time.Duration // before migrate begins
	MigrateFail       bool
	CronRecordDelay   time.Duration // before each record
	CronChunkDelay    time.Duration // before each chunk
	CronCrashAfter    int           // exit 1 after that many records; the chunk they are in is rolled back. 0: never
	CronCrashOnce     bool          // a second start of the same container does not crash
	CronStopAfter     int           // stop re-encrypting after that many records and stay up. 0: never
	CrashMark         string        // file that says "crashed once"
}

func configFrom(env func(string) string) (config, error) {
	read := reader{env: env}
	conf := config{
		AppName:     read.text("MICRONAUT_APPLICATION_NAME", "tower-template"),
		EnableSSM:   read.flag("TOWER_ENABLE_AWS_SSM"),
		Region:      read.text("AWS_REGION", "us-east-1"),
		EndpointURL: env("AWS_ENDPOINT_URL"),
		AccessKey:   env("AWS_ACCESS_KEY_ID"),
		SecretKey:   env("AWS_SECRET_ACCESS_KEY"),
		DatabaseURL: env("TOWER_DB_URL"),
		DBUser:      env("TOWER_DB_USER"),
		DBPassword:  env("TOWER_DB_PASSWORD"),
		Version:     read.text("SANDBOX_PLATFORM_VERSION", "25.3.0-standin"),
		Upstream:    read.text("SANDBOX_UPSTREAM", "http://backend:8080"),
		Options: options{
			BackendDelay:      read.duration("SANDBOX_BACKEND_DELAY"),
			BackendNeverReady: read.flag("SANDBOX_BACKEND_NEVER_READY"),
			BackendExit:       read.flag("SANDBOX_BACKEND_EXIT"),
			MigrateDelay:      read.duration("SANDBOX_MIGRATE_DELAY"),
			MigrateFail:       read.flag("SANDBOX_MIGRATE_FAIL"),
			CronRecordDelay:   read.duration("SANDBOX_CRON_RECORD_DELAY"),
			CronChunkDelay:    read.duration("SANDBOX_CRON_CHUNK_DELAY"),
			CronCrashAfter:    read.number("SANDBOX_CRON_CRASH_AFTER"),
			CronCrashOnce:     read.flag("SANDBOX_CRON_CRASH_ONCE"),
			CronStopAfter:     read.number("SANDBOX_CRON_STOP_AFTER"),
			CrashMark:         "/crashed-once",
		},
	}
	return conf, read.err
}

// reader reads the environment and remembers the first thing it could not read.
type reader struct {
	env func(string) string
	err error
}

func (r *reader) text(name, fallback string) string {
	if value := r.env(name); value != "" {
		return value
	}
	return fallback
}

func (r *reader) flag(name string) bool {
	value, err := strconv.ParseBool(r.text(name, "false"))
	r.note(name, err)
	return value
}

func (r *reader) number(name string) int {
	value, err := strconv.Atoi(r.text(name, "0"))
	r.note(name, err)
	return value
}

func (r *reader) duration(name string) time.Duration {
	value, err := time.ParseDuration(r.text(name, "0s"))
	r.note(name, err)
	return value
}

func (r *reader) note(name string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("environment variable %s: %w", name, err)
	}
}

func hasWord(list, word string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(part) == word {
			return true
		}
	}
	return false
}

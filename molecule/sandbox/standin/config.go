package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// config is what the environment and tower.yml say; SSM comes on top (settings.go).
type config struct {
	Properties   properties
	AppName      string // micronaut.application.name
	Environments string // MICRONAUT_ENVIRONMENTS
	EnableSSM    bool
	Region       string
	EndpointURL  string
	AccessKey    string
	SecretKey    string
	API          string // where backend and cron listen
	UpstreamHost string // of the frontend, under the real image's names
	UpstreamPort string
	Listen       []string // ports of the role listen
	Options      options
}

// options make a service misbehave; all are SANDBOX_* variables, and none of them exists in the real one.
type options struct {
	BackendDelay     time.Duration // before the backend starts to listen
	BackendExit      bool          // exits 1 at its start
	BackendUnhealthy bool          // /health stays at 503
	BackendVersion   string
	CronRecordDelay  time.Duration // before each record
	CronCrashAfter   int           // exit 1 after that many records; the chunk they are in is rolled back. 0: never
	CronStopAfter    int           // stop re-encrypting after that many records and stay up. 0: never
}

func configFrom(env func(string) string) (config, error) {
	read := reader{env: env}
	local, err := localProperties(env, read.text("SANDBOX_TOWER_YML", "/tower.yml"))
	if err != nil {
		return config{}, err
	}
	conf := config{
		Properties:   local,
		AppName:      cmp.Or(local.get("micronaut.application.name"), "tower-app"),
		Environments: env("MICRONAUT_ENVIRONMENTS"),
		EnableSSM:    read.flag("TOWER_ENABLE_AWS_SSM"),
		Region:       read.text("AWS_REGION", "us-east-1"),
		EndpointURL:  env("AWS_ENDPOINT_URL"),
		AccessKey:    env("AWS_ACCESS_KEY_ID"),
		SecretKey:    env("AWS_SECRET_ACCESS_KEY"),
		API:          ":8080",
		UpstreamHost: read.text("NGINX_UPSTREAM_HOST", "backend"),
		UpstreamPort: read.text("NGINX_UPSTREAM_PORT", "8080"),
		Listen:       strings.FieldsFunc(read.text("SANDBOX_LISTEN", "6379"), func(r rune) bool { return r == ',' || r == ' ' }),
		Options: options{
			BackendDelay:     read.duration("SANDBOX_BACKEND_DELAY"),
			BackendExit:      read.flag("SANDBOX_BACKEND_EXIT"),
			BackendUnhealthy: read.flag("SANDBOX_BACKEND_UNHEALTHY"),
			BackendVersion:   read.text("SANDBOX_BACKEND_VERSION", "26.1.3"),
			CronRecordDelay:  read.duration("SANDBOX_CRON_RECORD_DELAY"),
			CronCrashAfter:   read.number("SANDBOX_CRON_CRASH_AFTER"),
			CronStopAfter:    read.number("SANDBOX_CRON_STOP_AFTER"),
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

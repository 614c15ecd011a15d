package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeSSM holds parameters by name and notes the paths that it was asked for. It gives one parameter a page.
type fakeSSM struct {
	t          *testing.T
	parameters []string // name=value
	asked      []string
}

func (f *fakeSSM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var input struct {
		Path                      string
		NextToken                 string
		Recursive, WithDecryption bool
	}
	assert.Equal(f.t, "AmazonSSM.GetParametersByPath", r.Header.Get("X-Amz-Target"))
	assert.NoError(f.t, json.NewDecoder(r.Body).Decode(&input))
	assert.True(f.t, input.Recursive && input.WithDecryption)
	type parameter struct{ Name, Value string }
	var found []parameter
	for _, one := range f.parameters {
		if name, value, _ := strings.Cut(one, "="); strings.HasPrefix(name, input.Path+"/") {
			found = append(found, parameter{name, value})
		}
	}
	if input.NextToken == "" {
		f.asked = append(f.asked, input.Path)
	}
	from := len(input.NextToken)
	page := map[string]any{"Parameters": []parameter{}}
	if from < len(found) {
		page["Parameters"] = found[from : from+1]
	}
	if from+1 < len(found) {
		page["NextToken"] = strings.Repeat("x", from+1)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	assert.NoError(f.t, json.NewEncoder(w).Encode(page))
}

// load resolves settings as a service does.
func load(t *testing.T, towerYML string, environment, parameters []string, logger *log.Logger) (settings, config, *fakeSSM, error) {
	t.Helper()
	fake := &fakeSSM{t: t, parameters: parameters}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	said := map[string]string{
		"SANDBOX_TOWER_YML": filepath.Join(t.TempDir(), "tower.yml"), "AWS_ENDPOINT_URL": server.URL,
		"AWS_ACCESS_KEY_ID": "invented", "AWS_SECRET_ACCESS_KEY": "invented",
	}
	require.NoError(t, os.WriteFile(said["SANDBOX_TOWER_YML"], []byte(towerYML), 0o600))
	for _, one := range environment {
		name, value, _ := strings.Cut(one, "=")
		said[name] = value
	}
	conf, err := configFrom(func(name string) string { return said[name] })
	require.NoError(t, err)
	set, err := loadSettings(t.Context(), conf, logger)
	return set, conf, fake, err
}

func TestTheSecretIsResolvedInMicronautsOrder(t *testing.T) {
	const (
		yml     = "tower:\n  crypto:\n    secretKey: yml\n"
		name    = "MICRONAUT_APPLICATION_NAME=app"
		enabled = "TOWER_ENABLE_AWS_SSM=true"
		ha      = "MICRONAUT_ENVIRONMENTS=prod,redis,ha,,,"
		ofEnv   = "TOWER_CRYPTO_SECRETKEY=env"
		ofApp   = "/config/app/tower/crypto/secretKey=app"
		ofProd  = "/config/app_prod/tower/crypto/secretKey=prod"
		ofHA    = "/config/app_ha/tower/crypto/secretKey=ha"
		ofCron  = "/config/app_cron/tower/crypto/secretKey=cron"
		ofNone  = "/config/app_/tower/crypto/secretKey=none"
		ofOther = "/config/application/tower/crypto/secretKey=other"
	)
	all := []string{ofApp, ofCron, ofHA, ofNone, ofProd, ofOther}
	cases := []struct {
		name        string
		yml         string
		environment []string
		parameters  []string
		want        string
	}{
		{"tower.yml alone", yml, nil, nil, "yml"},
		{"tower.yml with a dotted name", "tower.crypto.secretKey: dotted", nil, nil, "dotted"},
		{"tower.yml with a key of digits", "tower: {crypto: {secretKey: 0123}}", nil, nil, "0123"},
		{"the environment over tower.yml", yml, []string{ofEnv}, nil, "env"},
		{"an empty variable is none", yml, []string{"TOWER_CRYPTO_SECRETKEY="}, nil, "yml"},
		{"the application's parameter over the environment", yml, []string{name, enabled, ofEnv}, []string{ofApp, ofOther}, "app"},
		{"an environment's parameter over the application's", yml, []string{name, enabled, ofEnv, "MICRONAUT_ENVIRONMENTS=prod"}, all, "prod"},
		{"a later environment over an earlier one", yml, []string{name, enabled, ofEnv, ha}, all, "ha"},
		{"their order is that of the variable", yml, []string{name, enabled, "MICRONAUT_ENVIRONMENTS=ha,prod"}, all, "prod"},
		{"cron reads its own", yml, []string{name, enabled, "MICRONAUT_ENVIRONMENTS=prod,redis,cron,,,"}, all, "cron"},
		{"no other environment's", yml, []string{name, enabled, ofEnv, ha}, []string{ofApp, ofCron, ofNone}, "app"},
		{"the environment where SSM has none", yml, []string{name, enabled, ofEnv, ha}, nil, "env"},
		{"a dotted parameter", yml, []string{name, enabled, ofEnv}, []string{"/config/app/tower.crypto.secretKey=dotted"}, "dotted"},
		{"a dotted parameter of an environment", yml, []string{name, enabled, ha}, []string{ofApp, "/config/app_ha/tower.crypto.secretKey=dotted"}, "dotted"},
		{"SSM is off", yml, []string{name, ofEnv, ha}, all, "env"},
		{"SSM is off in words", yml, []string{name, ofEnv, ha, "TOWER_ENABLE_AWS_SSM=false"}, all, "env"},
		{"none at all", "# none\n", []string{name, enabled, ha}, []string{ofOther, "/config/app/tower/crypto/secretkey=lower"}, ""},
		{"none without SSM", "", []string{name}, all, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			set, _, _, err := load(t, c.yml, c.environment, c.parameters, log.New(io.Discard, "", 0))
			assert.Equal(t, c.want, string(set.current))
			if c.want == "" {
				assert.ErrorContains(t, err, "no crypto secret key")
			} else {
				assert.NoError(t, err)
			}
		})
	}
}

func TestTheRotationSettingsComeFromTheSameSources(t *testing.T) {
	const yml = "tower:\n  crypto: {secretKey: k}\n  secret-rotation:\n    enabled: true\n    previous-key: yml\n    chunk-size: 5\n"
	quiet := log.New(io.Discard, "", 0)
	set, _, _, err := load(t, yml, nil, nil, quiet)
	require.NoError(t, err)
	assert.Equal(t, settings{current: []byte("k"), previous: []byte("yml"), rotate: true, chunkSize: 5}, set)

	ofEnvironment := []string{
		"TOWER_SECRET_ROTATION_ENABLED=false", "TOWER_SECRET_ROTATION_PREVIOUS_KEY=env", "TOWER_SECRET_ROTATION_CHUNK_SIZE=6",
		"MICRONAUT_APPLICATION_NAME=app",
	}
	set, _, _, err = load(t, yml, ofEnvironment, nil, quiet)
	require.NoError(t, err)
	assert.Equal(t, settings{current: []byte("k"), previous: []byte("env"), chunkSize: 6}, set)

	parameters := []string{
		"/config/app/tower/secret-rotation/enabled=true", "/config/app/tower/secret-rotation/previous-key=ssm", "/config/app/tower/secret-rotation/chunk-size=7",
	}
	set, _, _, err = load(t, yml, append(ofEnvironment, "TOWER_ENABLE_AWS_SSM=true"), parameters, quiet)
	require.NoError(t, err)
	assert.Equal(t, settings{current: []byte("k"), previous: []byte("ssm"), rotate: true, chunkSize: 7}, set)

	set, _, _, err = load(t, "tower: {crypto: {secretKey: k}}", nil, nil, quiet)
	require.NoError(t, err)
	assert.Equal(t, settings{current: []byte("k"), previous: []byte{}, chunkSize: 50}, set)
	_, _, _, err = load(t, yml, []string{"TOWER_SECRET_ROTATION_CHUNK_SIZE=none"}, nil, quiet)
	assert.ErrorContains(t, err, "chunk-size is not a positive number")
}

func TestTheDatabaseLoginComesFromSSMWhereItHasOne(t *testing.T) {
	environment := []string{"TOWER_ENABLE_AWS_SSM=true", "MICRONAUT_APPLICATION_NAME=app", "TOWER_CRYPTO_SECRETKEY=k", "TOWER_DB_URL=jdbc:mysql://db/tower"}
	parameters := []string{"/config/app/datasources/default/username=ssm-user", "/config/app/datasources/default/password=ssm-pass"}
	quiet := log.New(io.Discard, "", 0)
	for _, c := range []struct {
		more, parameters []string
		user, password   string
	}{
		{nil, parameters, "ssm-user", "ssm-pass"},
		{[]string{"TOWER_DB_USER=env-user", "TOWER_DB_PASSWORD=env-pass"}, parameters, "ssm-user", "ssm-pass"},
		{[]string{"TOWER_DB_USER=env-user", "TOWER_DB_PASSWORD=env-pass"}, nil, "env-user", "env-pass"},
		{[]string{"TOWER_DB_USER=u", "TOWER_DB_PASSWORD=p", "TOWER_ENABLE_AWS_SSM=false"}, parameters, "u", "p"},
	} {
		set, _, _, err := load(t, "", append(environment, c.more...), c.parameters, quiet)
		require.NoError(t, err)
		assert.Equal(t, login{url: "jdbc:mysql://db/tower", user: c.user, password: c.password}, set.database)
	}
}

func TestTheApplicationsNameDecidesWhichParametersAreRead(t *testing.T) {
	const yml = "micronaut:\n  application:\n    name: of-yml\n"
	ssmOn := []string{"TOWER_ENABLE_AWS_SSM=true", "TOWER_CRYPTO_SECRETKEY=k", "MICRONAUT_ENVIRONMENTS=prod,,cron, ,"}
	for _, c := range []struct {
		yml         string
		environment []string
		want        string
	}{
		{yml, nil, "of-yml"},
		{yml, []string{"MICRONAUT_APPLICATION_NAME=of-env"}, "of-env"},
		{"", nil, "tower-app"},
	} {
		var said bytes.Buffer
		_, conf, fake, err := load(t, c.yml, append(ssmOn, c.environment...), nil, log.New(&said, "", 0))
		require.NoError(t, err)
		assert.Equal(t, c.want, conf.AppName)
		base := "/config/" + c.want
		assert.Equal(t, []string{base, base + "_prod", base + "_cron"}, fake.asked)
		assert.Contains(t, said.String(), "Resolved 2 configuration sources from client: compositeConfigurationClient(AWS Parameter Store)")
	}
	var said bytes.Buffer
	_, _, fake, err := load(t, yml, []string{"TOWER_CRYPTO_SECRETKEY=k"}, nil, log.New(&said, "", 0))
	require.NoError(t, err)
	assert.Empty(t, fake.asked, "SSM is off")
	assert.Empty(t, said.String())
}

func TestATowerYMLThatIsADirectoryOrMissingSaysNothing(t *testing.T) {
	nothing := func(string) string { return "" }
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "tower.yml")} {
		p, err := localProperties(nothing, path)
		require.NoError(t, err)
		assert.Empty(t, p)
	}
	broken := filepath.Join(t.TempDir(), "tower.yml")
	require.NoError(t, os.WriteFile(broken, []byte("a: [b"), 0o600))
	_, err := localProperties(nothing, broken)
	assert.ErrorContains(t, err, broken)
}

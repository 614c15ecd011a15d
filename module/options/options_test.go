package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const goodKey = "abcdefghijklmnopqrstuvwxy" // 25, the least that is allowed

// prepared are options that pass, with some of them set otherwise, as the arguments file has them; null takes one away.
func prepared(other map[string]any) map[string]any {
	given := map[string]any{"state": "prepared", "app_name": "tower-template", "omnibus_parameter": "/seqera/omnibus", "rotation_id": "2026-q1", "backups": []any{"b1"}}
	maps.Copy(given, other)
	return asJSON(given)
}

// asJSON makes the numbers and lists of Go what the module reads.
func asJSON(given map[string]any) map[string]any {
	text, err := json.Marshal(given)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err = errors.Join(err, decoder.Decode(&given)); err != nil {
		panic(err)
	}
	return given
}

// wrong names the options that an error is about, in the order of the messages.
func wrong(t *testing.T, err error) (*Invalid, []string) {
	t.Helper()
	var invalid *Invalid
	require.ErrorAs(t, err, &invalid)
	names := make([]string, len(invalid.mistakes))
	for i, m := range invalid.mistakes {
		names[i] = m.option
	}
	return invalid, names
}

func number(text string) json.Number { return json.Number(text) }

func environment(variables map[string]string) Env {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestOptionsAreTakenAsAnsibleTakesThem(t *testing.T) {
	for _, c := range []struct {
		option string
		given  any
		get    func(Rotation) any
		want   any
	}{
		{"state", "finalized", func(r Rotation) any { return r.State }, "finalized"},
		{"app_name", "tower.template_1-x", func(r Rotation) any { return r.AppName }, "tower.template_1-x"},
		{"app_name", number("42"), func(r Rotation) any { return r.AppName }, "42"},
		{"omnibus_parameter", "/seqera/omnibus/", func(r Rotation) any { return r.OmnibusParameter }, "/seqera/omnibus"},
		{"omnibus_parameter", "omnibus", func(r Rotation) any { return r.OmnibusParameter }, "omnibus"},
		{"new_secret", goodKey, func(r Rotation) any { return r.NewSecret.Reveal() }, goodKey},
		{"new_secret", number("1234567890123456789012345"), func(r Rotation) any { return r.NewSecret.Reveal() }, "1234567890123456789012345"},
		{"rotation_id", number("2026"), func(r Rotation) any { return r.RotationID }, "2026"},
		{"max_age_days", "90", func(r Rotation) any { return *r.MaxAgeDays }, 90},
		{"max_age_days", number("0"), func(r Rotation) any { return *r.MaxAgeDays }, 0},
		{"max_age_days", nil, func(r Rotation) any { return r.MaxAgeDays == nil }, true},
		{"backups", "a,b", func(r Rotation) any { return r.Backups }, []string{"a", "b"}},
		{"backups", []any{number("7"), "b"}, func(r Rotation) any { return r.Backups }, []string{"7", "b"}},
		{"backups_waived", "Yes", func(r Rotation) any { return r.BackupsWaived }, true},
		{"chunk_size", " 10000 ", func(r Rotation) any { return *r.ChunkSize }, 10000},
		{"chunk_size", nil, func(r Rotation) any { return r.ChunkSize == nil }, true},
		{"allow_advanced_tier", "on", func(r Rotation) any { return r.AllowAdvancedTier }, true},
		{"standalone", nil, func(r Rotation) any { return r.Standalone }, "write"},
		{"standalone", "delete", func(r Rotation) any { return r.Standalone }, "delete"},
		{"config_prefix", nil, func(r Rotation) any { return r.ConfigPrefix }, "/config/tower-template"},
		{"config_prefix", "/config/other/", func(r Rotation) any { return r.ConfigPrefix }, "/config/other"},
		{"custody_prefix", nil, func(r Rotation) any { return r.CustodyPrefix }, "/seqera-crypto-rotation/tower-template"},
		{"custody_prefix", "/custody//", func(r Rotation) any { return r.CustodyPrefix }, "/custody"},
		{"proof", map[string]any{"total": number("9007199254740993")}, func(r Rotation) any { return r.Proof }, map[string]any{"total": number("9007199254740993")}},
		{"proof", `{"total": 1}`, func(r Rotation) any { return r.Proof }, map[string]any{"total": number("1")}},
		{"wait", nil, func(r Rotation) any { return r.Wait }, true},
		{"wait", "no", func(r Rotation) any { return r.Wait }, false},
		{"wait_timeout", nil, func(r Rotation) any { return r.WaitTimeout }, 3600},
		{"wait_timeout", "0", func(r Rotation) any { return r.WaitTimeout }, 0},
		{"poll_interval", nil, func(r Rotation) any { return r.PollInterval }, 5},
		{"poll_interval", number("1.0"), func(r Rotation) any { return r.PollInterval }, 1},
		{"verify", nil, func(r Rotation) any { return r.Verify }, []string{"database"}},
		{"verify", "database", func(r Rotation) any { return r.Verify }, []string{"database"}},
		{"backends_ready_at", "2026-01-31T22:15:00.5+01:00", func(r Rotation) any { return r.BackendsReadyAt }, "2026-01-31T22:15:00.5+01:00"},
		{"compose_project", "tower_1", func(r Rotation) any { return r.ComposeProject }, "tower_1"},
		{"docker_host", "tcp://10.0.0.1:2375", func(r Rotation) any { return r.DockerHost }, "tcp://10.0.0.1:2375"},
		{"health_url", nil, func(r Rotation) any { return r.HealthURL }, "http://localhost:8000/api/service-info"},
		{"health_url", "https://tower.example/api/service-info", func(r Rotation) any { return r.HealthURL }, "https://tower.example/api/service-info"},
		{"services", nil, func(r Rotation) any { return r.Services }, Services{[]string{"migrate"}, []string{"backend"}, []string{"cron"}}},
		{"services", map[string]any{"cron": "c1,c2", "migrate": nil}, func(r Rotation) any { return r.Services }, Services{[]string{"migrate"}, []string{"backend"}, []string{"c1", "c2"}}},
		{"services", map[string]any{"migrate": []any{}}, func(r Rotation) any { return r.Services.Migrate }, []string{}},
		{"database", nil, func(r Rotation) any { return r.Database == nil }, true},
		{"database", `{"host": "db", "user": "tower", "password": "p w", "port": "3307"}`, func(r Rotation) any {
			return fmt.Sprint(r.Database.Host, r.Database.Port, r.Database.Name, r.Database.User, r.Database.Password.Reveal(), r.Database.TLS)
		}, "db3307towertowerp wpreferred"},
		{"baseline", "/var/lib/b.gz", func(r Rotation) any { return r.Baseline }, map[string]any{"path": "/var/lib/b.gz"}},
		{"baseline", `{"path": "/b"}`, func(r Rotation) any { return r.Baseline }, map[string]any{"path": "/b"}},
		{"baseline_dir", nil, func(r Rotation) any { return r.BaselineDir }, "/home/op/.seqera-crypto-rotation"},
		{"baseline_dir", "", func(r Rotation) any { return r.BaselineDir }, ""},
		{"max_records_per_second", "20", func(r Rotation) any { return *r.MaxRecordsPerSecond }, 20},
		{"baseline", map[string]any{}, func(r Rotation) any { return r.Baseline }, map[string]any{}},
		{"region", "eu-west-1", func(r Rotation) any { return r.Region }, "eu-west-1"},
		{"profile", "ops", func(r Rotation) any { return r.Profile }, "ops"},
		{"session_token", "t", func(r Rotation) any { return r.SessionToken.Reveal() }, "t"},
		{"endpoint_url", "http://127.0.0.1:5000", func(r Rotation) any { return r.EndpointURL }, "http://127.0.0.1:5000"},
		{"assume_role_arn", "arn:aws-us-gov:iam::123456789012:role/a/b", func(r Rotation) any { return r.AssumeRoleARN }, "arn:aws-us-gov:iam::123456789012:role/a/b"},
		{"aws_ca_bundle", "~/ca.pem", func(r Rotation) any { return r.AWSCABundle }, "/home/op/ca.pem"},
		{"aws_ca_bundle", "$CERTS/ca.pem", func(r Rotation) any { return r.AWSCABundle }, "/certs/ca.pem"},
		{"validate_certs", nil, func(r Rotation) any { return r.ValidateCerts }, true},
		{"validate_certs", number("0"), func(r Rotation) any { return r.ValidateCerts }, false},
	} {
		t.Run(fmt.Sprintf("%s=%v", c.option, c.given), func(t *testing.T) {
			r, err := ParseRotation(prepared(map[string]any{c.option: c.given}), environment(map[string]string{"HOME": "/home/op", "CERTS": "/certs"}))
			require.NoError(t, err)
			assert.Equal(t, c.want, c.get(r))
		})
	}
}

func TestAWrongValueIsNamedWithWhatIsAllowed(t *testing.T) {
	for _, c := range []struct {
		option string
		given  any
		want   string
	}{
		{"state", nil, "state is required: one of prepared, rotating, finalized, aborted"},
		{"state", "prepard", `state must be one of prepared, rotating, finalized, aborted, not "prepard" (did you mean "prepared"?)`},
		{"state", []any{"prepared"}, "state must be one of prepared, rotating, finalized, aborted, not a list"},
		{"app_name", nil, "app_name is required: 1 to 64 letters, digits and _ . -"},
		{"app_name", "", `app_name must be 1 to 64 letters, digits and _ . -, not ""`},
		{"app_name", "my app", `app_name must be 1 to 64 letters, digits and _ . -, not "my app"`},
		{"omnibus_parameter", nil, "omnibus_parameter is required when state is prepared"},
		{"omnibus_parameter", "a/b", `with a / at the start if there is one at all, not "a/b"`},
		{"omnibus_parameter", "/a//b", `not "/a//b"`},
		{"omnibus_parameter", "/", `not "/"`},
		{"rotation_id", "", `rotation_id must be 1 to 64 letters, digits and _ . -, not ""`},
		{"rotation_id", nil, "state prepared needs at least one of new_secret, new_secret_from_escrow, rotation_id, max_age_days; without one, every run would rotate again"},
		{"max_age_days", "-1", `max_age_days must be an int of 0 or more, not "-1"`},
		{"max_age_days", "ninety", `max_age_days must be an int of 0 or more, not "ninety"`},
		{"max_age_days", "1.5", `max_age_days must be an int of 0 or more, not "1.5"`},
		{"backups", nil, "state prepared requires backups"},
		{"backups", []any{}, "state prepared requires backups"},
		{"backups", []any{"a", " "}, `each element of backups must be a str that is not empty, not " "`},
		{"backups", map[string]any{"a": "b"}, "backups must be a list of str, not a dict"},
		{"backups", []any{map[string]any{}}, "each element of backups must be a str that is not empty, not a dict"},
		{"backups_waived", "perhaps", `backups_waived must be a bool (true or false), not "perhaps"`},
		{"chunk_size", number("0"), `chunk_size must be an int from 1 to 10000, not "0"`},
		{"chunk_size", number("10001"), `chunk_size must be an int from 1 to 10000, not "10001"`},
		{"standalone", "wirte", `standalone must be one of write, delete, not "wirte" (did you mean "write"?)`},
		{"config_prefix", "config/x", `config_prefix must be an SSM path: a / at the start, then letters, digits, _ . - and /, not "config/x"`},
		{"custody_prefix", "/a b", `not "/a b"`},
		{"custody_prefix", "/config/tower-template/custody", "custody_prefix must not be below /config/tower-template, which the Platform's VM may read"},
		{"custody_prefix", "/config/tower-template-custody", "which the Platform's VM may read"},
		{"custody_prefix", "/seqera/tower-template", "which the Platform's VM may read"},
		{"proof", "perfect", "proof must be a dict: the value is neither a dict nor a string with a JSON object"},
		{"proof", `{'total': 1, 'ok': True}`, "proof must be a dict: the value is neither a dict nor a string with a JSON object"},
		{"database", "host=db user=tower", "database must be a dict of host, port, name, user, password, tls, ca_file: the value is neither a dict nor a string with a JSON object"},
		{"wait_timeout", "-5", `wait_timeout must be an int of 0 or more, not "-5"`},
		{"poll_interval", "0", `poll_interval must be an int of 1 or more, not "0"`},
		{"verify", []any{}, "verify is empty: it must be a list of one of database, attested"},
		{"verify", "databaze", `each element of verify must be one of database, attested, not "databaze" (did you mean "database"?)`},
		{"max_records_per_second", 0, "max_records_per_second must be"},
		{"attested_by", " ", "attested_by must be"},
		{"backends_ready_at", "yesterday", `backends_ready_at must be a time with a time zone, such as 2026-01-31T22:15:00Z, not "yesterday"`},
		{"compose_project", "My Project", `compose_project must be lowercase letters, digits, _ and -; a letter or digit first, not "My Project"`},
		{"health_url", "localhost:8000", `health_url must be an http or https URL, not "localhost:8000"`},
		{"health_url", "ftp://me:pass@host", "not the given URL, which contains a login"},
		{"services", "cron", "services must be a dict of migrate, backends, cron: the value is neither a dict"},
		{"services", map[string]any{"corn": "x"}, `unknown option "services.corn": did you mean "services.cron"? (accepted: migrate, backends, cron)`},
		{"services", map[string]any{"cron": []any{}}, "services.cron is empty: it must be a list of str"},
		{"services", map[string]any{"backends": []any{}}, "services.backends is empty: it must be a list of str"},
		{"verify", "logs", "verify: logs is withdrawn: no line in cron's log is documented to mark the end; use verify: [database], or [attested] with attested_by"},
		{"complete_log_pattern", "done", "complete_log_pattern is withdrawn: no line in cron's log is documented to mark the end"},
		{"previous_key_name", "tower/secret-rotation/secretKey", "previous_key_name is withdrawn: the Platform reads one name, tower/secret-rotation/previous-key; remove the option"},
		{"other_vms", map[string]any{}, "other_vms is withdrawn: an installation has one VM, on which all its backends and cron run; remove the option"},
		{"services", map[string]any{"cron": []any{""}}, "each element of services.cron must be a str that is not empty"},
		{"database", map[string]any{}, "database.host is required: a str that is not empty"},
		{"database", map[string]any{"host": "db", "port": "99999"}, `database.port must be an int from 1 to 65535, not "99999"`},
		{"database", map[string]any{"host": "db", "tls": "requierd"}, `database.tls must be one of disabled, preferred, required, verify-ca, not "requierd" (did you mean "required"?)`},
		{"assume_role_arn", "role", `assume_role_arn must be the ARN of an IAM role, not "role"`},
		{"validate_certs", "1.0", `validate_certs must be a bool (true or false), not "1.0"`},
		{"access_key", "AKIA", "access_key needs secret_key"},
		{"omnibus_paramter", "/x", `unknown option "omnibus_paramter": did you mean "omnibus_parameter"? (accepted: state, app_name, omnibus_parameter,`},
		{"aws_regoin", "x", `unknown option "aws_regoin": did you mean "aws_region"? (accepted:`},
		{"_raw_params", "x", `unknown option "_raw_params" (accepted:`},
	} {
		t.Run(fmt.Sprintf("%s=%v", c.option, c.given), func(t *testing.T) {
			_, err := ParseRotation(prepared(map[string]any{c.option: c.given}), nil)
			invalid, options := wrong(t, err)
			assert.Contains(t, err.Error(), c.want)
			assert.Contains(t, err.Error(), "Nothing was done.")
			assert.Equal(t, "invalid_options", invalid.ErrorCode())
			assert.Len(t, options, 1, "one mistake is one message: %s", err)
		})
	}
}

func TestAllMistakesAreListedTogether(t *testing.T) {
	_, err := ParseRotation(asJSON(map[string]any{"state": "prepared", "chunk_size": "many", "max_age_days": "x", "colour": "red", "database": map[string]any{"prot": 1}}), nil)
	_, options := wrong(t, err)
	assert.Equal(t, []string{"colour", "app_name", "max_age_days", "chunk_size", "database.prot", "database.host", "omnibus_parameter", "backups"}, options)
	assert.Contains(t, err.Error(), "The options have 8 mistakes: ")
}

func TestAnOptionMayBeGivenByItsAliasOnlyOnce(t *testing.T) {
	r, err := ParseRotation(prepared(map[string]any{"aws_region": "eu-west-1", "docker_url": "unix:///x"}), nil)
	require.NoError(t, err)
	assert.Equal(t, "eu-west-1", r.Region)
	assert.Equal(t, "unix:///x", r.DockerHost)

	_, err = ParseRotation(prepared(map[string]any{"aws_region": "eu-west-1", "region": "eu-west-1"}), nil)
	require.NoError(t, err)

	_, err = ParseRotation(prepared(map[string]any{"aws_region": "eu-west-1", "region": "us-east-1"}), nil)
	assert.ErrorContains(t, err, "aws_region and region are the same option: give one of them")

	_, err = ParseRotation(prepared(map[string]any{"aws_endpoint_url": "x"}), nil)
	assert.ErrorContains(t, err, `endpoint_url (given as aws_endpoint_url) must be an http or https URL, not "x"`)
}

func TestTheEnvironmentIsAskedInTheOrderOfAmazonAWS(t *testing.T) {
	r, err := ParseRotation(prepared(nil), environment(map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SECURITY_TOKEN": "token",
		"AWS_URL": "http://first", "AWS_ENDPOINT_URL": "http://second", "AWS_CA_BUNDLE": "/ca", "DOCKER_HOST": "unix:///d",
	}))
	require.NoError(t, err)
	assert.Equal(t, []string{"eu-west-2", "id", "key", "token", "http://first", "/ca", "unix:///d"}, []string{
		r.Region, r.AccessKey.Reveal(), r.SecretKey.Reveal(), r.SessionToken.Reveal(), r.EndpointURL, r.AWSCABundle, r.DockerHost,
	})

	r, err = ParseRotation(prepared(map[string]any{"region": "eu-west-1"}), environment(map[string]string{"AWS_REGION": "eu-west-2"}))
	require.NoError(t, err)
	assert.Equal(t, "eu-west-1", r.Region, "an option comes before the environment")

	_, err = ParseRotation(prepared(nil), environment(map[string]string{"AWS_URL": "nonsense"}))
	assert.ErrorContains(t, err, `endpoint_url (from the environment variable AWS_URL) must be`)
}

func TestAProfileAndKeysAreNotMixed(t *testing.T) {
	env := environment(map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"})
	_, err := ParseRotation(prepared(map[string]any{"profile": "ops"}), env)
	assert.ErrorContains(t, err, "profile and access_key (from the environment variable AWS_ACCESS_KEY_ID) cannot be used together")

	r, err := ParseRotation(prepared(map[string]any{"profile": "ops", "access_key": "", "secret_key": ""}), env)
	require.NoError(t, err, "an option given as \"\" leaves the environment aside")
	assert.True(t, r.AccessKey.IsEmpty())

	r, err = ParseRotation(prepared(map[string]any{"endpoint_url": ""}), environment(map[string]string{"AWS_URL": "http://other"}))
	require.NoError(t, err)
	assert.Empty(t, r.EndpointURL)
}

func TestOnlyWhatAStateNeedsIsRequired(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]any
		fine  bool
	}{
		"rotating needs no omnibus":           {map[string]any{"state": "rotating"}, true},
		"finalized needs an omnibus":          {map[string]any{"state": "finalized"}, false},
		"finalized needs no backups":          {map[string]any{"state": "finalized", "omnibus_parameter": "/o"}, true},
		"prepared with backups waived":        {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "max_age_days": 0, "backups_waived": "true"}, true},
		"prepared without a reason to rotate": {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "backups_waived": true}, false},
		"attested by nobody":                  {map[string]any{"state": "rotating", "verify": "attested"}, false},
		"attested by somebody":                {map[string]any{"state": "rotating", "verify": "attested", "attested_by": "Ada Lovelace"}, true},
		"aborted needs an omnibus":            {map[string]any{"state": "aborted"}, false},
		"prepared with a key of escrow":       {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "backups_waived": true, "new_secret_from_escrow": "0123456789abcdef"}, true},
		"prepared with two new keys":          {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "backups_waived": true, "new_secret_from_escrow": "0123456789abcdef", "new_secret": goodKey}, false},
		"prepared with half a fingerprint":    {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "backups_waived": true, "new_secret_from_escrow": "0123"}, false},
		"prepared with a new key alone":       {map[string]any{"state": "prepared", "omnibus_parameter": "/o", "backups_waived": true, "new_secret": goodKey}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.given["app_name"] = "a"
			_, err := ParseRotation(asJSON(c.given), nil)
			assert.Equal(t, c.fine, err == nil, "%v", err)
		})
	}
}

func TestInfoAsksForParametersUnlessToldOtherwise(t *testing.T) {
	i, err := ParseInfo(map[string]any{"app_name": "a"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"parameters"}, i.Gather)
	assert.Equal(t, "/config/a", i.ConfigPrefix)

	i, err = ParseInfo(map[string]any{"app_name": "a", "gather": "records,platform"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"records", "platform"}, i.Gather)

	_, err = ParseInfo(map[string]any{"app_name": "a", "gather": "record", "state": "prepared"}, nil)
	assert.ErrorContains(t, err, `each element of gather must be one of parameters, platform, preflight, handover, records, count, database, escrow, ledger, not "record" (did you mean "records"?)`)
	assert.ErrorContains(t, err, `unknown option "state"`)
}

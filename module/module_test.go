package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/internal/fixture"
	"github.com/seqera-tools/crypto-rotation/module/internal/moto"
)

// These tests run the module as Ansible does, against moto_server: as a separate process that reads an arguments file and prints one JSON
// object. The test binary runs as the module if MODULE_UNDER_TEST is set.

const (
	oldKey = fixture.OldKey
	newKey = fixture.NewKey
	prefix = fixture.Custody
	config = fixture.Config
	name   = fixture.Omnibus
)

type args = fixture.Args

func document() string        { return fixture.Document() }
func prepare(more args) args  { return fixture.Prepare(more) }
func finalize(more args) args { return fixture.Finalize(more) }

// quick is the number of rounds for a fingerprint in these tests. The tests of the playbooks run the built binary.
const quick = 1

func TestMain(m *testing.M) {
	if os.Getenv("MODULE_UNDER_TEST") != "" {
		os.Exit(run(quick))
	}
	os.Exit(moto.Main(m))
}

const preparedDocument = `{
	"TOWER_LICENSE": {
		"ssm_key": "/config/tower-template/tower/license",
		"value": "a <license> & more"
	},
	"TOWER_CRYPTO_SECRET": {
		"ssm_key": "/config/tower-template/tower/crypto/secretKey",
		"value": "` + newKey + `"
	},
	"TOWER_CRYPTO_PREVIOUS_SECRET": {
		"ssm_key": "/config/tower-template/tower/secret-rotation/previous-key",
		"value": "` + oldKey + `"
	},
	"TOWER_CRYPTO_ROTATE_KEYS": {
		"ssm_key": "/config/tower-template/tower/secret-rotation/enabled",
		"value": "true"
	},
	"TOWER_SMTP_USER": {
		"ssm_key": "/config/tower-template/mail/smtp/user",
		"value": "smtp",
		"description": "The SMTP user."
	}
}`

type answer struct {
	Changed      bool              `json:"changed"`
	Failed       bool              `json:"failed"`
	Msg          string            `json:"msg"`
	ErrorCode    string            `json:"error_code"`
	Phase        string            `json:"phase"`
	RotationID   string            `json:"rotation_id"`
	Fingerprints map[string]string `json:"fingerprints"`
	Steps        []struct {
		Action string `json:"action"`
		Target string `json:"target"`
		Reason string `json:"reason"`
		Done   bool   `json:"done"`
	} `json:"steps"`
	Diff     []map[string]string `json:"diff"`
	Escrow   any                 `json:"escrow"`
	APICalls map[string]int      `json:"api_calls"`
	Evidence []map[string]any    `json:"evidence"`
	text     string
}

func (a answer) actions() []string {
	var list []string
	for _, step := range a.Steps {
		list = append(list, step.Action)
	}
	return list
}

// installation is a moto with one Platform's parameters in it.
func installation(t *testing.T) *moto.Server {
	t.Helper()
	server := moto.Start(t)
	server.Put(t, name, document())
	server.Put(t, config+"/tower/crypto/secretKey", oldKey)
	return server
}

// call runs the module once. No answer may hold a key, whatever was asked.
func call(t *testing.T, server *moto.Server, module string, options args) answer {
	t.Helper()
	all := args{"_ansible_module_name": module, "_ansible_check_mode": false, "_ansible_diff": true, "_ansible_remote_tmp": "~/.ansible/tmp"}
	for key, value := range options {
		all[key] = value
	}
	if server != nil {
		all["endpoint_url"] = server.URL
	}
	text, err := json.Marshal(all)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "args")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	out := start(t, file)
	_, err = os.Stat(file)
	require.ErrorIs(t, err, os.ErrNotExist, "the arguments file holds secrets and must be gone")
	return out
}

// environment is the module's. Under the race detector a program sleeps a second before it ends, unless GORACE says otherwise.
func environment(t *testing.T) []string {
	t.Helper()
	return []string{"MODULE_UNDER_TEST=1", "HOME=" + t.TempDir(), "AWS_EC2_METADATA_DISABLED=true", "GORACE=atexit_sleep_ms=0"}
}

func start(t *testing.T, file string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Args[0], file)
	command.Env = environment(t)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run()
	assert.Empty(t, stderr.String())
	for _, key := range []string{oldKey, newKey} {
		require.NotContains(t, stdout.String(), key, "a key was shown")
	}
	var a answer
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &a), stdout.String())
	assert.NotEmpty(t, a.Msg)
	assert.Equal(t, a.Failed, a.ErrorCode != "", a.Msg)
	a.text = stdout.String()
	return a
}

func value(t *testing.T, server *moto.Server, name string) string {
	t.Helper()
	parameter := server.All(t)[name]
	return aws.ToString(parameter.Value)
}

func TestCheckModeShowsTheStepsThatAreThenDoneAndWritesNothing(t *testing.T) {
	server := installation(t)
	for _, made := range []bool{false, true} {
		options := prepare(nil)
		if made {
			options = prepare(args{"new_secret": nil, "rotation_id": "r2"})
			server = installation(t)
		}
		before := server.All(t)
		options["_ansible_check_mode"] = true
		foreseen := call(t, server, "seqera_crypto_rotation", options)
		require.False(t, foreseen.Failed, foreseen.Msg)
		assert.True(t, foreseen.Changed)
		assert.Empty(t, server.Writes(), "check mode writes nothing")
		assert.Equal(t, before, server.All(t))
		for _, step := range foreseen.Steps {
			assert.False(t, step.Done)
		}
		options["_ansible_check_mode"] = false
		done := call(t, server, "seqera_crypto_rotation", options)
		require.False(t, done.Failed, done.Msg)
		assert.Equal(t, foreseen.actions(), done.actions())
		for i, step := range done.Steps {
			assert.True(t, step.Done, step.Action)
			assert.Equal(t, foreseen.Steps[i].Target, step.Target)
			assert.Equal(t, foreseen.Steps[i].Reason, step.Reason)
		}
		assert.Equal(t, foreseen.Diff, done.Diff)
	}
}

func TestPreparedGivesExactlyWhatPageStepTwoDescribes(t *testing.T) {
	server := installation(t)
	a := call(t, server, "seqera_crypto_rotation", prepare(nil))
	require.False(t, a.Failed, a.Msg)
	assert.True(t, a.Changed)
	assert.Equal(t, "prepared", a.Phase)
	assert.Equal(t, preparedDocument, value(t, server, name))
	assert.Equal(t, newKey, value(t, server, config+"/tower/crypto/secretKey"))
	assert.Equal(t, oldKey, value(t, server, config+"/tower/secret-rotation/previous-key"))
	assert.Equal(t, "true", value(t, server, config+"/tower/secret-rotation/enabled"))
	escrow := value(t, server, a.Escrow.(map[string]any)["parameter"].(string))
	assert.Contains(t, escrow, oldKey)
	assert.Contains(t, escrow, "snap-1")
	assert.Regexp(t, "^[0-9a-f]{16}$", a.Fingerprints["current"])
	assert.Contains(t, value(t, server, prefix+"/escrow/"+a.Fingerprints["current"]), newKey)
}

func TestASecondRunReadsOnceAndChangesNothing(t *testing.T) {
	server := installation(t)
	first := call(t, server, "seqera_crypto_rotation", prepare(nil))
	require.False(t, first.Failed, first.Msg)
	for _, options := range []args{prepare(nil), prepare(args{"rotation_id": nil}), prepare(args{"new_secret": nil})} {
		before := server.All(t)
		server.Reset()
		a := call(t, server, "seqera_crypto_rotation", options)
		require.False(t, a.Failed, a.Msg)
		assert.False(t, a.Changed)
		assert.Equal(t, "prepared", a.Phase)
		assert.LessOrEqual(t, len(server.Calls()), 2)
		assert.Equal(t, before, server.All(t))
	}
}

func TestNoParameterIsReadTwiceBeforeTheFirstWrite(t *testing.T) {
	server := installation(t)
	server.Reset()
	a := call(t, server, "seqera_crypto_rotation", prepare(nil))
	require.False(t, a.Failed, a.Msg)
	seen := map[string]bool{}
	for _, one := range server.Calls() {
		if strings.HasPrefix(one.Action, "Put") {
			break
		}
		if one.Action != "GetParameters" {
			continue
		}
		for _, name := range one.Names {
			assert.False(t, seen[name], "%s was read twice", name)
			seen[name] = true
		}
	}
	assert.Len(t, seen, 7)
}

func TestARunWithNothingToDoNeedsTwoReads(t *testing.T) {
	server := installation(t)
	server.Reset()
	a := call(t, server, "seqera_crypto_rotation", prepare(args{"new_secret": nil, "rotation_id": nil, "max_age_days": "90"}))
	require.False(t, a.Failed, a.Msg)
	assert.False(t, a.Changed)
	assert.Equal(t, "idle", a.Phase)
	assert.LessOrEqual(t, len(server.Calls()), 2)
	assert.Empty(t, server.Writes())
}

// The run that is interrupted in its outage may have been asked for by hand, and the next one, by a schedule, only says how old a key may be.
func TestAnOpenRotationGoesOnHoweverYoungTheKeyIs(t *testing.T) {
	server := installation(t)
	require.False(t, call(t, server, "seqera_crypto_rotation", prepare(args{"capture_only": true})).Failed)
	a := call(t, server, "seqera_crypto_rotation", prepare(args{"new_secret": nil, "rotation_id": nil, "max_age_days": "90"}))
	require.False(t, a.Failed, a.Msg)
	assert.Equal(t, "prepared", a.Phase, a.Msg)
	assert.Equal(t, "r1", a.RotationID)
}

func TestFinalizedIsRefusedWithoutAProof(t *testing.T) {
	server := installation(t)
	require.False(t, call(t, server, "seqera_crypto_rotation", prepare(nil)).Failed)
	before := server.All(t)
	a := call(t, server, "seqera_crypto_rotation", finalize(nil))
	assert.Equal(t, "proof_missing", a.ErrorCode)
	forged := args{
		"format": 1, "app_name": "tower-template", "rotation_id": "r1", "previous": "0", "current": "0", "verify": []string{"database"}, "database": "d",
		"total": 1, "proved": 1, "rewritten": 0, "made_at": "2026-01-01T00:00:00Z", "tool": "x", "mac": "00",
	}
	a = call(t, server, "seqera_crypto_rotation", finalize(args{"proof": forged}))
	assert.Equal(t, "proof_mismatch", a.ErrorCode)
	assert.Equal(t, before, server.All(t))
}

func TestBadInputIsOneClearMessageAndNothingWritten(t *testing.T) {
	put := func(name, value string) func(*testing.T, *moto.Server) {
		return func(t *testing.T, s *moto.Server) { t.Helper(); s.Put(t, name, value) }
	}
	denied := func(_ *testing.T, s *moto.Server) { s.On(func(int, moto.Call) moto.Fault { return moto.Denied }) }
	tests := []struct {
		name    string
		set     func(*testing.T, *moto.Server)
		options args
		code    string
		says    string
	}{
		{"unknown option with the nearest known one", nil, args{"omnibus_paramter": "x"}, "invalid_options", "omnibus_parameter"},
		{"wrong type", nil, args{"max_age_days": "soon"}, "invalid_options", "max_age_days"},
		{"wrong choice", nil, args{"standalone": "maybe"}, "invalid_options", "write"},
		{"missing requirement", nil, args{"backups": nil}, "invalid_options", "backups_waived"},
		{"empty key", nil, args{"new_secret": ""}, "invalid_key", "new_secret"},
		{"short key", nil, args{"new_secret": "abc"}, "invalid_key", "25"},
		{"key with other characters", nil, args{"new_secret": newKey + "/"}, "invalid_key", "new_secret"},
		{"new key equal to the old one", nil, args{"new_secret": oldKey}, "key_unchanged", ""},
		{"omnibus absent", func(t *testing.T, s *moto.Server) { t.Helper(); s.Delete(t, name) }, nil, "omnibus_missing", name},
		{"omnibus not JSON", put(name, "TOWER_CRYPTO_SECRET="+oldKey), nil, "omnibus_not_json", name},
		{"omnibus of another app", put(name, strings.ReplaceAll(document(), "tower-template", "other")), nil, "app_mismatch", "other"},
		{"standalone missing", func(t *testing.T, s *moto.Server) { t.Helper(); s.Delete(t, config+"/tower/crypto/secretKey") }, nil, "standalone_missing", "secretKey"},
		{"standalone different", put(config+"/tower/crypto/secretKey", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), nil, "key_mismatch", "fingerprint"},
		{"no permission is not absent", denied, nil, "access_denied", "ssm:GetParameters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := installation(t)
			if test.set != nil {
				test.set(t, server)
			}
			before := server.All(t)
			a := call(t, server, "seqera_crypto_rotation", prepare(test.options))
			assert.True(t, a.Failed)
			assert.Equal(t, test.code, a.ErrorCode, a.Msg)
			assert.Contains(t, a.Msg, test.says)
			assert.Contains(t, strings.ToLower(a.Msg), "nothing was")
			assert.Equal(t, before, server.All(t))
			assert.Empty(t, server.Writes())
		})
	}
}

func TestAnArgumentsFileThatIsMissingOrNotJSONIsOneClearMessage(t *testing.T) {
	a := start(t, filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, "invalid_options", a.ErrorCode)
	file := filepath.Join(t.TempDir(), "args")
	require.NoError(t, os.WriteFile(file, []byte(oldKey), 0o600))
	a = start(t, file)
	assert.Equal(t, "invalid_options", a.ErrorCode)
}

func TestTwoOperatorsAtOnceOneProceedsWithoutLosingAKey(t *testing.T) {
	for range 3 {
		server := installation(t)
		answers := make(chan answer, 2)
		for _, id := range []string{"r1", "r2"} {
			go func() {
				answers <- call(t, server, "seqera_crypto_rotation", prepare(args{"rotation_id": id, "new_secret": nil})) //nolint:testifylint // a failure shows all the same
			}()
		}
		one, other := <-answers, <-answers
		if one.Failed {
			one, other = other, one
		}
		require.False(t, one.Failed, one.Msg)
		require.True(t, other.Failed)
		assert.Contains(t, []string{"locked", "rotation_open"}, other.ErrorCode, other.Msg)
		for _, key := range []string{value(t, server, config+"/tower/crypto/secretKey"), oldKey} {
			held := 0
			for name, parameter := range server.All(t) {
				if strings.HasPrefix(name, prefix+"/escrow/") && strings.Contains(aws.ToString(parameter.Value), key) {
					held++
				}
			}
			assert.Equal(t, 1, held)
		}
	}
}

func TestARunThatFailsHalfWaySaysWhatItDidAndIsTakenUpAgain(t *testing.T) {
	whole := installation(t)
	require.False(t, call(t, whole, "seqera_crypto_rotation", prepare(nil)).Failed)
	end := whole.All(t)
	for cut := range 9 {
		server := installation(t)
		puts := 0
		server.On(func(_ int, one moto.Call) moto.Fault {
			if one.Action == "PutParameter" {
				if puts++; puts == cut+1 {
					return moto.Denied
				}
			}
			return moto.None
		})
		a := call(t, server, "seqera_crypto_rotation", prepare(nil))
		assert.Equal(t, "access_denied", a.ErrorCode)
		assert.Equal(t, cut > 0, a.Changed, "put %d", cut+1)
		server.Reset()
		a = call(t, server, "seqera_crypto_rotation", prepare(nil))
		require.False(t, a.Failed, "put %d: %s", cut+1, a.Msg)
		for name, parameter := range server.All(t) {
			if strings.HasPrefix(name, prefix) {
				continue
			}
			assert.Equal(t, aws.ToString(end[name].Value), aws.ToString(parameter.Value), "put %d: %s", cut+1, name)
		}
	}
}

func TestInfoReadsAndNeverWrites(t *testing.T) {
	server := installation(t)
	options := args{"app_name": "tower-template", "omnibus_parameter": name, "region": "us-east-1", "access_key": "testing", "secret_key": "testing", "max_age_days": 0}
	a := call(t, server, "seqera_crypto_rotation_info", options)
	require.False(t, a.Failed, a.Msg)
	assert.Equal(t, "due", a.Phase)
	require.False(t, call(t, server, "seqera_crypto_rotation", prepare(nil)).Failed)
	server.Reset()
	a = call(t, server, "seqera_crypto_rotation_info", options)
	assert.Equal(t, "prepared", a.Phase)
	assert.False(t, a.Changed)
	assert.Empty(t, server.Writes())
	delete(options, "omnibus_parameter")
	a = call(t, server, "seqera_crypto_rotation_info", options)
	assert.Equal(t, "prepared", a.Phase, "a VM's instance role reads the standalone parameters alone")
}

func TestWhatSomebodyWroteJustBeforeTheLockIsKept(t *testing.T) {
	server := installation(t)
	theirs := strings.Replace(document(), "a <license> & more", "a new license", 1)
	once := false
	server.After(func(one moto.Call) {
		if one.Action == "PutParameter" && strings.Contains(one.Names[0], "/lock/") && !once {
			once = true
			server.Put(t, name, theirs)
		}
	})
	a := call(t, server, "seqera_crypto_rotation", prepare(nil))
	require.False(t, a.Failed, a.Msg)
	assert.Contains(t, value(t, server, name), "a new license")
	assert.Contains(t, value(t, server, name), "TOWER_CRYPTO_ROTATE_KEYS")
}

func TestAKeyOfEscrowIsTriedOnADatabaseThatIsNamed(t *testing.T) {
	server := installation(t)
	asked := args{"app_name": "tower-template", "gather": "records", "key_from_escrow": "backup:none", "region": "us-east-1", "access_key": "testing", "secret_key": "testing"}
	a := call(t, server, "seqera_crypto_rotation_info", asked)
	assert.Equal(t, "invalid_options", a.ErrorCode, a.Msg)
	asked["database"] = args{"host": "127.0.0.1", "port": 1}
	a = call(t, server, "seqera_crypto_rotation_info", asked)
	assert.Equal(t, "escrow_missing", a.ErrorCode, a.Msg)
}

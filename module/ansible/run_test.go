package ansible

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const canary = "CANARY7f3a9c"

func arguments(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "args")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// result is what a module printed: one line, one JSON object.
func result(t *testing.T, out []byte) map[string]any {
	t.Helper()
	require.Equal(t, 1, bytes.Count(out, []byte("\n")), "%s", out)
	var object map[string]any
	require.NoError(t, json.Unmarshal(out, &object), "%s", out)
	return object
}

// run runs a handler in this process.
func run(t *testing.T, args []string, handle Handler) (map[string]any, int) {
	t.Helper()
	var out bytes.Buffer
	code := Run(t.Context(), args, &out, handle)
	return result(t, out.Bytes()), code
}

func returns(value any, err error) Handler {
	return func(context.Context, Request) (any, error) { return value, err }
}

type coded struct{ error }

func (coded) ErrorCode() string { return "key_mismatch" }

func TestARequestHasTheUsersOptionsAndAnsiblesFlags(t *testing.T) {
	for name, c := range map[string]struct {
		args string
		want Request
	}{
		"nothing": {`{}`, Request{Module: "mymodule", Params: map[string]any{}}},
		"flags": {
			`{"_ansible_check_mode": true, "_ansible_diff": "yes", "_ansible_verbosity": "loud", "_ansible_module_name": "a.b.mymodule_info", "_ansible_no_log": false, "_ansible_of_2030": [1]}`,
			Request{Module: "mymodule_info", CheckMode: true, Diff: true, Params: map[string]any{}},
		},
		"options": {
			`{"a": 12345678901234567890, "b": null, "c": {"d": null}, "_e": "f", "_ansible_check_mode": null}`,
			Request{Module: "mymodule", Params: map[string]any{"a": json.Number("12345678901234567890"), "c": map[string]any{"d": nil}, "_e": "f"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got Request
			_, code := run(t, []string{"/tmp/x/AnsiballZ_mymodule", arguments(t, c.args)}, func(_ context.Context, r Request) (any, error) {
				got = r
				return nil, nil
			})
			assert.Zero(t, code)
			assert.Equal(t, c.want, got)
		})
	}
}

func TestAnUnreadableCheckModeStopsEverything(t *testing.T) {
	for _, flag := range []string{"check_mode", "diff", "keep_remote_files"} {
		out, code := run(t, []string{"m", arguments(t, `{"_ansible_`+flag+`": "maybe"}`)}, func(context.Context, Request) (any, error) {
			t.Error("the handler must not run")
			return nil, nil
		})
		assert.Equal(t, 1, code)
		assert.Equal(t, "_ansible_"+flag+" is not a bool.", out["msg"])
	}
}

func TestTheArgumentsFileIsRemovedBeforeTheHandlerRuns(t *testing.T) {
	for text, kept := range map[string]bool{
		`{"a": "b"}`:                               false,
		`{"_ansible_keep_remote_files": false}`:    false,
		`{"_ansible_keep_remote_files": true}`:     true,
		`{"_ansible_keep_remote_files": "True"}`:   true,
		`{"_ansible_check_mode": "unreadable"}`:    false,
		`["a list", {"new_secret": "x"}]`:          false,
		`null`:                                     false,
		`{"new_secret": "cut sho`:                  false,
		`{} behind`:                                false,
		`# A page of somebody who took it for one`: true,
		`new_secret=x`:                             true,
		``:                                         true,
	} {
		path := arguments(t, text)
		there := func() bool {
			_, err := os.Stat(path)
			return err == nil
		}
		run(t, []string{"m", path}, func(context.Context, Request) (any, error) {
			assert.Equal(t, kept, there(), text)
			return nil, nil
		})
		assert.Equal(t, kept, there(), text)
	}
}

func TestOnlyARegularArgumentsFileIsRemoved(t *testing.T) {
	link := filepath.Join(t.TempDir(), "stdin")
	require.NoError(t, os.Symlink(arguments(t, `{"state": "prepared"}`), link))
	run(t, []string{"m", link}, func(_ context.Context, request Request) (any, error) {
		assert.Equal(t, "prepared", request.Params["state"])
		return nil, nil
	})
	_, err := os.Lstat(link)
	require.NoError(t, err, "a link such as /dev/stdin is not Ansible's file")
}

func TestAnUnusableArgumentsFileIsOneClearMessageThatDoesNotQuoteIt(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no argument":      {[]string{"m"}, "No arguments file was given. An Ansible module takes the path of an arguments file."},
		"no program name":  {nil, "No arguments file was given. An Ansible module takes the path of an arguments file."},
		"missing":          {[]string{"m", filepath.Join(folder, canary)}, "The arguments file cannot be read: it does not exist. The argument is the path of a file, not the options themselves."},
		"the options":      {[]string{"m", `{"new_secret": "` + canary + `"}`}, "The arguments file cannot be read: it does not exist. The argument is the path of a file, not the options themselves."},
		"a folder":         {[]string{"m", folder}, "The arguments file cannot be read: is a directory."},
		"nul in the path":  {[]string{"m", "a\x00b"}, "The arguments file cannot be read: invalid argument."},
		"empty":            {[]string{"m", arguments(t, "")}, "The arguments file is not JSON."},
		"not JSON":         {[]string{"m", arguments(t, "new_secret="+canary)}, "The arguments file is not JSON."},
		"cut short":        {[]string{"m", arguments(t, `{"new_secret": "`+canary)}, "The arguments file is not JSON."},
		"a list":           {[]string{"m", arguments(t, `["`+canary+`"]`)}, "The arguments file is JSON, but not an object of options."},
		"null":             {[]string{"m", arguments(t, `null`)}, "The arguments file is JSON, but not an object of options."},
		"a string":         {[]string{"m", arguments(t, `"`+canary+`"`)}, "The arguments file is JSON, but not an object of options."},
		"two objects":      {[]string{"m", arguments(t, `{} {"a": "`+canary+`"}`)}, "The arguments file is not JSON: there is text after the object."},
		"something behind": {[]string{"m", arguments(t, `{} `+canary)}, "The arguments file is not JSON: there is text after the object."},
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, c.args, func(context.Context, Request) (any, error) {
				t.Error("the handler must not run")
				return nil, nil
			})
			assert.Equal(t, 1, code)
			assert.Equal(t, map[string]any{"changed": false, "failed": true, "error_code": "invalid_options", "msg": c.want}, out)
		})
	}
}

func TestAResultHasTheFieldsThatAnsibleExpects(t *testing.T) {
	type steps struct {
		Changed bool     `json:"changed"`
		Msg     string   `json:"msg"`
		Steps   []string `json:"steps"`
	}
	for name, c := range map[string]struct {
		value any
		err   error
		want  string
		code  int
	}{
		"nothing":             {nil, nil, `{"changed": false}`, 0},
		"a nil pointer":       {(*steps)(nil), nil, `{"changed": false}`, 0},
		"a struct":            {steps{true, "<done> & good", []string{"a"}}, nil, `{"changed": true, "msg": "<done> & good", "steps": ["a"]}`, 0},
		"a map":               {map[string]any{"changed": "no"}, nil, `{"changed": false}`, 0},
		"warnings":            {map[string]any{"warnings": []string{"w"}}, nil, `{"changed": false, "warnings": ["w"]}`, 0},
		"no warnings":         {map[string]any{"warnings": []string(nil)}, nil, `{"changed": false}`, 0},
		"empty warnings":      {map[string]any{"warnings": []string{}}, nil, `{"changed": false}`, 0},
		"a warning":           {map[string]any{"warnings": "w"}, nil, `{"changed": false}`, 0},
		"what must not be":    {map[string]any{"invocation": map[string]any{"secret": canary}, "results": []int{1}}, nil, `{"changed": false}`, 0},
		"an error":            {nil, errors.New("No."), `{"changed": false, "failed": true, "msg": "No.", "error_code": "internal"}`, 1}, //nolint:revive // as in a message
		"an error with steps": {steps{true, "half", []string{"a"}}, fmt.Errorf("x: %w", coded{errors.New("differ")}), `{"changed": true, "steps": ["a"], "failed": true, "msg": "x: differ", "error_code": "key_mismatch"}`, 1},
		"not an object":       {[]string{canary}, nil, `{"changed": false, "failed": true, "msg": "The result could not be encoded as a JSON object.", "error_code": "internal"}`, 1},
		"not JSON":            {map[string]any{"a": func() {}}, nil, `{"changed": false, "failed": true, "msg": "The result could not be encoded as a JSON object.", "error_code": "internal"}`, 1},
		"not JSON, an error":  {func() {}, coded{errors.New("differ")}, `{"changed": false, "failed": true, "msg": "differ", "error_code": "key_mismatch"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := Run(t.Context(), []string{"m", arguments(t, `{}`)}, &out, returns(c.value, c.err))
			assert.Equal(t, c.code, code)
			assert.JSONEq(t, c.want, out.String())
			assert.NotContains(t, out.String(), `\u003c`, "people read it")
		})
	}
}

func TestAPanicIsOneFailedResultThatSaysWhereAndNotWhat(t *testing.T) {
	var empty map[string]int
	for name, handle := range map[string]Handler{
		"a text":         func(context.Context, Request) (any, error) { panic("key " + canary) },
		"an error":       func(context.Context, Request) (any, error) { panic(errors.New(canary)) },
		"the runtime's":  func(context.Context, Request) (any, error) { empty[canary] = 1; return nil, nil },
		"nil":            func(context.Context, Request) (any, error) { panic(nil) },
		"while encoding": returns(explosive{}, nil),
		"in the error":   returns(nil, explosive{}),
	} {
		t.Run(name, func(t *testing.T) {
			out, code := run(t, []string{"m", arguments(t, `{}`)}, handle)
			assert.Equal(t, 1, code)
			assert.Equal(t, "internal", out["error_code"])
			assert.Equal(t, true, out["failed"])
			assert.Equal(t, false, out["changed"])
			assert.Regexp(t, `^The module has a bug and stopped at \S+ \(\w+.go:\d+\)\. `, out["msg"])
			assert.NotContains(t, fmt.Sprint(out), canary)
			assert.NotContains(t, fmt.Sprint(out), "goroutine")
		})
	}
}

type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic(canary) }
func (explosive) Error() string                { panic(canary) }

func TestAFileThatCannotBeRemovedIsAWarning(t *testing.T) {
	object := answer(t.Context(), returns(map[string]any{"warnings": []string{"first"}}, nil), Request{warnings: []string{"second"}})
	assert.JSONEq(t, `["first", "second"]`, string(object["warnings"]))
}

func TestTheRemovalOfAnotherUsersFileIsAnsiblesOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "args")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.True(t, isOurs(info))
	if os.Geteuid() != 0 {
		t.Skip("only root gives a file away")
	}
	require.NoError(t, os.Chown(path, 12345, -1))
	info, err = os.Lstat(path)
	require.NoError(t, err)
	assert.False(t, isOurs(info))
}

func TestModuleNamesAreBare(t *testing.T) {
	platform := "_" + runtime.GOOS + "_" + runtime.GOARCH
	for given, want := range map[string]string{
		"/tmp/AnsiballZ_mymodule_info" + platform: "mymodule_info", "a.b.mymodule" + platform: "mymodule", "mymodule_plan9_386": "mymodule_plan9_386",
		"/root/.ansible/tmp/x/AnsiballZ_seqera_crypto_rotation": "seqera_crypto_rotation", "library/seqera_crypto_rotation_info": "seqera_crypto_rotation_info",
		"seqera.rotation.seqera_crypto_rotation": "seqera_crypto_rotation", "m": "m",
	} {
		assert.Equal(t, want, ModuleName(given))
	}
}

func TestAPersonWhoStartsTheModuleIsToldWhatItIs(t *testing.T) {
	var out bytes.Buffer
	assert.Zero(t, Run(t.Context(), []string{"bin/mymodule", "--help"}, &out, nil))
	assert.Contains(t, out.String(), "mymodule is an Ansible module")
	assert.Contains(t, out.String(), `ansible localhost -M bin -m mymodule -a "<option>=<value>" --check`)
	assert.Contains(t, out.String(), "bin/mymodule options.json")

	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("this machine has no terminals: ", err)
	}
	defer func() { _ = terminal.Close() }()
	assert.Contains(t, help([]string{"mymodule"}, terminal), "mymodule is an Ansible module")
	assert.Empty(t, help([]string{"mymodule", "args"}, terminal))

	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer func() { _ = null.Close() }()
	assert.Empty(t, help([]string{"mymodule"}, null), "/dev/null is no person")
}

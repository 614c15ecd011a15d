// Package ansible is the protocol of a binary Ansible module: an arguments file in, one JSON object out, and nothing else.
// It coerces values as Ansible does and knows nothing of what the module is for.
package ansible

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Handler does the module's work. Its result is a struct or map that encodes as a JSON object. On an error the result's
// fields are still shown, so that steps done so far are reported. It must return soon after ctx is done.
type Handler func(ctx context.Context, request Request) (result any, err error)

// Run is a module's whole main: args are os.Args, stdout takes the one JSON object, the return value is the exit code
// (0 success, 1 failure).
//
// SIGHUP (what Ctrl-C becomes over ssh), SIGTERM and SIGINT end ctx; the handler then cleans up and a result is still
// printed. A panic of the handler becomes a failed result. If stdout is a file, which the real one is, nothing that a
// library prints or logs meanwhile gets out: not on stdout, where it would break the JSON, and not on stderr, which
// joins it under ssh -tt.
func Run(ctx context.Context, args []string, stdout io.Writer, handle Handler) int {
	if text := help(args, stdout); text != "" {
		_, _ = io.WriteString(stdout, text)
		if len(args) < 2 {
			return 1
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	request, err := read(args)
	if err != nil {
		object := failure(err)
		object.warn(request.warnings)
		return write(stdout, object)
	}
	original, release, err := silence(stdout)
	if err != nil {
		return write(stdout, failure(err))
	}
	defer release()
	return write(original, answer(ctx, handle, request))
}

// ModuleName is a module's name, from the path of its binary or from what a playbook calls it: without directory, the
// prefix AnsiballZ_ that Ansible gives to what it copies, the namespace of a collection, and the platform that tells one
// binary of a module from the others.
func ModuleName(name string) string {
	name = strings.TrimPrefix(filepath.Base(name), "AnsiballZ_")
	name = strings.TrimSuffix(name, "_"+runtime.GOOS+"_"+runtime.GOARCH)
	return name[strings.LastIndexByte(name, '.')+1:]
}

func write(out io.Writer, object document) int {
	line, err := encode(object)
	if err != nil {
		// Every value of the object was encoded before.
		line = []byte(`{"changed":false,"failed":true,"error_code":"internal","msg":"The result could not be encoded."}`)
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return 1
	}
	if failed, ok := object["failed"]; ok && string(failed) == "true" {
		return 1
	}
	return 0
}

// fault is a failure of this package. Its text is a sentence for the operator and holds no secret.
type fault struct{ code, text string }

func (f fault) Error() string     { return f.text }
func (f fault) ErrorCode() string { return f.code }

func internal(text string) error { return fault{"internal", text} }

// refused is a request that cannot be read. Its text never quotes the file, which may hold secrets.
func refused(text string) error { return fault{"invalid_options", text} }

// document is the result, its fields encoded one by one.
type document map[string]json.RawMessage

// help is the text for a person who started the binary by hand; empty when Ansible did.
func help(args []string, stdout io.Writer) string {
	asked := len(args) > 1 && len(args) < 3 && (args[1] == "--help" || args[1] == "-h")
	if !asked && (len(args) > 1 || !isTerminal(stdout)) {
		return ""
	}
	path := "this"
	if len(args) > 0 {
		path = args[0]
	}
	return fmt.Sprintf(`%[1]s is an Ansible module. Ansible copies it to the machine of a task and starts it there with the path
of a file that holds the task's options; it answers with one JSON object.

In a playbook       - name: What is to be true
                      %[1]s:
                        <option>: <value>
From a terminal     ansible localhost -M %[2]s -m %[1]s -a "<option>=<value>" --check
Its options         ansible-doc -t module -M %[2]s %[1]s
                    %[3]s --schema      the same as JSON Schema
Version, platform   %[3]s --version
Without Ansible     %[3]s options.json
                    where options.json is a JSON object. It is removed once it is read, because it may hold
                    secrets, unless it says "_ansible_keep_remote_files": true. "_ansible_check_mode": true
                    shows what would be done.
`, ModuleName(path), filepath.Dir(path), path)
}

// isTerminal takes any character device but /dev/null for a terminal.
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

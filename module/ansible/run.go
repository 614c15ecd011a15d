// Package ansible implements the protocol of a binary Ansible module: an arguments file in, one JSON object out, and nothing else.
// It coerces values as Ansible does. It must not know what the module does.
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

// Handler does the module's work. Its result is a struct or map that encodes as a JSON object. If it returns an error, the fields
// of the result are still printed, so that the steps done so far are reported. It must return soon after ctx is done.
type Handler func(ctx context.Context, request Request) (result any, err error)

// Run is the whole main function of a module. args are os.Args. It writes one JSON object to stdout and returns the exit code:
// 0 on success, 1 on failure.
//
// SIGHUP (which Ctrl-C becomes over ssh), SIGTERM and SIGINT cancel ctx. The handler then cleans up, and a result is still printed.
// A panic in the handler becomes a failed result. If stdout is a file, as the real one is, nothing that a library prints gets out
// from then on: not on stdout, where it would break the JSON, and not on stderr, which ssh -tt merges into stdout.
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
	if err == nil {
		stdout, err = silence(stdout)
	}
	if err != nil {
		handle = func(context.Context, Request) (any, error) { return nil, err }
	}
	return write(stdout, answer(ctx, handle, request))
}

// ModuleName returns the bare name of a module, given the path of its binary or its name in a playbook. It removes the directory,
// the prefix AnsiballZ_ that Ansible adds to copied files, the namespace of a collection, and the _<os>_<architecture> suffix.
func ModuleName(name string) string {
	name = strings.TrimPrefix(filepath.Base(name), "AnsiballZ_")
	name = strings.TrimSuffix(name, "_"+runtime.GOOS+"_"+runtime.GOARCH)
	return name[strings.LastIndexByte(name, '.')+1:]
}

func write(out io.Writer, object document) int {
	line, _ := encode(object) // every value is already encoded
	if _, err := out.Write(append(line, '\n')); err != nil || string(object["failed"]) == "true" {
		return 1
	}
	return 0
}

// fault is an error of this package. Its text is a sentence for the operator and contains no secret.
type fault struct{ code, text string }

func (f fault) Error() string     { return f.text }
func (f fault) ErrorCode() string { return f.code }

func internal(text string) error { return fault{"internal", text} }

// refused is the error for a request that cannot be parsed. Its text never quotes the file, which may contain secrets.
func refused(text string) error { return fault{"invalid_options", text} }

// document is the result; each field is encoded separately.
type document map[string]json.RawMessage

// help returns the text for a person who started the binary by hand, or "" when Ansible started it.
func help(args []string, stdout io.Writer) string {
	asked := len(args) > 1 && len(args) < 3 && (args[1] == "--help" || args[1] == "-h")
	if !asked && (len(args) > 1 || !isTerminal(stdout)) {
		return ""
	}
	path := "this"
	if len(args) > 0 {
		path = args[0]
	}
	return fmt.Sprintf(`%[1]s is an Ansible module. Ansible copies it to the target host and runs it with the path of a file
	that contains the task's options. It prints one JSON object.

In a playbook       - name: <what the task does>
                      %[1]s:
                        <option>: <value>
From a terminal     ansible localhost -M %[2]s -m %[1]s -a "<option>=<value>" --check
Its options         ansible-doc -t module -M %[2]s %[1]s
                    %[3]s --schema      the same as JSON Schema
Version, platform   %[3]s --version
Without Ansible     %[3]s options.json
                    where options.json is a JSON object. The module removes the file after reading it, because
                                        the file may contain secrets. "_ansible_keep_remote_files": true keeps it.
                                        "_ansible_check_mode": true only shows what would be done.
`, ModuleName(path), filepath.Dir(path), path)
}

// isTerminal treats every character device except /dev/null as a terminal.
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

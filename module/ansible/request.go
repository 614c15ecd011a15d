package ansible

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

const control = "_ansible_" // what Ansible's own keys start with

// Request is what the arguments file asks for.
type Request struct {
	Module    string // _ansible_module_name, else the binary's own name; see ModuleName
	CheckMode bool
	Diff      bool

	// Params are the user's own: no control keys, no nulls (null means unset). Numbers are json.Number.
	Params map[string]any

	warnings []string
}

// read takes the arguments file and removes it, because it holds every secret in clear and outlives a killed task. It leaves
// alone what does not even begin as JSON: Ansible did not write that.
func read(args []string) (Request, error) {
	if len(args) < 2 {
		return Request{}, refused("No arguments file was given: an Ansible module takes the path of one as its argument.")
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return Request{}, unreadable(err)
	}
	defer clear(text)
	_, foreign := json.NewDecoder(bytes.NewReader(text)).Token()
	keep := foreign != nil
	request := Request{Module: ModuleName(args[0]), Params: map[string]any{}}
	given, err := parse(text)
	if err == nil {
		keep, err = request.take(given)
	}
	if keep {
		return request, err
	}
	// Where become made us another user, the file is the login's, and so is its removal: Ansible does it when the task ends.
	if gone := os.Remove(args[1]); gone != nil && !errors.Is(gone, fs.ErrNotExist) && isOurs(args[1]) {
		request.warnings = append(request.warnings, "The arguments file, which holds the task's secrets in clear, could not be removed.")
	}
	return request, err
}

func isOurs(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(owner.Uid) == os.Geteuid()
}

// unreadable does not name the path: somebody may have given the options themselves instead of a file.
func unreadable(err error) error {
	const what = "The arguments file cannot be read: "
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENAMETOOLONG):
		return refused(what + "it does not exist. The argument is the path of a file, not the options themselves.")
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return refused(what + number.Error() + ".")
	}
	return refused(what + "unknown reason.")
}

func parse(text []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var given any
	if err := decoder.Decode(&given); err != nil {
		return nil, refused("The arguments file is not JSON.")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, refused("The arguments file is not JSON: something follows the object.")
	}
	object, ok := given.(map[string]any)
	if !ok {
		return nil, refused("The arguments file is JSON, but not an object of options.")
	}
	return object, nil
}

// take sorts Ansible's keys from the user's. Unknown control keys are ignored: each ansible-core adds some.
func (r *Request) take(given map[string]any) (keep bool, err error) {
	for name, value := range given {
		switch {
		case value == nil:
		case !strings.HasPrefix(name, control):
			r.Params[name] = value
		default:
			err = errors.Join(err, r.obey(strings.TrimPrefix(name, control), value, &keep))
		}
	}
	return keep, err
}

// obey refuses a flag that cannot be read: to write where check mode may have been asked for is worse.
func (r *Request) obey(name string, value any, keep *bool) error {
	ok := true
	switch name {
	case "module_name":
		if called, ok := value.(string); ok && called != "" {
			r.Module = ModuleName(called)
		}
	case "check_mode":
		r.CheckMode, ok = Bool(value)
	case "diff":
		r.Diff, ok = Bool(value)
	case "keep_remote_files":
		*keep, ok = Bool(value)
	}
	if !ok {
		return refused(control + name + " is not a bool.")
	}
	return nil
}

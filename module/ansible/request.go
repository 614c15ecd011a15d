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

const control = "_ansible_" // prefix of Ansible's own keys

// Request is the parsed arguments file.
type Request struct {
	Module    string // _ansible_module_name, or else the name of the binary; see ModuleName
	CheckMode bool
	Diff      bool

	// Params are the options as the user gave them, without Ansible's own keys and nulls (null means unset). Numbers are json.Number.
	Params map[string]any

	warnings []string
}

// read parses the arguments file and removes it, because the file holds every secret in clear text and outlives a killed task. It
// removes only a regular file that starts as JSON: Ansible did not write any other, and the argument may be /dev/stdin.
func read(args []string) (Request, error) {
	if len(args) < 2 {
		return Request{}, refused("No arguments file was given. An Ansible module takes the path of an arguments file.")
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
	info, missing := os.Lstat(args[1])
	if keep || missing != nil || !info.Mode().IsRegular() {
		return request, err
	}
	// With become, the file belongs to the login user. Ansible then removes it when the task ends.
	if gone := os.Remove(args[1]); gone != nil && !errors.Is(gone, fs.ErrNotExist) && isOurs(info) {
		request.warnings = append(request.warnings, "The arguments file, which holds the task's secrets in clear text, could not be removed.")
	}
	return request, err
}

func isOurs(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(owner.Uid) == os.Geteuid()
}

// unreadable does not name the path: somebody may have passed the options themselves instead of a file.
func unreadable(err error) error {
	const what = "The arguments file cannot be read: "
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG) {
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
		return nil, refused("The arguments file is not JSON: there is text after the object.")
	}
	object, ok := given.(map[string]any)
	if !ok {
		return nil, refused("The arguments file is JSON, but not an object of options.")
	}
	return object, nil
}

// take separates Ansible's keys from the user's options. It ignores unknown keys of Ansible: each ansible-core release adds some. It
// refuses a flag that it cannot parse, because it must not write when check mode was meant.
func (r *Request) take(given map[string]any) (keep bool, err error) {
	for name, value := range given {
		key, isControl := strings.CutPrefix(name, control)
		called, _ := value.(string)
		ok := true
		switch {
		case value == nil:
		case !isControl:
			r.Params[name] = value
		case key == "module_name" && called != "":
			r.Module = ModuleName(called)
		case key == "check_mode":
			r.CheckMode, ok = Bool(value)
		case key == "diff":
			r.Diff, ok = Bool(value)
		case key == "keep_remote_files":
			keep, ok = Bool(value)
		}
		if !ok {
			err = errors.Join(err, refused(name+" is not a bool."))
		}
	}
	return keep, err
}

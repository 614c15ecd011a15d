package ansible

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

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

package ansible

import (
	"fmt"
	"io"
	"os"
)

// help is the text for a person who started the binary by hand; empty when Ansible did.
func help(args []string, stdout io.Writer) string {
	asked := len(args) > 1 && len(args) < 3 && (args[1] == "--help" || args[1] == "-h")
	if !asked && (len(args) > 1 || !isTerminal(stdout)) {
		return ""
	}
	name := "this"
	if len(args) > 0 {
		name = ModuleName(args[0])
	}
	return fmt.Sprintf(`%[1]s is an Ansible module: Ansible starts it with the path of a file that holds the options.

In a playbook:   - %[1]s:
                     <option>: <value>
Its options:     ansible-doc -t module %[1]s
By hand:         %[1]s options.json
                 where options.json is a JSON object. It is removed once it is read, because it may hold
                 secrets, unless it says "_ansible_keep_remote_files": true. "_ansible_check_mode": true
                 shows what would be done.
`, name)
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

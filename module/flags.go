package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/options"
)

// version is the release, a plus sign and the commit. The linker sets it (Makefile).
var version = "dev"

// flags handles --version and --schema, which a person may pass and Ansible never does. If handled, the program exits with code.
func flags(args []string, stdout io.Writer) (handled bool, code int) {
	if len(args) != 2 {
		return false, 0
	}
	name := ansible.ModuleName(args[0])
	switch args[1] {
	case "--version":
		release, commit, _ := strings.Cut(version, "+")
		if commit == "" {
			commit = "unknown"
		}
		fmt.Fprintf(stdout, "%s %s (commit %s, %s, %s/%s)\n", name, release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	case "--schema":
		schema, err := options.Schema(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return true, 1
		}
		fmt.Fprintln(stdout, string(schema))
	default:
		return false, 0
	}
	return true, 0
}

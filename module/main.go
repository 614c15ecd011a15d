// Command seqera_crypto_rotation is an Ansible module (and, under its second name, seqera_crypto_rotation_info): it
// rotates the crypto key of a Seqera Platform whose secrets are in AWS SSM Parameter Store.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/options"
)

// version is set by the linker (Makefile).
var version = "dev"

func main() {
	if len(os.Args) == 2 && (os.Args[1] == "--schema" || os.Args[1] == "--version") {
		os.Exit(tell(os.Args[1]))
	}
	// A core file would hold the keys. Where the limit cannot be set there is no other limit to respect.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// Of many records little is held for long: collect early rather than hold twice as much (make bench-records).
	debug.SetGCPercent(25)
	os.Exit(ansible.Run(context.Background(), os.Args, os.Stdout, handle))
}

func tell(what string) int {
	if what == "--version" {
		fmt.Fprintln(os.Stdout, "seqera_crypto_rotation", version)
		return 0
	}
	schema, err := options.Schema(ansible.ModuleName(os.Args[0]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, string(schema))
	return 0
}

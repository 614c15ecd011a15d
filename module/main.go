// Command seqera_crypto_rotation is an Ansible module (and, under its second name, seqera_crypto_rotation_info): it
// rotates the crypto key of a Seqera Platform whose secrets are in AWS SSM Parameter Store.
package main

import (
	"context"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
)

// version is the release and, after a plus, the commit; set by the linker (Makefile).
var version = "dev"

func main() {
	if told, code := tell(os.Args, os.Stdout); told {
		os.Exit(code)
	}
	// A core file would hold the keys. Where the limit cannot be set there is no other limit to respect.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// Of many records little is held for long: collect early rather than hold twice as much (make bench-records).
	debug.SetGCPercent(25)
	os.Exit(ansible.Run(context.Background(), os.Args, os.Stdout, handle))
}

// Command seqera_crypto_rotation is an Ansible module (and, under its second name, seqera_crypto_rotation_info): it
// rotates the crypto secret of a Seqera Platform whose secrets are in AWS SSM Parameter Store.
package main

import (
	"context"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/seqera-tools/crypto-rotation/module/ansible"
	"github.com/seqera-tools/crypto-rotation/module/control"
	"github.com/seqera-tools/crypto-rotation/module/info"
	"github.com/seqera-tools/crypto-rotation/module/secret"
	"github.com/seqera-tools/crypto-rotation/module/vm"
)

func main() { os.Exit(run(secret.Rounds)) }

// run returns the exit status. Only tests use fewer rounds for a fingerprint.
func run(rounds int) int {
	if handled, code := flags(os.Args, os.Stdout); handled {
		return code
	}
	// A core dump would contain the keys. Best effort: an error changes nothing here.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// A scan of many records keeps little of what it allocates. Collecting early halves the peak memory (make bench-records).
	debug.SetGCPercent(25)
	return ansible.Run(context.Background(), os.Args, os.Stdout, func(ctx context.Context, request ansible.Request) (any, error) {
		return handle(ctx, request, rounds)
	})
}

// handle runs the side of the module that the request asks for.
func handle(ctx context.Context, request ansible.Request, rounds int) (any, error) {
	side := control.Run
	switch {
	case request.Module == "seqera_crypto_rotation_info":
		side = info.Run
	case request.Params["state"] == "rotating":
		side = vm.Run
	}
	out, err := side(ctx, request, os.LookupEnv, version, rounds)
	return out, control.WithoutWrites(err)
}

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
	"github.com/seqera-tools/crypto-rotation/module/vm"
)

func main() {
	if told, code := flags(os.Args, os.Stdout); told {
		os.Exit(code)
	}
	// A core file would hold the keys. Where the limit cannot be set there is no other limit to respect.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	// Of many records little is held for long: collect early rather than hold twice as much (make bench-records).
	debug.SetGCPercent(25)
	os.Exit(ansible.Run(context.Background(), os.Args, os.Stdout, handle))
}

// handle chooses the side.
func handle(ctx context.Context, request ansible.Request) (any, error) {
	side := control.Run
	switch {
	case request.Module == "seqera_crypto_rotation_info":
		side = info.Run
	case request.Params["state"] == "rotating":
		side = vm.Run
	}
	out, err := side(ctx, request, os.LookupEnv, version)
	return out, control.WithoutWrites(err)
}

// Command standin is a stand-in for Seqera Platform in one static program: it keeps the documented behaviour of the services
// that a key rotation touches (migrate, cron, backend, frontend), seeds their database and counts its records. Of the product
// it may know the record format (module/sealed) and nothing else, so that it cannot share a mistake of the scan.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	role := roleOf(os.Args[1:], os.Getenv)
	logger := log.New(os.Stdout, "["+role+"] ", log.LstdFlags|log.Lmicroseconds|log.LUTC|log.Lmsgprefix)
	if err := run(ctx, role, os.Args[1:], logger); err != nil && ctx.Err() == nil {
		logger.Printf("ERROR %v", err)
		os.Exit(1) //nolint:gocritic // nothing is held by the deferred call
	}
}

// roleOf tells what this process is. Like the real images, cron and backend are one and are told apart by
// MICRONAUT_ENVIRONMENTS; the others are images of their own, whose SANDBOX_ROLE says what they are.
func roleOf(args []string, env func(string) string) string {
	if len(args) > 0 && slices.Contains([]string{"seed", "check", "listen"}, args[0]) {
		return args[0]
	}
	if role := env("SANDBOX_ROLE"); role != "" {
		return role
	}
	if hasWord(env("MICRONAUT_ENVIRONMENTS"), "cron") {
		return "cron"
	}
	return "backend"
}

func run(ctx context.Context, role string, args []string, logger *log.Logger) error {
	conf, err := configOf(ctx, role, os.Getenv)
	if err != nil {
		return err
	}
	if asked, found := waitIn(args); found && role == "backend" {
		asked.run(ctx, logger)
	}
	switch role {
	case "migrate":
		return runMigrate(ctx, conf, logger)
	case "cron":
		return runCron(ctx, conf, logger)
	case "backend":
		return runBackend(ctx, conf, logger)
	case "frontend":
		return runFrontend(ctx, conf, logger)
	case "listen":
		if host, port, found := upstreamIn("/etc/nginx/conf.d/default.conf"); found {
			return runReverseProxy(ctx, host, port, conf.Listen)
		}
		return runListen(ctx, conf.Listen, logger)
	case "seed":
		return runSeed(ctx, conf, args[1:], logger)
	case "check":
		return runCheck(ctx, conf, args[1:], os.Stdout)
	default:
		return fmt.Errorf("no role is called %q", role)
	}
}

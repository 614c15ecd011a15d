package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"
)

// runBackend starts like the real one: keys from SSM, then the database, then it listens. Until it listens nobody answers.
func runBackend(ctx context.Context, conf config, logger *log.Logger) error {
	if conf.Options.BackendExit {
		return errors.New("start failed, as SANDBOX_BACKEND_EXIT asks")
	}
	set, err := loadSettings(ctx, conf, logger)
	if err != nil {
		return err
	}
	db, err := openDatabase(ctx, conf, set, logger)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := sleep(ctx, conf.Options.BackendDelay); err != nil {
		return err
	}
	store := &store{db: db, keys: newKeyring(set.current, set.previous)}
	return serve(ctx, ":8080", routes(store, conf), logger)
}

func serve(ctx context.Context, address string, handler http.Handler, logger *log.Logger) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	logger.Printf("INFO Startup completed. Server Running on %s", address)
	select {
	case err := <-failed:
		return fmt.Errorf("listen on %s: %w", address, err)
	case <-ctx.Done():
		return server.Close()
	}
}

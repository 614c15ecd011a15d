package main

import (
	"context"
	"errors"
	"log"
)

// runBackend starts like the real one: settings, then the database. Until it is ready, it answers 503.
func runBackend(ctx context.Context, conf config, logger *log.Logger) error {
	if conf.Options.BackendExit {
		return errors.New("start failed, as SANDBOX_BACKEND_EXIT asks")
	}
	set, err := loadSettings(ctx, conf, logger)
	if err != nil {
		return err
	}
	var api door
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, conf.API, &api) }()
	db, err := openDatabase(ctx, set.database, logger)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := sleep(ctx, conf.Options.BackendDelay); err != nil {
		return err
	}
	api.open(routes(&store{db: db, keys: newKeyring(set.current, set.previous)}, conf))
	logger.Printf("INFO Startup completed. Server Running on %s", conf.API)
	return <-ended
}

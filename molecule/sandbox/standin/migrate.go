package main

import (
	"context"
	"errors"
	"log"
)

// runMigrate creates what is missing of the schema and ends.
func runMigrate(ctx context.Context, conf config, logger *log.Logger) error {
	if err := sleep(ctx, conf.Options.MigrateDelay); err != nil {
		return err
	}
	if conf.Options.MigrateFail {
		return errors.New("migration failed, as SANDBOX_MIGRATE_FAIL asks")
	}
	set := settings{dbUser: conf.DBUser, dbPass: conf.DBPassword}
	db, err := openDatabase(ctx, conf, set, logger)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := createSchema(ctx, db); err != nil {
		return err
	}
	logger.Printf("INFO schema is up to date")
	return nil
}

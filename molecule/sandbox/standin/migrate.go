package main

import (
	"context"
	"errors"
	"log"
)

// runMigrate creates what is missing of the schema and ends. It does not read SSM: the installer appends the login to tower.env.
func runMigrate(ctx context.Context, conf config, logger *log.Logger) error {
	if err := sleep(ctx, conf.Options.MigrateDelay); err != nil {
		return err
	}
	if conf.Options.MigrateFail {
		return errors.New("migration failed, as SANDBOX_MIGRATE_FAIL asks")
	}
	db, err := openDatabase(ctx, loginFrom(conf.Properties), logger)
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

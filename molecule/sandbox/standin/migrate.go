package main

import (
	"context"
	"log"
)

// runMigrate creates what is missing of the schema and ends. It does not read SSM: the installer appends the login to tower.env.
func runMigrate(ctx context.Context, conf config, logger *log.Logger) error {
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

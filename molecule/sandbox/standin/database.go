package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const connectPatience = time.Minute

// schema is the part of the Platform's schema that holds credentials, as Wave's entities show it (until December 2022).
func schema() []string {
	return []string{
		`CREATE TABLE IF NOT EXISTS tw_credentials (
			id VARCHAR(22) NOT NULL PRIMARY KEY,
			user_id BIGINT NOT NULL,
			organization_id BIGINT NULL,
			workspace_id BIGINT NULL,
			name VARCHAR(100) NOT NULL,
			provider VARCHAR(16) NOT NULL,
			deleted BIT(1) NULL,
			version BIGINT NOT NULL,
			salt VARBINARY(16) NULL,
			keys_meta TEXT NULL,
			date_created DATETIME(6) NOT NULL,
			last_updated DATETIME(6) NOT NULL)`,
		`CREATE TABLE IF NOT EXISTS tw_secret (
			id VARCHAR(50) NOT NULL PRIMARY KEY,
			secure BLOB NOT NULL,
			date_created DATETIME(6) NOT NULL,
			version BIGINT NOT NULL)`,
	}
}

// openDatabase waits until the database takes connections, at most connectPatience; a refused login does not get better by
// waiting.
func openDatabase(ctx context.Context, as login, logger *log.Logger) (*sql.DB, error) {
	dsn, err := driverConfig(as.url)
	if err != nil {
		return nil, err
	}
	dsn.User, dsn.Passwd = as.user, as.password
	dsn.Logger = log.New(io.Discard, "", 0)
	connector, err := mysql.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("TOWER_DB_URL: %w", err)
	}
	db := sql.OpenDB(connector)
	deadline := time.Now().Add(connectPatience)
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return db, nil
		}
		var refused *mysql.MySQLError
		if errors.As(err, &refused) && refused.Number == 1045 || time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("connect to the database at %s: %w", dsn.Addr, err), db.Close())
		}
		logger.Printf("INFO waiting for the database at %s", dsn.Addr)
		if err := sleep(ctx, 250*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// driverConfig reads a JDBC URL. Of its query, which belongs to another driver, useSSL=false counts: no TLS, as the installer has
// it. Otherwise the connection is encrypted where the server offers it.
func driverConfig(jdbc string) (*mysql.Config, error) {
	rest, ok := strings.CutPrefix(jdbc, "jdbc:")
	if !ok {
		return nil, errors.New("TOWER_DB_URL is not a JDBC URL (jdbc:mysql://host:3306/tower)")
	}
	u, err := url.Parse(rest)
	if err != nil || u.Host == "" {
		return nil, errors.New("TOWER_DB_URL is not of the form jdbc:mysql://host:3306/tower")
	}
	conf := mysql.NewConfig()
	conf.Net, conf.Addr, conf.DBName = "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	if u.Port() == "" {
		conf.Addr += ":3306"
	}
	conf.ParseTime, conf.TLSConfig = true, "preferred"
	if u.Query().Get("useSSL") == "false" {
		conf.TLSConfig = "false"
	}
	return conf, nil
}

func createSchema(ctx context.Context, db *sql.DB) error {
	for _, statement := range schema() {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create the schema: %w", err)
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

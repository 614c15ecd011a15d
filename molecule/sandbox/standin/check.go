package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
)

// counts is what the check command prints. Sound + unreadable are records of credentials; orphaned ones are counted apart.
type counts struct {
	Total            int   `json:"total"`
	Current          int   `json:"current"`
	Previous         int   `json:"previous"`
	Unreadable       int   `json:"unreadable"`
	OrphanedCurrent  int   `json:"orphaned_current"`
	OrphanedPrevious int   `json:"orphaned_previous"`
	OrphanedOther    int   `json:"orphaned_unreadable"`
	Credentials      int   `json:"credentials"`
	Versions         int64 `json:"versions"` // sum of tw_secret.version: how many updates there were
}

// runCheck counts records by key: current is the standalone parameter's, previous the one named (or the first key ever set).
func runCheck(ctx context.Context, conf config, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	prefix := "/config/" + conf.AppName
	newer := prefix + "/tower/crypto/secretKey"
	older := flags.String("previous-parameter", "/sandbox/"+conf.AppName+"/first-key", "SSM parameter with the other key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	client := newSSM(conf)
	currentKey, err := readParameter(ctx, client, newer)
	if err != nil {
		return err
	}
	previousKey, err := readParameter(ctx, client, *older)
	if err != nil {
		return err
	}
	if currentKey == "" {
		return fmt.Errorf("SSM parameter %s is not there", newer)
	}
	if previousKey == currentKey {
		previousKey = ""
	}
	quiet := log.New(io.Discard, "", 0)
	db, err := openDatabase(ctx, loginFrom(conf.Properties), quiet)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	salts, err := loadSalts(ctx, db)
	if err != nil {
		return err
	}
	rows, err := allSecrets(ctx, db)
	if err != nil {
		return err
	}
	found, err := count(rows, salts, newKeyring([]byte(currentKey), []byte(previousKey)))
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(found)
}

func count(rows []secretRow, salts map[string][]byte, keys keyring) (counts, error) {
	opened, err := onEveryCore(rows, func(row secretRow) (which, error) {
		salt, known := salts[row.ID]
		if !known {
			salt = orphanSalt(row.ID)
		}
		_, by, err := keys.open(salt, row.Secure)
		if errors.Is(err, errNoKey) {
			return "", nil
		}
		return by, err
	})
	found := counts{Total: len(rows), Credentials: len(salts)}
	for i, row := range rows {
		_, known := salts[row.ID]
		*found.of(known, opened[i])++
		found.Versions += row.Version
	}
	return found, err
}

func (c *counts) of(known bool, by which) *int {
	switch {
	case known && by == current:
		return &c.Current
	case known && by == previous:
		return &c.Previous
	case known:
		return &c.Unreadable
	case by == current:
		return &c.OrphanedCurrent
	case by == previous:
		return &c.OrphanedPrevious
	default:
		return &c.OrphanedOther
	}
}

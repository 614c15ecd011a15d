package main

import (
	"errors"
	"io"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

// errNoKey: none of the configured keys opens the record. A backend that was not restarted answers so for a new record.
var errNoKey = errors.New("no configured key opens this record")

// which names a key of a keyring.
type which string

const (
	current  which = "current"
	previous which = "previous"
)

// keyring is the keys one service was started with. It writes with the current one.
type keyring struct {
	current, previous []byte
}

func newKeyring(current, previous []byte) keyring {
	return keyring{current: current, previous: previous}
}

// open decrypts a record and says which key did it.
func (k keyring) open(salt, secure []byte) ([]byte, which, error) {
	for _, try := range []struct {
		name   which
		secret []byte
	}{{current, k.current}, {previous, k.previous}} {
		if len(try.secret) == 0 {
			continue
		}
		key, err := sealed.Derive(try.secret, salt)
		if err != nil {
			return nil, "", err
		}
		if plain, err := sealed.OpenObject(key, secure); err == nil {
			return plain, try.name, nil
		}
	}
	return nil, "", errNoKey
}

func (k keyring) seal(salt, plain []byte, random io.Reader) ([]byte, error) {
	key, err := sealed.Derive(k.current, salt)
	if err != nil {
		return nil, err
	}
	return sealed.Seal(key, plain, random)
}

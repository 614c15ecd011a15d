package records

import (
	"context"
	"crypto/sha256"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// class is what a record is; each is exactly one.
type class uint8

const (
	current    class = iota // opens with the current key
	previous                // opens with the previous key
	unreadable              // a credential accounts for it, and it opens with neither
	orphaned                // no credential accounts for it
)

const leanMost = 4 // records in a row that open with the other key turn the guess round

// digest is the beginning of the SHA-256 of a record's ciphertext.
type digest [12]byte

func digestOf(secure []byte) digest {
	sum := sha256.Sum256(secure)
	return digest(sum[:])
}

// classify judges a page's rows on all workers and remembers what it found, also when it was interrupted.
func (s *Scanner) classify(ctx context.Context, page []row, owners map[string]link) error {
	judged := make([]record, len(page))
	err := s.spread(ctx, len(page), func(i int) error {
		one, err := s.judge(page[i], owners)
		if err == nil {
			judged[i] = one
		}
		return err
	})
	for i, now := range judged {
		if now.scan != s.scans {
			continue // not judged any more
		}
		id := page[i].id
		if before, known := s.records[id]; known && now.key == nil {
			before.wipe()
		}
		if owner, owned := owners[id]; owned {
			id = owner.id // the same text, held once
		}
		s.records[id] = now
	}
	return err
}

// judge gives a row its class. A row that did not change since it was last judged keeps it.
func (s *Scanner) judge(one row, owners map[string]link) (record, error) {
	owner, owned := owners[one.id]
	before, known := s.records[one.id]
	now := record{version: one.version, digest: digestOf(one.secure), scan: s.scans, deleted: owner.deleted, class: orphaned}
	if !owned {
		return now, nil
	}
	known = known && before.class != orphaned
	now.key = before.key
	if known && before.version == one.version && before.digest == now.digest {
		now.class = before.class
		return now, nil
	}
	// What was rewritten is under the current key.
	order := []class{current, previous}
	if !known && s.lean.Load() < 0 {
		order = []class{previous, current}
	}
	err := s.open(&now, one.secure, []byte(owner.salt), order)
	return now, err
}

// open tries the keys in turn.
func (s *Scanner) open(r *record, secure, salt []byte, order []class) error {
	r.class = unreadable
	for _, try := range order {
		opens, err := s.opens(r, try, secure, salt)
		if err != nil {
			return err
		}
		if opens {
			r.class = try
			s.learn(try)
			return nil
		}
	}
	return nil
}

// opens says whether a record is under one of the keys. A current key is derived once a record and kept; a previous one
// is used once, because a record that is rewritten leaves it.
func (s *Scanner) opens(r *record, try class, secure, salt []byte) (bool, error) {
	if try == current {
		if r.key == nil {
			key, err := s.derive(s.keys.Current, salt)
			if err != nil {
				return false, err
			}
			r.key = key
		}
		return isUnder(r.key, secure), nil
	}
	if s.keys.Previous.IsEmpty() || s.keys.Previous.Equal(s.keys.Current) {
		return false, nil
	}
	key, err := s.derive(s.keys.Previous, salt)
	if err != nil {
		return false, err
	}
	defer clear(key[:])
	return isUnder(key, secure), nil
}

func (s *Scanner) derive(from secret.Secret, salt []byte) (*sealed.Key, error) {
	s.derived.Add(1)
	key, err := sealed.Derive([]byte(from.Reveal()), salt)
	return &key, err
}

func isUnder(key *sealed.Key, secure []byte) bool {
	plain, err := sealed.OpenObject(*key, secure)
	clear(plain)
	return err == nil
}

// learn leans towards the key that opened a record, so that the next new one is tried with it first.
func (s *Scanner) learn(found class) {
	step := int32(1)
	if found == previous {
		step = -1
	}
	// Two workers may lose a step to each other: a guess need not be exact.
	s.lean.Store(max(-leanMost, min(leanMost, s.lean.Load()+step)))
}

package records

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

const (
	saltBytes      = 16 // tw_credentials.salt VARBINARY(16)
	credentialPage = 1000
)

// link connects a credential with its record.
type link struct {
	head    // its name comes from whoIs
	record  name
	salt    [saltBytes]byte
	length  uint8 // of the salt; 0 if the link comes from a baseline and no pass has seen the credential yet
	deleted bool
}

// credential is a row of tw_credentials without a link.
type credential struct {
	who     name
	id      string
	user    int64
	salt    []byte
	deleted bool
	record  name // set once it is derived
}

// link derives the record IDs of new credentials, which takes about 13 ms each, and forgets credentials that are gone.
func (s *Scanner) link(ctx context.Context) error {
	_, err := s.credentials(ctx, s.db.pool, true)
	s.settle()
	return err
}

// credentials reads all credentials and returns the number of new ones. With derives, it links them. It skips credentials without a
// user or salt.
func (s *Scanner) credentials(ctx context.Context, connection asker, derives bool) (unlinked int, err error) {
	s.incomplete = 0
	err = s.links.each(func(after *string) (string, bool, error) {
		fresh, last, more, err := s.readCredentials(ctx, connection, after)
		unlinked += len(fresh)
		if err == nil && derives {
			err = s.derive(ctx, fresh)
		}
		return last, more, err
	})
	s.unsettled = s.unsettled || s.links.index == nil // rows were dropped
	return unlinked, err
}

// readCredentials reads a page of credentials and returns those without a link.
func (s *Scanner) readCredentials(ctx context.Context, connection asker, after *string) (fresh []credential, last string, more bool, err error) {
	deletion := "NULL"
	if s.db.schema.deleted {
		deletion = "deleted"
	}
	query, args := page("SELECT id, user_id, salt, "+deletion+" FROM tw_credentials", after, credentialPage)
	count := 0
	var id, salt, deleted sql.RawBytes
	var user sql.NullInt64
	err = each(ctx, connection, func(rows *sql.Rows) (bool, error) {
		if err := rows.Scan(&id, &user, &salt, &deleted); err != nil {
			return false, err
		}
		if count++; count == credentialPage {
			last = string(id)
		}
		if !user.Valid || len(salt) == 0 {
			s.incomplete++
			return false, nil
		}
		who := whoIs(id, user.Int64, salt)
		if known := s.links.see(who); known != nil {
			s.refresh(known, salt, isSet(deleted))
			return false, nil
		}
		fresh = append(fresh, credential{who: who, id: string(id), user: user.Int64, salt: bytes.Clone(salt), deleted: isSet(deleted)})
		return false, nil
	}, query, args...)
	return fresh, last, count == credentialPage, err
}

func (s *Scanner) refresh(known *link, salt []byte, deleted bool) {
	if known.deleted != deleted || known.length == 0 {
		known.deleted, s.unsettled = deleted, true
		s.keepSalt(known, salt)
	}
}

// derive computes the record IDs of credentials on all workers, and links them.
func (s *Scanner) derive(ctx context.Context, fresh []credential) error {
	err := s.onAllWorkers(ctx, len(fresh), func(i int) error {
		id, err := s.identify(sealed.Path(fresh[i].user, fresh[i].id), fresh[i].salt)
		s.derived.Add(1)
		if err == nil {
			fresh[i].record, _ = nameOf([]byte(id))
		}
		return err
	})
	for _, one := range fresh {
		if one.record == (name{}) {
			continue // interrupted; the next pass derives it
		}
		added := s.links.add(one.who)
		added.record, added.deleted, s.unsettled = one.record, one.deleted, true
		s.keepSalt(added, one.salt)
	}
	return err
}

func (s *Scanner) keepSalt(l *link, salt []byte) {
	l.length = uint8(min(len(salt), saltBytes+1))
	if copy(l.salt[:], salt) < len(salt) {
		s.longSalts[l.name] = bytes.Clone(salt) // longer than in the published schema
	}
}

func (s *Scanner) saltOf(l *link) []byte {
	if l.length > saltBytes {
		return s.longSalts[l.name]
	}
	return l.salt[:l.length]
}

// ownerOf returns the credential of a record, or nil. Call settle first.
func (s *Scanner) ownerOf(record name) *link {
	i, ok := slices.BinarySearchFunc(s.owners, record, func(at int32, record name) int {
		return bytes.Compare(s.links.rows[at].record[:], record[:])
	})
	if !ok {
		return nil
	}
	return &s.links.rows[s.owners[i]]
}

// settle matches records and credentials again after either changed.
func (s *Scanner) settle() {
	if !s.unsettled {
		return
	}
	s.owners = s.owners[:0]
	for i := range s.links.rows {
		if s.links.rows[i].length > 0 {
			s.owners = append(s.owners, int32(i))
		}
	}
	slices.SortFunc(s.owners, func(a, b int32) int {
		return bytes.Compare(s.links.rows[a].record[:], s.links.rows[b].record[:])
	})
	for i := range s.records.rows {
		one := &s.records.rows[i]
		owner := s.ownerOf(one.name)
		one.deleted = owner != nil && owner.deleted
		switch {
		case owner == nil && one.class != unseen:
			one.class = orphaned
		case owner != nil && one.class == orphaned:
			one.class, one.stale = unseen, true
		}
	}
	s.unsettled = false
}

// isSet reports whether the column deleted means deleted. It is a boolean, a bit or a time, depending on the version.
func isSet(value []byte) bool {
	return len(value) > 0 && !slices.Contains([]string{"0", "\x00", "false"}, string(value))
}

// name identifies a row in memory. For a record it is the 16 bytes of tw_secret.id or, if the ID has another form, the start of its
// SHA-256. For a credential see whoIs.
type name [16]byte

const idLength = 24 // of the base64 of 16 bytes

// nameOf returns the name for a tw_secret.id. plain says whether the ID can be restored from the name.
func nameOf(id []byte) (n name, plain bool) {
	var decoded [18]byte
	if len(id) == idLength {
		if length, err := base64.StdEncoding.Strict().Decode(decoded[:], id); err == nil && length == len(n) {
			return name(decoded[:len(n)]), true
		}
	}
	sum := sha256.Sum256(id)
	return name(sum[:]), false
}

// whoIs returns the name of a credential: a hash of ID, user and salt, which determine the ID and the key of its record.
func whoIs(id []byte, user int64, salt []byte) name {
	text := make([]byte, 0, 64)
	text = binary.BigEndian.AppendUint64(text, uint64(user))    //nolint:gosec // any bits will do
	text = binary.BigEndian.AppendUint32(text, uint32(len(id))) //nolint:gosec // any bits will do
	text = append(append(text, id...), salt...)
	sum := sha256.Sum256(text)
	var n name
	copy(n[:whoBytes], sum[:]) // a baseline stores only this many bytes
	return n
}

// id returns the tw_secret.id for a name.
func (s *Scanner) id(n name) string {
	if text, ok := s.odd[n]; ok {
		return text
	}
	return base64.StdEncoding.EncodeToString(n[:])
}

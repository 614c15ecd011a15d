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

// link is what a credential says of its record.
type link struct {
	head    // named by whoIs
	record  name
	salt    [saltBytes]byte
	length  uint8 // of the salt; 0 of one that a baseline tells of and no pass has seen
	deleted bool
}

// credential is a row of tw_credentials that no link is known for.
type credential struct {
	who     name
	id      string
	user    int64
	salt    []byte
	deleted bool
	record  name // once it is derived
}

// link derives what the records of new credentials are called, some 13 ms each, and forgets credentials that are gone.
func (s *Scanner) link(ctx context.Context) error {
	_, err := s.credentials(ctx, s.db.pool, true)
	s.settle()
	return err
}

// credentials reads all credentials and counts those without a link; where it derives, none. Without user or salt one is skipped.
func (s *Scanner) credentials(ctx context.Context, connection asker, derives bool) (unlinked int, err error) {
	s.links.begin()
	s.strangers = 0
	var after *string
	for {
		fresh, last, more, err := s.readCredentials(ctx, connection, after)
		if err != nil {
			return 0, err
		}
		if derives {
			if err := s.derive(ctx, fresh); err != nil {
				return 0, err
			}
		} else {
			unlinked += len(fresh)
		}
		if !more {
			break
		}
		after = &last
	}
	if s.links.sweep() > 0 {
		s.unsettled = true
	}
	return unlinked, nil
}

// readCredentials reads a page and gives those without a link.
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
			s.strangers++
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

// derive computes what the records of credentials are called, on all workers, and links them.
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
			continue // interrupted: the next pass derives it
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
		s.longSalts[l.name] = bytes.Clone(salt) // of a schema that is not published
	}
}

func (s *Scanner) saltOf(l *link) []byte {
	if l.length > saltBytes {
		return s.longSalts[l.name]
	}
	return l.salt[:l.length]
}

// ownerOf gives the credential that accounts for a record; nil for one that none does. It needs settle.
func (s *Scanner) ownerOf(record name) *link {
	i, ok := slices.BinarySearchFunc(s.owners, record, func(at int32, record name) int {
		return bytes.Compare(s.links.rows[at].record[:], record[:])
	})
	if !ok {
		return nil
	}
	return &s.links.rows[s.owners[i]]
}

// settle tells records and credentials apart that belong together and that do not, after either changed.
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

// isSet says whether the column deleted means deleted: a boolean, a bit or a time, depending on the version.
func isSet(value []byte) bool {
	return len(value) > 0 && !slices.Contains([]string{"0", "\x00", "false"}, string(value))
}

// name is a row in memory: of a record the 16 bytes of tw_secret.id, or the beginning of an odd id's SHA-256.
type name [16]byte

const idLength = 24 // of the base64 of 16 bytes

// nameOf gives the name of tw_secret.id, and whether the id can be made from it again.
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

// whoIs gives the name of a credential as far as its record's id and key hang on it: its id, its user and its salt.
func whoIs(id []byte, user int64, salt []byte) name {
	text := make([]byte, 0, 64)
	text = binary.BigEndian.AppendUint64(text, uint64(user))    //nolint:gosec // any bits will do
	text = binary.BigEndian.AppendUint32(text, uint32(len(id))) //nolint:gosec // any bits will do
	text = append(append(text, id...), salt...)
	sum := sha256.Sum256(text)
	var n name
	copy(n[:whoBytes], sum[:]) // a baseline keeps no more of it
	return n
}

// id gives tw_secret.id back.
func (s *Scanner) id(n name) string {
	if text, ok := s.odd[n]; ok {
		return text
	}
	return base64.StdEncoding.EncodeToString(n[:])
}

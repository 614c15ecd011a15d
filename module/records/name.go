package records

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// name is what a row is called in memory: of a record the 16 bytes that tw_secret.id is the base64 of, or, where an id is of
// another form, the beginning of its SHA-256.
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

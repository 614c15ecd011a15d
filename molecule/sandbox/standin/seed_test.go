package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

const vectorsFile = "../../../module/sealed/testdata/lib-crypto.json"

func testKeys() keyring { return newKeyring([]byte("anInventedKeyOfTheTests0123456789abcdefg"), nil) }

func TestTheSamePlanAndKeyGiveTheSameRows(t *testing.T) {
	plan := seedPlan{Records: 5, Damaged: 4, Orphaned: 2, Deleted: 1, Seed: 7}
	credentials, rows, err := invent(plan, nil, testKeys())
	require.NoError(t, err)
	again, rowsAgain, err := invent(plan, nil, testKeys())
	require.NoError(t, err)
	assert.Equal(t, credentials, again)
	assert.Equal(t, rows, rowsAgain)

	plan.Seed = 8
	other, _, err := invent(plan, nil, testKeys())
	require.NoError(t, err)
	assert.NotEqual(t, credentials[0].ID, other[0].ID)
}

func TestAPlanIsCountedAsItWasMade(t *testing.T) {
	published, err := readVectors(vectorsFile, nil)
	require.NoError(t, err)
	require.NotEmpty(t, published)
	plan := seedPlan{Records: 6, Damaged: 4, Orphaned: 3, Deleted: 2, Seed: 1}
	credentials, rows, err := invent(plan, published, testKeys())
	require.NoError(t, err)
	salts, users, deleted := map[string][]byte{}, map[int64]bool{}, 0
	for _, c := range credentials {
		id, err := sealed.ID(sealed.Path(c.UserID, c.ID), c.Salt)
		require.NoError(t, err)
		salts[id], users[c.UserID] = c.Salt, true
		if c.Deleted {
			deleted++
		}
	}
	assert.Equal(t, plan.Deleted, deleted)
	assert.Greater(t, len(users), 3, "several users")

	sound := plan.Records + plan.Deleted + len(published)
	want := counts{Total: sound + 4 + 3, Current: sound, Unreadable: 4, OrphanedCurrent: 3, Credentials: sound + 4}
	found, err := count(rows, salts, testKeys())
	require.NoError(t, err)
	assert.Equal(t, want, found)

	later := newKeyring([]byte("theNextInventedKey0123456789abcdefghijkl"), testKeys().current)
	want.Current, want.OrphanedCurrent, want.Previous, want.OrphanedPrevious = 0, 0, sound, 3
	found, err = count(rows, salts, later)
	require.NoError(t, err)
	assert.Equal(t, want, found)
}

func TestAPublishedRecordWithAnotherIDIsRefused(t *testing.T) {
	published, err := readVectors(vectorsFile, nil)
	require.NoError(t, err)
	published[0].secretID = "another"
	_, _, err = invent(seedPlan{}, published[:1], testKeys())
	assert.ErrorContains(t, err, "not another")
}

func TestPublishedRecordsAreReadFromAFileOrStandardInput(t *testing.T) {
	none, err := readVectors("", nil)
	require.NoError(t, err)
	assert.Empty(t, none)

	fromFile, err := readVectors(vectorsFile, nil)
	require.NoError(t, err)
	text, err := os.ReadFile(vectorsFile)
	require.NoError(t, err)
	fromInput, err := readVectors("-", strings.NewReader(string(text)))
	require.NoError(t, err)
	assert.Equal(t, fromFile, fromInput)
	for _, p := range fromFile {
		assert.True(t, sealed.IsObject(p.plain), p.ID)
	}

	_, err = readVectors("-", strings.NewReader("{"))
	assert.Error(t, err)
}

func TestNoDamagedRecordOpensWhateverTheKindOfDamage(t *testing.T) {
	salt := orphanSalt("any")
	secure, err := testKeys().seal(salt, []byte(`{"a":"b"}`), randomReader{randomOf(1, "iv")})
	require.NoError(t, err)
	key, err := sealed.Derive(testKeys().current, salt)
	require.NoError(t, err)
	wrong := []error{sealed.ErrTruncated, sealed.ErrTruncated, sealed.ErrNotObject, nil}
	for kind, want := range wrong {
		_, err := sealed.OpenObject(key, damage(secure, kind))
		require.Error(t, err, "kind %d", kind)
		if want != nil {
			assert.ErrorIs(t, err, want, "kind %d", kind)
		}
	}
	_, err = sealed.OpenObject(key, secure)
	assert.NoError(t, err, "damage must work on a copy")
}

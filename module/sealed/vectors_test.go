package sealed_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

type vector struct {
	SecretKey  string `json:"secretKeyBase64"`
	Plain      string `json:"plainBase64"`
	UserID     int64  `json:"userId"`
	Credential string `json:"credentialsId"`
	Path       string `json:"path"`
	Salt       string `json:"saltHex"`
	SecretID   string `json:"secretId"`
	Secure     string `json:"secureHex"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/lib-crypto.json")
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all, 25)
	return all
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return b
}

func TestEveryRecordOfThePublishedLibraryOpensAndIsNamedAsThere(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Credential, func(t *testing.T) {
			t.Parallel()
			salt, plain := unhex(t, v.Salt), unbase64(t, v.Plain)
			assert.Equal(t, v.Path, sealed.Path(v.UserID, v.Credential))
			id, err := sealed.ID(v.Path, salt)
			require.NoError(t, err)
			assert.Equal(t, v.SecretID, id)

			key, err := sealed.Derive(unbase64(t, v.SecretKey), salt)
			require.NoError(t, err)
			opened, err := sealed.Open(key, unhex(t, v.Secure))
			require.NoError(t, err)
			assert.Equal(t, plain, opened)

			_, err = sealed.OpenObject(key, unhex(t, v.Secure))
			if plain := string(plain); plain == "" || plain[0] != '{' {
				assert.ErrorIs(t, err, sealed.ErrNotObject)
			} else {
				assert.NoError(t, err)
			}

			again, err := sealed.Seal(key, plain, rand.Reader)
			require.NoError(t, err)
			assert.Len(t, again, len(unhex(t, v.Secure)))
			opened, err = sealed.Open(key, again)
			require.NoError(t, err)
			assert.Equal(t, plain, opened)
		})
	}
}

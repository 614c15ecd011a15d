package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/seqera-tools/crypto-rotation/module/sealed"
)

// published is a credential of the published library's records, and the id that the library gave its secret.
type published struct {
	credential
	secretID string
}

// readVectors reads module/sealed/testdata/lib-crypto.json and keeps what a Platform could hold: plaintexts that are JSON
// objects. No name means no records.
func readVectors(name string, stdin io.Reader) ([]published, error) {
	if name == "" {
		return nil, nil
	}
	if name != "-" {
		file, err := os.Open(name) //nolint:gosec // the caller's own file
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		stdin = file
	}
	var all []struct {
		Plain        []byte `json:"plainBase64"`
		UserID       int64  `json:"userId"`
		CredentialID string `json:"credentialsId"`
		Salt         string `json:"saltHex"`
		SecretID     string `json:"secretId"`
	}
	if err := json.NewDecoder(stdin).Decode(&all); err != nil {
		return nil, fmt.Errorf("records of the published library: %w", err)
	}
	var out []published
	for _, v := range all {
		salt, err := hex.DecodeString(v.Salt)
		if err != nil {
			return nil, fmt.Errorf("salt of %s: %w", v.CredentialID, err)
		}
		if !sealed.IsObject(v.Plain) {
			continue
		}
		c := credential{
			ID: v.CredentialID, UserID: v.UserID, Salt: salt, Provider: "published", plain: v.Plain,
			Name: "published-" + base64.RawURLEncoding.EncodeToString(salt[:6]),
		}
		out = append(out, published{credential: c, secretID: v.SecretID})
	}
	return out, nil
}

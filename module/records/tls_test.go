package records

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/internal/dbserver"
)

// authority signs certificates into files.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{dir: t.TempDir()}
	a.key, a.cert = a.sign(t, name, time.Now().Add(time.Hour))
	return a
}

func (a authority) file(name string) string { return filepath.Join(a.dir, name) }

// sign makes name.pem and name.key; the first one signs itself.
func (a authority) sign(t *testing.T, name string, until time.Time) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(a.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return key, certificate
}

func TestEncryptedConnectionsAreVerifiedAsFarAsIsAsked(t *testing.T) {
	for _, kind := range kinds() {
		t.Run(string(kind), func(t *testing.T) { testTLS(t, kind) })
	}
}

func (a authority) arguments() []string {
	return []string{"--ssl-cert=" + a.file("server.pem"), "--ssl-key=" + a.file("server.key")}
}

func testTLS(t *testing.T, kind dbserver.Kind) {
	t.Helper()
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	ours.sign(t, "server", time.Now().Add(time.Hour))
	require.NoError(t, os.WriteFile(ours.file("empty.pem"), []byte("nothing"), 0o600))
	s := dbserver.Start(t, kind, append(ours.arguments(), "--require-secure-transport=ON")...)
	s.Schema(t, "tower")
	for name, test := range map[string]struct {
		tls, file string
		code      fault.Code
		says      string
	}{
		"required":                            {"required", "", "", ""},
		"preferred":                           {"preferred", "", "", ""},
		"disabled":                            {"disabled", "", fault.CodeDatabaseLoginRefused, "refused user"},
		"verify-ca, signed by it":             {"verify-ca", ours.file("ours.pem"), "", ""},
		"verify-ca, signed by another":        {"verify-ca", other.file("other.pem"), fault.CodeDatabaseUnavailable, "is not signed by an authority in ca_file"},
		"verify-ca, by the system's list":     {"verify-ca", "", fault.CodeDatabaseUnavailable, "is not signed by an authority in ca_file"},
		"verify-ca, a file that is not there": {"verify-ca", ours.file("none.pem"), fault.CodeInvalidOptions, "cannot be read: no such file"},
		"verify-ca, a file without any":       {"verify-ca", ours.file("empty.pem"), fault.CodeInvalidOptions, "it contains no certificate"},
		"a file that is not used":             {"required", ours.file("ours.pem"), fault.CodeInvalidOptions, "only with tls: verify-ca"},
	} {
		t.Run(name, func(t *testing.T) {
			where := s.Reader("tower")
			where.TLS, where.CAFile = test.tls, test.file
			db, err := Open(t.Context(), where)
			if test.code != "" {
				assert.Equal(t, test.code, faultOf(t, err).Code)
				assert.ErrorContains(t, err, test.says)
				return
			}
			require.NoError(t, err)
			defer func() { assert.NoError(t, db.Close()) }()
			var cipher string
			require.NoError(t, db.pool.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'").Scan(new(string), &cipher))
			assert.NotEmpty(t, cipher, "not encrypted")
		})
	}
}

func TestAnExpiredCertificateIsNamed(t *testing.T) {
	ours := newAuthority(t, "ours")
	ours.sign(t, "server", time.Now().Add(-time.Hour))
	s := dbserver.Start(t, dbserver.MariaDB, ours.arguments()...)
	s.Schema(t, "tower")
	where := s.Reader("tower")
	where.TLS, where.CAFile = "verify-ca", ours.file("ours.pem")
	_, err := Open(t.Context(), where)
	assert.ErrorContains(t, err, "has expired")
}

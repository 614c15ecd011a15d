package records

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"

	"github.com/go-sql-driver/mysql"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// encrypt says how the connection is encrypted. Its error is a fault, about ca_file.
func encrypt(settings *mysql.Config, where proof.Database) error {
	if where.CAFile != "" && where.TLS != "verify-ca" {
		return caFault(where.CAFile, "it is used with tls: verify-ca alone, and tls is "+where.TLS)
	}
	switch where.TLS {
	case "verify-ca":
		roots, err := authorities(where.CAFile)
		if err != nil {
			return err
		}
		settings.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: signedBy(roots), MinVersion: tls.VersionTLS12} //nolint:gosec // VerifyConnection does it
	case "required":
		settings.TLS = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // encrypted, whoever it is: what required means
	case "disabled":
		settings.TLSConfig = "false"
	default:
		settings.TLSConfig = "preferred"
	}
	return nil
}

// signedBy is MySQL's VERIFY_CA: the chain counts, the name does not. A container's address is in no certificate.
func signedBy(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, certificate := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

// authorities reads a PEM file; nil, which means the system's, where none is named.
func authorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // x509's own meaning of no pool
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own
	if err != nil {
		return nil, caFault(path, "it cannot be read: "+reason(err))
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, caFault(path, "there is no certificate in it")
	}
	return roots, nil
}

func caFault(path, why string) *fault.Fault {
	return fault.New(fault.CodeInvalidOptions, "Name a PEM file on the VM with the certificate authorities of the database, together with tls: verify-ca.",
		"The option database.ca_file (%s) is of no use: %s.", path, why)
}

// distrusted says why a certificate was not taken, or nothing.
func distrusted(err error) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "has expired, or is not valid yet"
	case errors.As(err, &invalid):
		return "is not valid: " + invalid.Error()
	case errors.As(err, &unknown):
		return "is signed by nobody in ca_file (or, without it, in this machine's list)"
	}
	return ""
}

package parameters

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// What stands between this machine and AWS.

// A profile whose role requires an MFA code, which nobody can enter.
func TestOpen_mfa(t *testing.T) {
	nowhere(t, "http://127.0.0.1:1")
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte(`[profile ops]
region = eu-west-1
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile base]
aws_access_key_id = a
aws_secret_access_key = b
`), 0o600))
	t.Setenv("AWS_CONFIG_FILE", file)
	_, err := Open(t.Context(), Config{Profile: "ops", ValidateCerts: true})
	var told *fault.Fault
	require.ErrorAs(t, err, &told)
	assert.Equal(t, fault.CodeAWSCredentials, told.Code)
	assert.ErrorContains(t, err, "requires an MFA code (mfa_serial)")
	assert.ErrorContains(t, err, "aws sts get-session-token")
}

// A firewall that drops a first packet of more than 1400 bytes: docs/errors.md (aws_error) says which variable makes it smaller.
func TestOpen_firstPacket(t *testing.T) {
	first := func() int {
		t.Helper()
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = listener.Close() }()
		size := make(chan int, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel() // one packet is enough
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = connection.Close() }()
			hello := make([]byte, 5)
			if _, err := io.ReadFull(connection, hello); err == nil {
				size <- int(hello[3])<<8 + int(hello[4]) // the length of a TLS record
			}
		}()
		store, err := Open(t.Context(), Config{Region: "us-east-1", AccessKey: secret.New("a"), SecretKey: secret.New("b"), EndpointURL: "https://" + listener.Addr().String(), ValidateCerts: true})
		require.NoError(t, err)
		_, err = store.Read(ctx, "/x")
		require.Error(t, err)
		return <-size
	}
	assert.Greater(t, first(), 1400, "if this is small without it, the page need not name a variable")
	for _, lost := range []error{errors.New("connection reset"), context.DeadlineExceeded} {
		assert.ErrorContains(t, asFault(lost, "GetParameters", "/x"), "docs/errors.md (aws_error)")
	}
	t.Setenv("GODEBUG", "tlsmlkem=0")
	assert.Less(t, first(), 1400)
}

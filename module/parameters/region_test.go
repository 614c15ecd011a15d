package parameters

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

func region(t *testing.T, store *Store) string {
	t.Helper()
	client, ok := store.ssm.(*ssm.Client)
	require.True(t, ok)
	return client.Options().Region
}

// instance is a metadata service of the second version: nothing without its token.
func instance(t *testing.T) (url string, asked *int) {
	t.Helper()
	asked = new(int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked++
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
			_, _ = w.Write([]byte("t"))
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "t":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/dynamic/instance-identity/document":
			_, _ = w.Write([]byte(`{"region": "eu-north-1"}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// nowhere is an environment that names no region and no credentials, with a metadata service.
func nowhere(t *testing.T, metadata string) {
	t.Helper()
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:9")
}

func TestTheRegionIsTheInstancesWhereNothingElseNamesOne(t *testing.T) {
	metadata, asked := instance(t)
	nowhere(t, metadata)
	store, err := Open(t.Context(), Config{ValidateCerts: true})
	require.NoError(t, err)
	assert.Equal(t, "eu-north-1", region(t, store))
	assert.NotZero(t, *asked)

	*asked = 0
	t.Setenv("AWS_REGION", "us-east-2")
	store, err = Open(t.Context(), Config{ValidateCerts: true})
	require.NoError(t, err)
	assert.Equal(t, "us-east-2", region(t, store))
	assert.Zero(t, *asked, "nobody asks what is known")
}

func TestWithoutAnInstanceTheMissingRegionIsSaidSoon(t *testing.T) {
	nowhere(t, "http://127.0.0.1:1")
	began := time.Now()
	_, err := Open(t.Context(), Config{ValidateCerts: true})
	var f *fault.Fault
	require.ErrorAs(t, err, &f)
	assert.Equal(t, fault.CodeAWSCredentials, f.Code)
	assert.ErrorContains(t, err, "The AWS region is not known")
	assert.Less(t, time.Since(began), metadataTimeout+time.Second)
}

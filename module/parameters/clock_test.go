package parameters

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func TestReadPlatform_clock(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Minute, -3 * time.Hour} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = w.Write([]byte(`{"Parameters": []}`))
		}))
		t.Cleanup(server.Close)
		store, err := Open(t.Context(), Config{Region: "us-east-1", AccessKey: secret.New("testing"), SecretKey: secret.New("testing"), EndpointURL: server.URL, ValidateCerts: true})
		require.NoError(t, err)
		found, _, err := store.ReadPlatform(t.Context(), rotation.Names{Names: proof.Names{Current: "/a"}})
		require.NoError(t, err)
		assert.InDelta(t, ahead.Seconds(), found.Ahead.Seconds(), 1.5)
	}
}

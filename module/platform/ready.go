package platform

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// Ready asks the health URL once. 200 is ready, and 301 to https too, as the installer's reverse proxy answers; other
// redirects are not followed and mean nothing. client may be nil.
func Ready(ctx context.Context, client *http.Client, url string, now func() time.Time) rotation.Readiness {
	if client == nil {
		client = &http.Client{}
	}
	asking := *client
	asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	result := rotation.Readiness{URL: url, At: now()}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		result.Detail = "the URL is not understood"
		return result
	}
	answer, err := asking.Do(request)
	result.At = now()
	if err != nil {
		result.Detail = "no answer"
		return result
	}
	_ = answer.Body.Close()
	result.Status = answer.StatusCode
	result.Detail = fmt.Sprintf("status %d", answer.StatusCode)
	result.Ready = answer.StatusCode == http.StatusOK ||
		(answer.StatusCode == http.StatusMovedPermanently && strings.HasPrefix(answer.Header.Get("Location"), "https://"))
	return result
}

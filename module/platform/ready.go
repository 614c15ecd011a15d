package platform

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

const readyTimeout = 5 * time.Second

// Ready asks the health URL once, for 5 seconds at most. 200 is ready, and 301 to https too, as the installer's reverse
// proxy answers; redirects are not followed. client may be nil: then no proxy is asked and no connection stays open.
func Ready(ctx context.Context, client *http.Client, address string, now func() time.Time) rotation.Readiness {
	asking := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if client != nil {
		asking = *client
	}
	asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	result := rotation.Readiness{At: now()}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		result.Detail = "the URL is not understood; it must begin with http:// or https://"
		return result
	}
	result.URL = parsed.Redacted()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		result.Detail = "the URL is not understood"
		return result
	}
	answer, err := asking.Do(request)
	result.At = now()
	if err != nil {
		result.Detail = unanswered(err)
		return result
	}
	_ = answer.Body.Close()
	result.Status = answer.StatusCode
	result.Ready, result.Detail = judge(answer.StatusCode, answer.Header.Get("Location"))
	return result
}

func judge(status int, location string) (ready bool, detail string) {
	toHTTPS := len(location) > 8 && strings.EqualFold(location[:8], "https://")
	switch {
	case status == http.StatusOK:
		return true, "status 200"
	case status == http.StatusMovedPermanently && toHTTPS:
		return true, "status 301 to https"
	case status >= 300 && status < 400:
		return false, fmt.Sprintf("status %d, a redirect that is not the one to https", status)
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return false, fmt.Sprintf("status %d: the frontend answers, the backend does not yet", status)
	}
	return false, fmt.Sprintf("status %d", status)
}

func unanswered(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", readyTimeout)
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "no answer: the connection was refused, nothing listens there yet"
	case errors.As(err, &dns):
		return "no answer: this machine does not know the host"
	case errors.As(err, &certificate):
		return "its certificate is not trusted by this machine"
	}
	return "no answer: the connection broke"
}

package platform

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

const readyTimeout = 5 * time.Second

// Ready requests the health URL once, with a timeout of 5 seconds. Status 200 means ready, and so does a 301 to https, which the
// installer's reverse proxy returns. It follows no redirect, uses no proxy and closes the connection.
func Ready(ctx context.Context, address string, now func() time.Time) proof.Readiness {
	return ask(ctx, address, now, judge)
}

// Healthy is like Ready, for the health URL of a backend: only status 200 means healthy.
func Healthy(ctx context.Context, address string, now func() time.Time) proof.Readiness {
	return ask(ctx, address, now, func(status int, _ string) (bool, string) {
		return status == http.StatusOK, fmt.Sprintf("status %d", status)
	})
}

// maxResponse is how many bytes of a response are read; service-info has a few kilobytes.
const maxResponse = 1 << 20

func ask(ctx context.Context, address string, now func() time.Time, judge func(status int, location string) (bool, string)) (result proof.Readiness) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	result.At = now()
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		result.Detail = "the URL cannot be parsed; it must start with http:// or https://"
		return result
	}
	result.URL = parsed.Redacted()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		result.Detail = "the URL cannot be parsed"
		return result
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	result.At = now()
	if err != nil {
		result.Detail = unanswered(err)
		return result
	}
	defer func() { _ = response.Body.Close() }()
	var said struct {
		ServiceInfo struct {
			Version string `json:"version"`
		} `json:"serviceInfo"`
	}
	if json.NewDecoder(io.LimitReader(response.Body, maxResponse)).Decode(&said) == nil {
		result.Version = said.ServiceInfo.Version
	}
	result.Status = response.StatusCode
	result.Ready, result.Detail = judge(response.StatusCode, response.Header.Get("Location"))
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
		return false, fmt.Sprintf("status %d, a redirect that is not the 301 to https", status)
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return false, fmt.Sprintf("status %d: the frontend answers, but the backend does not yet", status)
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
		return "no answer: this machine cannot resolve the host name"
	case errors.As(err, &certificate):
		return "its certificate is not trusted by this machine"
	}
	return "no answer: the connection broke"
}

package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// dialPatience covers the look-up of a backend that is not there, which an Engine without a way out cannot answer quickly.
const dialPatience = 2 * time.Second

// runFrontend passes everything on to the backend; where that does not answer, 502, as nginx does.
func runFrontend(ctx context.Context, conf config, logger *log.Logger) error {
	upstream, err := url.Parse(conf.Upstream)
	if err != nil {
		return fmt.Errorf("SANDBOX_UPSTREAM: %w", err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: dialPatience}).DialContext},
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		},
	}
	return serve(ctx, ":8000", proxy, logger)
}

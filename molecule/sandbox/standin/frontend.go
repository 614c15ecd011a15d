package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"time"
)

const (
	dialPatience = 2 * time.Second
	// lookPatience covers an Engine without a way out, which cannot answer quickly for a name that is not there.
	lookPatience = 5 * time.Second
)

// runFrontend passes everything on to the backend. Like nginx, it looks the backend's name up once, at its start, and ends where
// the name is unknown.
func runFrontend(ctx context.Context, conf config, logger *log.Logger) error {
	proxy, err := proxyTo(ctx, conf.UpstreamHost, conf.UpstreamPort, net.DefaultResolver.LookupHost)
	if err != nil {
		return err
	}
	logger.Printf("INFO start worker processes")
	go func() { // the documentation's port; it is free in a container alone
		if err := serve(ctx, ":80", proxy); err != nil {
			logger.Printf("WARN %v", err)
		}
	}()
	return serve(ctx, ":8000", proxy)
}

// upstreamIn is the server that nginx's configuration names first.
func upstreamIn(file string) (host, port string, found bool) {
	text, _ := os.ReadFile(file) //nolint:gosec // a fixed path
	named := regexp.MustCompile(`(?m)^\s*server\s+([\w.-]+):(\d+);`).FindSubmatch(text)
	if named == nil {
		return "", "", false
	}
	return string(named[1]), string(named[2]), true
}

// runReverseProxy is the installer's nginx before the frontend, without its TLS.
func runReverseProxy(ctx context.Context, host, port string, listen []string) error {
	proxy, err := proxyTo(ctx, host, port, net.DefaultResolver.LookupHost)
	if err != nil {
		return err
	}
	failed := make(chan error, len(listen))
	for _, own := range listen {
		go func() { failed <- serve(ctx, ":"+own, proxy) }()
	}
	return <-failed
}

// proxyTo is a proxy to the addresses that the host has now. Where none of them answers: 502.
func proxyTo(ctx context.Context, host, port string, look func(context.Context, string) ([]string, error)) (http.Handler, error) {
	upstream := net.JoinHostPort(host, port)
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	addresses, err := look(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("host not found in upstream %q: %w", upstream, err)
	}
	dialer := net.Dialer{Timeout: dialPatience}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var failures []error
		for _, address := range addresses {
			connection, err := dialer.DialContext(ctx, network, net.JoinHostPort(address, port))
			if err == nil {
				return connection, nil
			}
			failures = append(failures, err)
		}
		return nil, errors.Join(failures...)
	}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: dial},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: upstream})
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "502 Bad Gateway", http.StatusBadGateway)
		},
	}, nil
}

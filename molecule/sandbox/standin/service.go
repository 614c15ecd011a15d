package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// door answers everything with 503 until the service behind it is ready.
type door struct {
	inside atomic.Pointer[http.ServeMux]
}

func (d *door) open(inside *http.ServeMux) { d.inside.Store(inside) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if inside := d.inside.Load(); inside != nil {
		inside.ServeHTTP(w, r)
		return
	}
	answer(w, http.StatusServiceUnavailable, map[string]any{"status": "DOWN"})
}

func addHealth(mux *http.ServeMux, up bool) *http.ServeMux {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if up {
			answer(w, http.StatusOK, map[string]any{"status": "UP"})
			return
		}
		answer(w, http.StatusServiceUnavailable, map[string]any{"status": "DOWN"})
	})
	return mux
}

func serve(ctx context.Context, address string, handler http.Handler) error {
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return fmt.Errorf("listen on %s: %w", address, err)
	case <-ctx.Done():
		return server.Close()
	}
}

// runListen takes connections and says nothing: for services that only have to run, whatever their command says.
func runListen(ctx context.Context, ports []string, logger *log.Logger) error {
	for _, port := range ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+port)
		if err != nil {
			return err
		}
		defer func() { _ = listener.Close() }()
		go acceptAll(listener)
		logger.Printf("INFO listening on %s", listener.Addr())
	}
	<-ctx.Done()
	return nil
}

func acceptAll(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { // until the other side ends it
			_, _ = connection.Read(make([]byte, 1))
			_ = connection.Close()
		}()
	}
}

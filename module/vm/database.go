package vm

import (
	"context"
	"errors"
	"time"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/platform"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
)

// answering waits until the database takes the login and answers a query, for ready_timeout seconds at most. Docker Compose
// would wait for a health check, whose first one comes 30 s after the start.
func (v *VM) answering(ctx context.Context) error {
	var backend preflight.Service
	if v.about.Options.Database == nil {
		var err error
		if backend, err = v.backend(ctx); err != nil {
			return err
		}
	}
	patience := time.Duration(v.about.Compose.ReadyTimeout) * time.Second
	deadline := v.about.Now().Add(patience)
	for {
		err := v.ask(ctx, backend)
		var f *fault.Fault
		if !errors.As(err, &f) || f.Code != fault.CodeDatabaseUnavailable {
			return err
		}
		if !v.about.Now().Before(deadline) {
			return fault.New(f.Code, f.Next, "The database does not answer after %s (ready_timeout). %s", patience, f.What).From(err)
		}
		select {
		case <-ctx.Done():
			return interrupted()
		case <-time.After(often):
		}
	}
}

// ask connects and reads the schema.
func (v *VM) ask(ctx context.Context, backend preflight.Service) (err error) {
	var found platform.Found
	if v.about.Options.Database == nil {
		if found, err = v.engine.Await(ctx, v.query(), backend); err != nil {
			return err
		}
	}
	return v.connectDatabase(ctx, found)
}

// backend is the first of the backends, as Docker Compose would make it.
func (v *VM) backend(ctx context.Context) (preflight.Service, error) {
	if err := v.connect(ctx); err != nil {
		return preflight.Service{}, err
	}
	composer, err := v.composer(nil, v.about.Options.ComposeProject)
	if err != nil {
		return preflight.Service{}, err
	}
	composer.Profiles = []string{"*"}
	config, err := composer.Config(ctx)
	if err != nil {
		return preflight.Service{}, err
	}
	return config.Services[v.about.Options.Services.Backends[0]], nil
}

package ansible

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"time"
)

func answer(ctx context.Context, handle Handler, request Request) (object document) {
	defer func() {
		if recover() != nil {
			object = document{}
			object.fail(crash(culprit()))
		}
		object.settle()
		object.warn(request.warnings)
	}()
	result, err := handle(ctx, request)
	object, broken := fields(result)
	if broken != nil && err == nil {
		err = broken
	}
	if err != nil {
		object.fail(interrupted(ctx, err))
	}
	return object
}

func fields(result any) (document, error) {
	object := document{}
	text, err := encode(result)
	if err == nil {
		err = json.Unmarshal(text, &object)
	}
	if err != nil {
		// Drop the encoder's error: it may quote values.
		return document{}, internal("The result could not be encoded as a JSON object.")
	}
	if object == nil { // null
		object = document{}
	}
	return object, nil
}

// settle makes changed a bool and drops an empty or malformed warnings. It also drops invocation, which would show the options,
// and results, which Ansible would take for the results of a loop.
func (d document) settle() {
	d.set("changed", string(d["changed"]) == "true")
	delete(d, "invocation")
	delete(d, "results")
	var warnings []any
	if json.Unmarshal(d["warnings"], &warnings) != nil || len(warnings) == 0 {
		delete(d, "warnings")
	}
}

func (d document) fail(err error) {
	code := "internal"
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) && coded.ErrorCode() != "" {
		code = coded.ErrorCode()
	}
	d.set("failed", true)
	d.set("msg", err.Error())
	d.set("error_code", code)
}

func (d document) warn(more []string) {
	if len(more) == 0 {
		return
	}
	var warnings []json.RawMessage
	_ = json.Unmarshal(d["warnings"], &warnings)
	for _, warning := range more {
		text, _ := encode(warning)
		warnings = append(warnings, text)
	}
	d.set("warnings", warnings)
}

func (d document) set(name string, value any) { d[name], _ = encode(value) }

// Seconds converts a duration to seconds, rounded to the millisecond, for a result.
func Seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// encode is json.Marshal without escaping <, > and &, so that people can read the result.
func encode(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// interrupted replaces a bare context error, which tells a person nothing, with a message and an error code.
func interrupted(ctx context.Context, err error) error {
	var coded interface{ ErrorCode() string }
	if ctx.Err() == nil || errors.As(err, &coded) || !errors.Is(err, context.Canceled) {
		return err
	}
	return fault{"interrupted", fmt.Sprintf("The run was interrupted: %s. Run it again.", context.Cause(ctx))}
}

// crash is the error for a panic in the handler. It omits the panic's own text, which may contain a secret.
func crash(at string) error {
	return internal("The module has a bug and stopped at " + at + ". What it changed before that stays changed. " +
		"Check the current state before you run it again, and report this line to the authors.")
}

// culprit names the function and line that panicked. Call it only from the deferred function that recovered.
func culprit() string {
	stack := make([]uintptr, 64)
	frames := runtime.CallersFrames(stack[:runtime.Callers(3, stack)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.Function != "" {
			return fmt.Sprintf("%s (%s:%d)", path.Base(frame.Function), path.Base(frame.File), frame.Line)
		}
		if !more {
			return "an unknown location"
		}
	}
}

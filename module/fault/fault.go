// Package fault is the error type of this project: a stable code, a sentence about what happened, and what to do next. It must not
// say what was written: only the code that applies a plan knows that, and adds it.
package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code is the stable word that a result returns as error_code. docs/errors.md has a heading for each.
type Code string

// The codes, in the order of docs/errors.md.
const (
	CodeInvalidOptions       Code = "invalid_options"
	CodeInvalidKey           Code = "invalid_key"
	CodeKeyUnchanged         Code = "key_unchanged"
	CodeOmnibusMissing       Code = "omnibus_missing"
	CodeOmnibusNotJSON       Code = "omnibus_not_json"
	CodeOmnibusDuplicate     Code = "omnibus_duplicate_key"
	CodeOmnibusEntryMissing  Code = "omnibus_entry_missing"
	CodeOmnibusEntryInvalid  Code = "omnibus_entry_invalid"
	CodeAppMismatch          Code = "app_mismatch"
	CodeStandaloneMissing    Code = "standalone_missing"
	CodeKeyMismatch          Code = "key_mismatch"
	CodeNotSecureString      Code = "not_secure_string"
	CodeTooLarge             Code = "too_large"
	CodeLocked               Code = "locked"
	CodeOvertaken            Code = "overtaken"
	CodeRotationOpen         Code = "rotation_open"
	CodeInconsistent         Code = "inconsistent"
	CodeEscrowConflict       Code = "escrow_conflict"
	CodeEscrowMissing        Code = "escrow_missing"
	CodeCustodyDamaged       Code = "custody_damaged"
	CodeVersionGap           Code = "version_gap"
	CodeReadBack             Code = "read_back_mismatch"
	CodeAccessDenied         Code = "access_denied"
	CodeThrottled            Code = "throttled"
	CodeAWS                  Code = "aws_error"
	CodeAWSCredentials       Code = "aws_credentials"
	CodeNotPrepared          Code = "not_prepared"
	CodeProofMissing         Code = "proof_missing"
	CodeProofMismatch        Code = "proof_mismatch"
	CodeProofIncomplete      Code = "proof_incomplete"
	CodeProofTooOld          Code = "proof_too_old"
	CodeTooLateToAbort       Code = "too_late_to_abort"
	CodeDockerUnavailable    Code = "docker_unavailable"
	CodePlatformNotFound     Code = "platform_not_found"
	CodePlatformAmbiguous    Code = "platform_ambiguous"
	CodePlatformNotReady     Code = "platform_not_ready"
	CodePlatformOrder        Code = "platform_order"
	CodePlatformDiffers      Code = "platform_differs"
	CodePlatformUnsuitable   Code = "platform_unsuitable"
	CodeComposeUnavailable   Code = "compose_unavailable"
	CodeCronFailed           Code = "cron_failed"
	CodeDatabaseUnknown      Code = "database_unknown"
	CodeDatabaseUnavailable  Code = "database_unavailable"
	CodeDatabaseLoginRefused Code = "database_login_refused"
	CodeDatabaseSchema       Code = "database_schema"
	CodeRecordsMissing       Code = "records_missing"
	CodeRecordsUnreadable    Code = "records_unreadable"
	CodeBaselineMissing      Code = "baseline_missing"
	CodeWaitTimeout          Code = "wait_timeout"
	CodeInterrupted          Code = "interrupted"
	CodeWrongArchitecture    Code = "wrong_architecture" // returned by the role's action plugin, because the module cannot start
	CodeCannotExecute        Code = "cannot_execute"     // likewise
	CodeInternal             Code = "internal"
)

// Fault is an error for the operator. Its sentences contain no secret.
type Fault struct {
	Code  Code
	What  string // what happened, to what
	Next  string // what to do now
	Cause error  // for errors.Is and errors.As; its text is shown only if What quotes it
}

// New returns a fault. next says what to do now. what says what happened; it is a format for fmt.Sprintf.
func New(code Code, next, what string, about ...any) *Fault {
	return &Fault{Code: code, What: fmt.Sprintf(what, about...), Next: next}
}

// From sets the cause and returns the fault.
func (f *Fault) From(cause error) *Fault {
	f.Cause = cause
	return f
}

// Error returns What and Next.
func (f *Fault) Error() string { return f.With("") }

// With returns What and Next, with a sentence about what was written between them.
func (f *Fault) With(written string) string {
	sentences := slices.DeleteFunc([]string{f.What, written, f.Next}, func(sentence string) bool { return sentence == "" })
	return strings.Join(sentences, " ")
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// ErrorCode returns the code. Package ansible finds the code through this method.
func (f *Fault) ErrorCode() string { return string(f.Code) }

// CodeOf returns the code of the fault in err's chain, or "" if there is none.
func CodeOf(err error) Code {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

// Is reports whether err has one of the codes.
func Is(err error, codes ...Code) bool { return slices.Contains(codes, CodeOf(err)) }

// Reason returns the last part of a file error, without the path.
func Reason(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, ": "); at >= 0 {
		return text[at+len(": "):]
	}
	return text
}

package rotation

import "strings"

// Code is the stable word that a failure carries as error_code; docs/errors.md has a heading for each.
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
	CodeWrongArchitecture    Code = "wrong_architecture" // told by the role's action plugin: there the module could not start
	CodeCannotExecute        Code = "cannot_execute"     // likewise
	CodeInternal             Code = "internal"
)

// Fault is a failure told to a tired operator. Its four parts are sentences (or empty) and hold no secret.
type Fault struct {
	Code  Code
	What  string // what happened, to what
	State string // what was and was not changed
	Next  string // what to do now
	Cause error  // for errors.Is and errors.As; its text is shown only where What quotes it
}

// Error joins the sentences.
func (f *Fault) Error() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{f.What, f.State, f.Next} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, " ")
}

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// ErrorCode gives the stable word; the protocol's room asks for it by this method alone.
func (f *Fault) ErrorCode() string { return string(f.Code) }

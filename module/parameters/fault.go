package parameters

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// withoutCredentials reports whether the SDK had no credentials to sign a call with. It has no type for that.
func withoutCredentials(err error) bool { return strings.Contains(err.Error(), "get identity: ") }

// firewall refers to a known problem: some firewalls drop the large first packet of a current TLS handshake.
const firewall = " If the aws command works and this does not, see docs/errors.md (aws_error)."

// asFault converts an SDK error. It shows the error code of the service but not its message: a ValidationException quotes values.
func asFault(err error, action string, names ...string) *fault.Fault {
	on := strings.Join(names, ", ")
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		return fault.New(fault.CodeInterrupted, "Run again: the run continues where it stopped.", "%s on %s was interrupted.", action, on).From(err)
	case errors.As(err, &api) && withoutCredentials(err):
		return roleFault(api, action, on).From(err)
	case errors.As(err, &api):
		return serviceFault(api.ErrorCode(), action, on).From(err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.CodeAWS, "Check the network, region and endpoint_url, and how busy SSM is in this account. Then run again: the run continues where it stopped."+firewall,
			"SSM did not carry out %s on %s in time.", action, on).From(err)
	case withoutCredentials(err):
		// Drop the cause: it may quote what a credential_process printed.
		return fault.New(fault.CodeAWSCredentials, "Set profile, or access_key and secret_key, or use an instance role. With SSO, log in again (aws sso login). See docs/permissions.md.",
			"No AWS credentials were found for %s.", action)
	}
	return fault.New(fault.CodeAWS, "Check the network, region and endpoint_url, and run again."+firewall, "SSM could not be reached for %s on %s.", action, on).From(err)
}

// roleFault converts the error of the service that gives credentials: STS or SSO.
func roleFault(err smithy.APIError, action, on string) *fault.Fault {
	code := err.ErrorCode()
	if strings.Contains(code, "AccessDenied") || code == "UnauthorizedException" {
		return fault.New(fault.CodeAWSCredentials, "Check assume_role_arn, or the profile's role_arn, and the role's trust policy (docs/permissions.md). With SSO, log in again (aws sso login).",
			"AWS gives no credentials for %s: %s: %s.", action, code, strings.TrimSuffix(err.ErrorMessage(), "."))
	}
	return serviceFault(code, "the request for credentials for "+action, on)
}

// serviceFault converts an error that AWS returned, by its code.
func serviceFault(code, action, on string) *fault.Fault {
	switch {
	case strings.Contains(code, "AccessDenied") || code == "UnauthorizedOperation" || code == "UnauthorizedException":
		return fault.New(fault.CodeAccessDenied, "Grant it (docs/permissions.md). A SecureString also requires kms:Decrypt on its KMS key, and kms:Encrypt or kms:GenerateDataKey to write.",
			"These credentials are not allowed to call %s on %s.", action, on)
	case throttled(code):
		return fault.New(fault.CodeThrottled, "The quota (3 puts and 40 reads per second) is shared by the whole account and region. Run again when it is less busy.",
			"AWS throttled %s on %s for minutes.", action, on)
	case strings.Contains(code, "ExpiredToken") || strings.Contains(code, "UnrecognizedClient") || code == "InvalidClientTokenId" || code == "SignatureDoesNotMatch":
		return fault.New(fault.CodeAWSCredentials, "Renew them (aws sso login, a new session token) and run again.",
			"AWS refused the credentials: %s.", code)
	case code == "InvalidSignatureException" || code == "RequestExpired" || code == "RequestTimeTooSkewed":
		return fault.New(fault.CodeAWSCredentials, "A signature is valid for minutes only. Set this machine's clock (timedatectl), check secret_key, and run again.",
			"AWS refused the signature of %s: %s.", action, code)
	}
	return fault.New(fault.CodeAWS, advice(code), "%s on %s failed: %s.", action, on, code)
}

// throttled reports whether an error code means that the call may succeed later.
func throttled(code string) bool {
	return strings.Contains(code, "Throttl") || code == "TooManyUpdates" || code == "RequestLimitExceeded" || code == "TooManyRequestsException"
}

// advice says what to do about an error that is known only by its code.
func advice(code string) string {
	switch {
	case code == "ParameterMaxVersionLimitExceeded":
		return "SSM keeps 100 versions and drops the oldest, but not a version with a label. Move the label (aws ssm label-parameter-version) and run again."
	case code == "ParameterLimitExceeded":
		return "The account has reached its limit of Standard parameters in this region. Remove some, or raise the quota, and run again."
	case strings.HasPrefix(code, "HierarchyLevelLimitExceeded"):
		return "A name has more than 15 levels: choose a shorter custody_prefix or config_prefix and run again."
	case code == "InvalidKeyId" || strings.HasPrefix(code, "KMS"):
		return "The KMS key of this parameter is disabled, deleted or unknown to the region; enable it and run again."
	}
	return "See docs/errors.md (aws_error)."
}

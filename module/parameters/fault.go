package parameters

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/seqera-tools/crypto-rotation/module/fault"
)

// firewall is where to read on when a first packet of today's TLS gets lost on its way.
const firewall = " Where the aws command works and this does not: docs/errors.md (aws_error)."

// fault tells an SDK error to the operator. Of the service's own words only those of access errors are shown: a
// ValidationException quotes the value that it does not like. What was written it does not say: only the code that applies knows.
func asFault(err error, action string, names ...string) *fault.Fault {
	on := strings.Join(names, ", ")
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		return fault.New(fault.CodeInterrupted, "Run again: it goes on from where the parameters are.", "%s on %s was interrupted.", action, on).From(err)
	case errors.As(err, &api):
		return answered(api.ErrorCode(), action, on).From(err)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.CodeAWS, "Check network, region and endpoint_url, and how busy SSM is in this account; then run again: it goes on from where the parameters are."+firewall,
			"SSM did not carry out %s on %s in time.", action, on).From(err)
	case strings.Contains(err.Error(), "credentials"):
		return fault.New(fault.CodeAWSCredentials, "Give profile, access_key and secret_key, or an instance role; see docs/permissions.md.",
			"No AWS credentials were found.").From(err)
	}
	return fault.New(fault.CodeAWS, "Check the network, region and endpoint_url, and run again."+firewall, "SSM could not be reached for %s on %s.", action, on).From(err)
}

// answered is for errors that AWS sent, by their name.
func answered(code, action, on string) *fault.Fault {
	switch {
	case strings.Contains(code, "AccessDenied") || code == "UnauthorizedOperation" || code == "UnauthorizedException":
		return fault.New(fault.CodeAccessDenied, "Grant it (docs/permissions.md); a SecureString also needs kms:Decrypt, and kms:Encrypt or kms:GenerateDataKey to write, on its KMS key.",
			"%s on %s is not allowed to these credentials.", action, on)
	case throttled(code):
		return fault.New(fault.CodeThrottled, "The quota (3 puts, 40 reads a second) is shared by the account and region: run again when it is less busy.",
			"SSM throttled %s on %s for minutes.", action, on)
	case strings.Contains(code, "ExpiredToken") || strings.Contains(code, "UnrecognizedClient") || code == "InvalidClientTokenId" || code == "SignatureDoesNotMatch":
		return fault.New(fault.CodeAWSCredentials, "Renew them (aws sso login, a new session token) and run again.",
			"AWS refused the credentials: %s.", code)
	case code == "InvalidSignatureException" || code == "RequestExpired" || code == "RequestTimeTooSkewed":
		return fault.New(fault.CodeAWSCredentials, "Signatures hold for minutes: set this machine's clock (timedatectl), check the secret key, and run again.",
			"AWS refused the signature of %s: %s.", action, code)
	}
	return fault.New(fault.CodeAWS, advice(code), "%s on %s failed: %s.", action, on, code)
}

// throttled says whether a call may be carried out once there is room for it.
func throttled(code string) bool {
	return strings.Contains(code, "Throttl") || code == "TooManyUpdates" || code == "RequestLimitExceeded" || code == "TooManyRequestsException"
}

// advice is what to do about errors that are told by their name alone.
func advice(code string) string {
	switch {
	case code == "ParameterMaxVersionLimitExceeded":
		return "SSM keeps 100 versions and drops the oldest, but not one that has a label: move that label (aws ssm label-parameter-version) and run again."
	case code == "ParameterLimitExceeded":
		return "The account holds as many Standard parameters in this region as it may: remove some, or raise the quota, and run again."
	case strings.HasPrefix(code, "HierarchyLevelLimitExceeded"):
		return "A name has more than 15 levels: choose a shorter custody_prefix or config_prefix and run again."
	case code == "InvalidKeyId" || strings.HasPrefix(code, "KMS"):
		return "The KMS key of this parameter is disabled, deleted or unknown to the region; enable it and run again."
	}
	return "See docs/errors.md (aws_error)."
}

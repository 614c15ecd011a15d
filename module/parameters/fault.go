package parameters

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// firewall is where to read on when a first packet of today's TLS gets lost on its way.
const firewall = " Where the aws command works and this does not: docs/errors.md (aws_error)."

// fault tells an SDK error to the operator. Of the service's own words only those of access errors are shown: a
// ValidationException quotes the value that it does not like. What was written it does not say: only the code that applies knows.
func fault(err error, action string, names ...string) *rotation.Fault {
	on := strings.Join(names, ", ")
	f := &rotation.Fault{Code: rotation.CodeAWS, Cause: err}
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		f.Code = rotation.CodeInterrupted
		f.What, f.Next = fmt.Sprintf("%s on %s was interrupted.", action, on), "Run again: it goes on from where the parameters are."
	case errors.As(err, &api):
		code := api.ErrorCode()
		f.What, f.Next = fmt.Sprintf("%s on %s failed: %s.", action, on, code), "See docs/errors.md (aws_error)."
		switch {
		case strings.Contains(code, "AccessDenied") || code == "UnauthorizedOperation" || code == "UnauthorizedException":
			f.Code = rotation.CodeAccessDenied
			f.What = fmt.Sprintf("%s on %s is not allowed to these credentials.", action, on)
			f.Next = "Grant it (docs/permissions.md); a SecureString also needs kms:Decrypt, and kms:Encrypt or kms:GenerateDataKey to write, on its KMS key."
		case throttled(code):
			f.Code = rotation.CodeThrottled
			f.What = fmt.Sprintf("SSM throttled %s on %s for minutes.", action, on)
			f.Next = "The quota (3 puts, 40 reads a second) is shared by the account and region: run again when it is less busy."
		case strings.Contains(code, "ExpiredToken") || strings.Contains(code, "UnrecognizedClient") || code == "InvalidClientTokenId" || code == "SignatureDoesNotMatch":
			f.Code = rotation.CodeAWSCredentials
			f.What, f.Next = fmt.Sprintf("AWS refused the credentials: %s.", code), "Renew them (aws sso login, a new session token) and run again."
		case code == "InvalidSignatureException" || code == "RequestExpired" || code == "RequestTimeTooSkewed":
			f.Code = rotation.CodeAWSCredentials
			f.What = fmt.Sprintf("AWS refused the signature of %s: %s.", action, code)
			f.Next = "Signatures hold for minutes: set this machine's clock (timedatectl), check the secret key, and run again."
		default:
			if next := advice(code); next != "" {
				f.Next = next
			}
		}
	case errors.Is(err, context.DeadlineExceeded):
		f.What, f.Next = fmt.Sprintf("SSM did not carry out %s on %s in time.", action, on), "Check network, region and endpoint_url, and how busy SSM is in this account; then run again: it goes on from where the parameters are."+firewall
	case strings.Contains(err.Error(), "credentials"):
		f.Code = rotation.CodeAWSCredentials
		f.What, f.Next = "No AWS credentials were found.", "Give profile, access_key and secret_key, or an instance role; see docs/permissions.md."
	default:
		f.What, f.Next = fmt.Sprintf("SSM could not be reached for %s on %s.", action, on), "Check the network, region and endpoint_url, and run again."+firewall
	}
	return f
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
	return ""
}

package parameters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Apply carries out one write and reads it back.
func (s *Store) Apply(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	outcome, err := s.Send(ctx, write)
	if err != nil {
		return outcome, err
	}
	return custody.Done, s.readBack(ctx, write)
}

// CreateLock creates a name that must not exist, and does not read it back.
func (s *Store) CreateLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) {
	return s.Send(ctx, &rotation.Write{Kind: rotation.Create, Name: name, Value: value, Type: "SecureString", Attributes: custody.Attributes{KeyID: keyID}})
}

// PutLock writes onto a lock that this store created, and reads it back.
func (s *Store) PutLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) {
	return s.Apply(ctx, &rotation.Write{Kind: rotation.Put, Name: name, Value: value, Type: "SecureString", Attributes: custody.Attributes{KeyID: keyID}, After: 1})
}

// Send carries out one write. A retried call whose first answer was lost is no other writer.
func (s *Store) Send(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	s.writes.Add(1)
	var err error
	action := "ssm:PutParameter"
	switch write.Kind {
	case rotation.Create, rotation.Put:
		err = s.put(ctx, write)
	case rotation.Delete:
		action = "ssm:DeleteParameters"
		err = s.remove(ctx, write)
	}
	var answered smithy.APIError
	var exists *types.ParameterAlreadyExists
	var told *fault.Fault
	switch {
	case err == nil:
		return custody.Done, nil
	case errors.As(err, &told): // carried out, onto what somebody else wrote
		return custody.Done, err
	case errors.As(err, &exists):
		return s.isOurs(ctx, write)
	case errors.As(err, &answered) && answered.ErrorFault() != smithy.FaultServer:
		return custody.NotDone, asFault(err, action, write.Targets()...)
	}
	return s.found(ctx, write), asFault(err, action, write.Targets()...)
}

// isOurs looks at a name that was to be created and exists: our own call may have been retried after its answer was lost.
func (s *Store) isOurs(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	switch err := s.readBack(ctx, write); {
	case err == nil:
		return custody.Done, nil
	case !fault.Is(err, fault.CodeReadBack):
		return custody.Unknown, err
	}
	return custody.NotDone, fault.New(fault.CodeVersionGap, "See who wrote it (aws ssm get-parameter-history), then run again.",
		"%s appeared while this run was about to create it.", write.Name)
}

// found looks once whether a call whose answer never came was carried out, also where the run was interrupted.
func (s *Store) found(ctx context.Context, write *rotation.Write) custody.Outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	seen, err := s.Read(ctx, write.Targets()...)
	if err == nil && s.asWritten(write, seen) {
		return custody.Done
	}
	return custody.Unknown
}

// put writes onto the version that was observed. Without compare-and-swap, only the new version tells of another writer.
func (s *Store) put(ctx context.Context, write *rotation.Write) error {
	after := max(write.After, s.written[write.Name])
	delete(s.written, write.Name)
	version, err := s.send(ctx, write, write.Kind == rotation.Put)
	if err != nil {
		return err
	}
	s.written[write.Name] = version
	if version == after+1 || write.Kind == rotation.Create {
		return nil
	}
	gap := &fault.Fault{Code: fault.CodeVersionGap, Next: "Compare the versions (aws ssm get-parameter-history), make sure nobody else writes there, then run again."}
	if version <= after {
		gap.What = fmt.Sprintf("%s was deleted by somebody while this run was writing it, and is there again with version %d.", write.Name, version)
		return gap
	}
	other := s.otherWriter(ctx, write, after, version)
	if other == "" {
		return nil
	}
	gap.What = fmt.Sprintf("%s was changed by %s while this run was writing it: version %d was expected, %d came back. What was written onto is in the parameter's history.", write.Name, other, after+1, version)
	return gap
}

// otherWriter names who wrote between two versions of ours; nobody, if it was our own call, retried.
func (s *Store) otherWriter(ctx context.Context, write *rotation.Write, after, ours int64) string {
	pages := ssm.NewGetParameterHistoryPaginator(s.ssm, &ssm.GetParameterHistoryInput{Name: aws.String(write.Name), WithDecryption: aws.Bool(true)})
	for pages.HasMorePages() {
		s.reads.Add(1)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "somebody (ssm:GetParameterHistory could not tell who)"
		}
		for _, version := range page.Parameters {
			if version.Version > after && version.Version < ours && aws.ToString(version.Value) != write.Value.Reveal() {
				return aws.ToString(version.LastModifiedUser)
			}
		}
	}
	return ""
}

func (s *Store) send(ctx context.Context, write *rotation.Write, overwrite bool) (int64, error) {
	input := &ssm.PutParameterInput{
		Name: aws.String(write.Name), Value: aws.String(write.Value.Reveal()), Type: types.ParameterType(write.Type), Overwrite: aws.Bool(overwrite),
	}
	if write.KeyID != "" && write.Type == string(types.ParameterTypeSecureString) {
		input.KeyId = aws.String(write.KeyID)
	}
	if write.Tier != "" {
		input.Tier = types.ParameterTier(write.Tier)
	}
	for value, field := range map[string]**string{write.Policies: &input.Policies, write.Pattern: &input.AllowedPattern, write.DataType: &input.DataType} {
		if value != "" {
			*field = aws.String(value)
		}
	}
	answer, err := s.ssm.PutParameter(ctx, input)
	if err != nil {
		return 0, err
	}
	return answer.Version, nil
}

// remove deletes names; one that is not there is as wanted.
func (s *Store) remove(ctx context.Context, write *rotation.Write) error {
	for chunk := range slices.Chunk(write.Names, batch) {
		for _, name := range chunk {
			delete(s.written, name)
		}
		if _, err := s.ssm.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// readBack sees that what was written is there, or gone. A read may show what was before: it is asked again.
func (s *Store) readBack(ctx context.Context, write *rotation.Write) error {
	for try := 0; ; try++ {
		seen, err := s.Read(ctx, write.Targets()...)
		if err != nil {
			return err
		}
		if s.asWritten(write, seen) {
			return nil
		}
		there, ours := seen[write.Name], s.written[write.Name]
		if try == 4 || ours > 0 && there.Version > ours || write.Kind == rotation.Create && there.Exists {
			return fault.New(fault.CodeReadBack, "Somebody else writes there: see aws ssm get-parameter-history, then run again.",
				"%s does not read back as it was written.", write.Name)
		}
		select {
		case <-ctx.Done():
			return asFault(ctx.Err(), "ssm:GetParameters", write.Name)
		case <-time.After(s.Pause << try):
		}
	}
}

// asWritten says whether what was seen is what the write left. Of a call whose answer was lost the version is not known.
func (s *Store) asWritten(write *rotation.Write, seen map[string]proof.Parameter) bool {
	for _, name := range write.Targets() {
		there, ours := seen[name], s.written[name]
		if write.Kind == rotation.Delete {
			if there.Exists {
				return false
			}
			continue
		}
		if !there.Exists || !there.Value.Equal(write.Value) || ours > 0 && there.Version != ours {
			return false
		}
		s.written[name] = there.Version
	}
	return true
}

// firewall is where to read on when a first packet of today's TLS gets lost on its way.
const firewall = " Where the aws command works and this does not: docs/errors.md (aws_error)."

// asFault tells an SDK error to the operator. Of the service's words only the code is shown: a ValidationException quotes values.
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

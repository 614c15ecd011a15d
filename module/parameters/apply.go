package parameters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
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

// Apply carries out one write and reads it back. Its errors are faults.
func (s *Store) Apply(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	outcome, err := s.Send(ctx, write)
	if err != nil {
		return outcome, err
	}
	return custody.Done, s.readBack(ctx, write)
}

// CreateLock creates a parameter that must not exist yet, and does not read it back.
func (s *Store) CreateLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) {
	return s.Send(ctx, &rotation.Write{Kind: rotation.Create, Name: name, Value: value, Type: "SecureString", Attributes: custody.Attributes{KeyID: keyID}})
}

// PutLock overwrites a lock that this store created, and reads it back.
func (s *Store) PutLock(ctx context.Context, name, keyID string, value secret.Secret) (custody.Outcome, error) {
	return s.Apply(ctx, &rotation.Write{Kind: rotation.Put, Name: name, Value: value, Type: "SecureString", Attributes: custody.Attributes{KeyID: keyID}, After: 1})
}

// Send carries out one write without reading it back. It recognizes its own write if the SDK repeated a call whose first response
// was lost. Its errors are faults.
func (s *Store) Send(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	s.begun = false
	var err error
	action := "ssm:PutParameter"
	switch write.Kind {
	case rotation.Create, rotation.Put:
		err = s.put(ctx, write)
	case rotation.Delete:
		if err := s.unchanged(ctx, write); err != nil {
			return custody.NotDone, err
		}
		action = "ssm:DeleteParameters"
		err = s.remove(ctx, write)
	}
	var exists *types.ParameterAlreadyExists
	var known *fault.Fault
	switch {
	case err == nil:
		return custody.Done, nil
	case errors.As(err, &known): // carried out, but over another writer's version
		return custody.Done, err
	case errors.As(err, &exists):
		return s.isOurs(ctx, write)
	case !s.begun && !mayBeDone(err):
		return custody.NotDone, asFault(err, action, write.Targets()...)
	}
	return s.found(ctx, write), asFault(err, action, write.Targets()...)
}

// isOurs checks a parameter that already existed when it was to be created: the SDK may have repeated our own call after its
// response was lost.
func (s *Store) isOurs(ctx context.Context, write *rotation.Write) (custody.Outcome, error) {
	switch err := s.readBack(ctx, write); {
	case err == nil:
		return custody.Done, nil
	case !fault.Is(err, fault.CodeReadBack):
		return custody.Unknown, err
	}
	return custody.NotDone, fault.New(fault.CodeVersionGap, "See who wrote it (aws ssm get-parameter-history), then run again.",
		"Somebody created %s just before this run could.", write.Name)
}

// found reads once, even if the run was interrupted, to see whether a call without a response was carried out.
func (s *Store) found(ctx context.Context, write *rotation.Write) custody.Outcome {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	seen, err := s.Read(ctx, write.Targets()...)
	if err == nil && s.asWritten(write, seen) {
		return custody.Done
	}
	return custody.Unknown
}

// put overwrites the observed version. SSM has no compare-and-swap, so only the new version number reveals another writer.
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
	gap := &fault.Fault{Code: fault.CodeVersionGap, Next: "Compare the versions (aws ssm get-parameter-history), make sure that nobody else writes the parameter, then run again."}
	if version <= after {
		gap.What = fmt.Sprintf("Somebody deleted %s while this run was writing it. It now has version %d.", write.Name, version)
		return gap
	}
	other := s.otherWriter(ctx, write, after, version)
	if other == "" {
		return nil
	}
	gap.What = fmt.Sprintf("%s was changed by %s while this run was writing it: version %d was expected, %d came back. The overwritten value is in the parameter's history.", write.Name, other, after+1, version)
	return gap
}

// otherWriter returns who wrote between two of our versions, or "" if that was our own repeated call.
func (s *Store) otherWriter(ctx context.Context, write *rotation.Write, after, ours int64) string {
	pages := ssm.NewGetParameterHistoryPaginator(s.ssm, &ssm.GetParameterHistoryInput{Name: aws.String(write.Name), WithDecryption: aws.Bool(true)})
	for pages.HasMorePages() {
		s.reads.Add(1)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "somebody, or by this run's own call that was repeated (ssm:GetParameterHistory failed)"
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
	s.writes.Add(1)
	answer, err := s.ssm.PutParameter(ctx, input, s.watch)
	if err != nil {
		return 0, err
	}
	return answer.Version, nil
}

// unchanged checks that the parameter to delete still has the observed version and value: nobody can get a deleted value back. A
// parameter that was deleted and created again may have its earlier version number. A read may be stale, so it is repeated up to four
// times.
func (s *Store) unchanged(ctx context.Context, write *rotation.Write) error {
	expected := max(write.After, s.written[write.Name])
	for try := 0; write.After > 0; try++ {
		seen, err := s.Read(ctx, write.Name)
		if err != nil {
			return err
		}
		there := seen[write.Name]
		if !there.Exists || there.Version == expected && there.Value.Equal(write.Was) {
			return nil
		}
		if try == 4 && there.Version == expected {
			return fault.New(fault.CodeVersionGap, "Find out who wrote it (CloudTrail, DeleteParameter and PutParameter), and run again.",
				"Somebody deleted %s and created it again with another value. It was not deleted.", write.Name)
		}
		if try == 4 || there.Version > expected {
			return fault.New(fault.CodeVersionGap, "See who wrote it (aws ssm get-parameter-history), and run again.",
				"Somebody changed %s: version %d was expected, and it has version %d. It was not deleted.", write.Name, expected, there.Version)
		}
		if err := s.pause(ctx, try, write.Name); err != nil {
			return err
		}
	}
	return nil
}

// pause waits before a read is repeated.
func (s *Store) pause(ctx context.Context, try int, name string) error {
	select {
	case <-ctx.Done():
		return asFault(ctx.Err(), "ssm:GetParameters", name)
	case <-time.After(s.Pause << try):
		return nil
	}
}

// watch sets s.begun when the SDK repeats a call that SSM may have carried out. If SSM refuses the second try, for example because the
// credentials have expired, the first may still have succeeded.
func (s *Store) watch(o *ssm.Options) {
	o.Retryer = &watched{o.Retryer, &s.begun}
}

type watched struct {
	aws.Retryer
	begun *bool
}

func (w *watched) RetryDelay(attempt int, err error) (time.Duration, error) {
	*w.begun = *w.begun || mayBeDone(err)
	return w.Retryer.RetryDelay(attempt, err)
}

// mayBeDone reports whether SSM may have carried out a call that returned err. It has not if it refused the call, if no connection was
// made, or if the SDK found no credentials to sign it with.
func mayBeDone(err error) bool {
	var answer interface{ HTTPStatusCode() int }
	var refused smithy.APIError
	var connect *net.OpError
	switch {
	case withoutCredentials(err):
		return false
	case errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError:
		return true
	case errors.As(err, &connect) && connect.Op == "dial":
		return false
	}
	return !errors.As(err, &refused) || refused.ErrorFault() == smithy.FaultServer
}

// remove deletes the names. A missing name is no error.
func (s *Store) remove(ctx context.Context, write *rotation.Write) error {
	for chunk := range slices.Chunk(write.Names, batch) {
		for _, name := range chunk {
			delete(s.written, name)
		}
		s.writes.Add(1)
		if _, err := s.ssm.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: chunk}, s.watch); err != nil {
			return err
		}
		s.begun = true
	}
	return nil
}

// readBack checks that SSM shows the write. A read may be stale, so it is repeated up to four times.
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
			return fault.New(fault.CodeReadBack, "Somebody else writes this parameter. Find out who (aws ssm get-parameter-history), then run again.",
				"%s does not read back as written.", write.Name)
		}
		if err := s.pause(ctx, try, write.Name); err != nil {
			return err
		}
	}
}

// asWritten reports whether the parameters look as the write left them. If the response of the call was lost, its version is not
// known and not compared.
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

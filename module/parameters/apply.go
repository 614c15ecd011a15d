package parameters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
)

// held is the lock that this store took: its own name and the next number, which only somebody who overtakes creates.
type held struct{ name, next string }

// Apply carries out one write and reads it back, together with the lock: a holder that was overtaken stops before its
// next write. done says in a sentence what was written before, for the error.
func (s *Store) Apply(ctx context.Context, step rotation.Step, done string) error {
	write := step.Write
	s.writes.Add(1)
	var err error
	switch write.Kind {
	case rotation.Create:
		err = s.create(ctx, step, done)
	case rotation.Put:
		err = s.put(ctx, write, done)
	case rotation.Delete:
		err = s.remove(ctx, write, done)
	}
	if err != nil {
		return err
	}
	if step.Action == rotation.ActLock {
		s.lock = nextOf(write.Name)
	}
	return s.readBack(ctx, step, done)
}

// create writes a name for the first time. A retried call whose first answer was lost finds its own value there.
func (s *Store) create(ctx context.Context, step rotation.Step, done string) error {
	write := step.Write
	version, err := s.send(ctx, write, false)
	var exists *types.ParameterAlreadyExists
	if !errors.As(err, &exists) {
		if err != nil {
			return fault(err, "ssm:PutParameter", done, write.Name)
		}
		s.written[write.Name] = version
		return nil
	}
	found, err := s.Read(ctx, write.Name)
	if err != nil {
		return err
	}
	if there := found[write.Name]; there.Exists && there.Value.Equal(write.Value) {
		s.written[write.Name] = there.Version
		return nil
	}
	if step.Action == rotation.ActLock {
		return &rotation.Fault{
			Code: rotation.CodeLocked, What: fmt.Sprintf("Somebody else took the lock %s at the same moment.", write.Name),
			State: done, Next: "Wait for that run to end, then run again.",
		}
	}
	return &rotation.Fault{
		Code: rotation.CodeVersionGap, What: fmt.Sprintf("%s appeared while this run was about to create it.", write.Name),
		State: done, Next: "See who wrote it (aws ssm get-parameter-history), then run again.",
	}
}

// put writes onto the version that was observed. SSM has no compare-and-swap: the version that comes back is the only
// sign that somebody else wrote in between.
func (s *Store) put(ctx context.Context, write *rotation.Write, done string) error {
	after := max(write.After, s.written[write.Name])
	version, err := s.send(ctx, write, true)
	if err != nil {
		return fault(err, "ssm:PutParameter", done, write.Name)
	}
	s.written[write.Name] = version
	if version == after+1 {
		return nil
	}
	other := s.otherWriter(ctx, write, after, version)
	if other == "" {
		return nil
	}
	return &rotation.Fault{
		Code: rotation.CodeVersionGap, What: fmt.Sprintf("%s was changed by %s while this run was writing it: version %d was expected, %d came back.", write.Name, other, after+1, version),
		State: done + " What was written onto is in the parameter's history.", Next: "Compare the versions (aws ssm get-parameter-history), make sure nobody else writes there, then run again.",
	}
}

// otherWriter names who wrote between two versions of ours, or nobody if those writes were our own call, retried after
// its answer was lost.
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
	if write.Policies != "" {
		input.Policies = aws.String(write.Policies)
	}
	answer, err := s.ssm.PutParameter(ctx, input)
	if err != nil {
		return 0, err
	}
	return answer.Version, nil
}

// remove deletes names; one that is not there is as wanted.
func (s *Store) remove(ctx context.Context, write *rotation.Write, done string) error {
	for chunk := range slices.Chunk(write.Names, batch) {
		if _, err := s.ssm.DeleteParameters(ctx, &ssm.DeleteParametersInput{Names: chunk}); err != nil {
			return fault(err, "ssm:DeleteParameters", done, chunk...)
		}
	}
	return nil
}

// readBack sees that what was written is there, or gone, and that the lock is still ours. A read may for a moment show
// the version before.
func (s *Store) readBack(ctx context.Context, step rotation.Step, done string) error {
	write := step.Write
	for try := 0; ; try++ {
		found, err := s.Read(ctx, write.Name, s.lock.name, s.lock.next)
		if err != nil {
			return err
		}
		if err := s.stillOurs(found, done); err != nil {
			return err
		}
		there := found[write.Name]
		as := there.Exists && there.Value.Equal(write.Value) && there.Version == s.written[write.Name]
		if write.Kind == rotation.Delete {
			as = !there.Exists
		}
		if as {
			return nil
		}
		if try == 4 || there.Version > s.written[write.Name] {
			return &rotation.Fault{
				Code: rotation.CodeReadBack, What: fmt.Sprintf("%s does not read back as it was written.", write.Name),
				State: done, Next: "Somebody else writes there: see aws ssm get-parameter-history, then run again.",
			}
		}
		select {
		case <-ctx.Done():
			return fault(ctx.Err(), "ssm:GetParameters", done, write.Name)
		case <-time.After(100 * time.Millisecond << try):
		}
	}
}

func (s *Store) stillOurs(found map[string]rotation.Parameter, done string) error {
	if s.lock.name == "" || (found[s.lock.name].Exists && !found[s.lock.next].Exists) {
		return nil
	}
	return &rotation.Fault{
		Code: rotation.CodeOvertaken, What: fmt.Sprintf("The lock %s was taken over by another run.", s.lock.name),
		State: done, Next: "This run stops here; let the other one finish, then run again.",
	}
}

func nextOf(name string) held {
	at := strings.LastIndexByte(name, '/') + 1
	number, err := strconv.Atoi(name[at:])
	if err != nil {
		return held{name: name}
	}
	return held{name: name, next: name[:at] + strconv.Itoa(number+1)}
}

// Package fakessm is an SSM Parameter Store in memory, for tests: it needs no process, network or clock. It implements the methods of
// the SDK's client that module/parameters uses. It can return stale reads, refuse calls and lose responses.
package fakessm

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// Call is one call to SSM, for a hook.
type Call struct {
	Action string // such as PutParameter
	Names  []string
	Write  bool
}

// Fault says what happens to a call. With the zero Fault, it is carried out and answered.
type Fault struct {
	Code  string // the call fails with this error code and is not carried out
	Lose  bool   // the call is carried out, but its response is lost
	Stale bool   // the read shows the state before the last write
}

// SSM is the service as one client sees it. Set its fields before you use it.
type SSM struct {
	Hook  func(Call) Fault // called before each call is carried out
	After func(answer any) // called with each response
	Now   func() time.Time // for LastModifiedDate
	*state
}

type state struct {
	mu     sync.Mutex
	now    map[string][]types.ParameterHistory // every version of each name
	before map[string][]types.ParameterHistory // the same, before the last write
	Calls  []Call
}

// New returns an empty SSM.
func New() *SSM {
	return &SSM{state: &state{now: map[string][]types.ParameterHistory{}}, Now: time.Now}
}

// Another returns the same service for another client.
func (s *SSM) Another() *SSM { return &SSM{state: s.state, Now: s.Now} }

// Settle makes all reads consistent, as if all writes were long ago.
func (s *SSM) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = nil
}

// Stale reports whether a read of these names, or of names below them, may be stale.
func (s *SSM) Stale(names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before != nil && slices.ContainsFunc(names, func(name string) bool {
		for _, all := range []map[string][]types.ParameterHistory{s.now, s.before} {
			for there := range all {
				if (there == name || strings.HasPrefix(there, name+"/")) && len(s.now[there]) != len(s.before[there]) {
					return true
				}
			}
		}
		return false
	})
}

// Put writes a parameter as another client.
func (s *SSM) Put(name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(&ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeSecureString}, "somebody")
}

// Move writes the same value with another KMS key and tier, as another client.
func (s *SSM) Move(name, keyID, tier string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.now[name][len(s.now[name])-1]
	s.put(&ssm.PutParameterInput{Name: &name, Value: last.Value, Type: last.Type, KeyId: &keyID, Tier: types.ParameterTier(tier)}, "somebody")
}

// Delete deletes a parameter as another client.
func (s *SSM) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.now, name)
}

// All returns all values by name.
func (s *SSM) All() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for name, versions := range s.now {
		all[name] = aws.ToString(versions[len(versions)-1].Value)
	}
	return all
}

// Parameter returns the last version of a parameter, or the zero value if there is none.
func (s *SSM) Parameter(name string) types.ParameterHistory {
	s.mu.Lock()
	defer s.mu.Unlock()
	if versions := s.now[name]; len(versions) > 0 {
		return versions[len(versions)-1]
	}
	return types.ParameterHistory{}
}

func (s *SSM) put(in *ssm.PutParameterInput, who string) int64 {
	s.before = maps.Clone(s.now)
	versions := s.now[*in.Name]
	next := types.ParameterHistory{
		Name: in.Name, Value: in.Value, Type: in.Type, Version: 1, KeyId: in.KeyId, Tier: in.Tier, AllowedPattern: in.AllowedPattern, DataType: in.DataType,
		LastModifiedUser: aws.String(who), LastModifiedDate: aws.Time(s.Now()),
	}
	if in.Policies != nil {
		next.Policies = []types.ParameterInlinePolicy{{PolicyText: in.Policies}}
	}
	if len(versions) > 0 {
		next.Version = versions[len(versions)-1].Version + 1
	}
	s.now[*in.Name] = append(slices.Clone(versions), next)
	return next.Version
}

// ErrLost is the error of a call whose response is lost.
var ErrLost = errors.New("connection reset by peer")

// call calls the hook and, unless that refuses the call, do with the parameters to read from.
func call[T any](ctx context.Context, s *SSM, c Call, do func(shown map[string][]types.ParameterHistory) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	var fault Fault
	if s.Hook != nil {
		fault = s.Hook(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Calls = append(s.Calls, c)
	if fault.Code != "" {
		return none, &smithy.GenericAPIError{Code: fault.Code, Fault: smithy.FaultClient}
	}
	shown := s.now
	if fault.Stale && s.before != nil {
		shown = s.before
	}
	answer, err := do(shown)
	if fault.Lose && err == nil {
		return none, ErrLost
	}
	if s.After != nil {
		s.After(answer)
	}
	if err == nil {
		err = ctx.Err() // interrupted during the call
	}
	return answer, err
}

// PutParameter implements parameters.API.
func (s *SSM) PutParameter(ctx context.Context, in *ssm.PutParameterInput, _ ...func(*ssm.Options)) (*ssm.PutParameterOutput, error) {
	return call(ctx, s, Call{"PutParameter", []string{*in.Name}, true}, func(map[string][]types.ParameterHistory) (*ssm.PutParameterOutput, error) {
		if len(s.now[*in.Name]) > 0 && !aws.ToBool(in.Overwrite) {
			return nil, &types.ParameterAlreadyExists{}
		}
		return &ssm.PutParameterOutput{Version: s.put(in, "us")}, nil
	})
}

// DeleteParameters implements parameters.API.
func (s *SSM) DeleteParameters(ctx context.Context, in *ssm.DeleteParametersInput, _ ...func(*ssm.Options)) (*ssm.DeleteParametersOutput, error) {
	return call(ctx, s, Call{"DeleteParameters", in.Names, true}, func(map[string][]types.ParameterHistory) (*ssm.DeleteParametersOutput, error) {
		s.before = maps.Clone(s.now)
		for _, name := range in.Names {
			delete(s.now, name)
		}
		return &ssm.DeleteParametersOutput{}, nil
	})
}

// GetParameters implements parameters.API.
func (s *SSM) GetParameters(ctx context.Context, in *ssm.GetParametersInput, _ ...func(*ssm.Options)) (*ssm.GetParametersOutput, error) {
	return call(ctx, s, Call{"GetParameters", in.Names, false}, func(shown map[string][]types.ParameterHistory) (*ssm.GetParametersOutput, error) {
		out := &ssm.GetParametersOutput{}
		for _, name := range in.Names {
			if versions := shown[name]; len(versions) > 0 {
				out.Parameters = append(out.Parameters, parameter(versions))
			}
		}
		return out, nil
	})
}

// GetParametersByPath implements parameters.API. It returns a single page.
func (s *SSM) GetParametersByPath(ctx context.Context, in *ssm.GetParametersByPathInput, _ ...func(*ssm.Options)) (*ssm.GetParametersByPathOutput, error) {
	return call(ctx, s, Call{"GetParametersByPath", []string{*in.Path}, false}, func(shown map[string][]types.ParameterHistory) (*ssm.GetParametersByPathOutput, error) {
		out := &ssm.GetParametersByPathOutput{}
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			if strings.HasPrefix(name, strings.TrimSuffix(*in.Path, "/")+"/") {
				out.Parameters = append(out.Parameters, parameter(shown[name]))
			}
		}
		return out, nil
	})
}

// DescribeParameters implements parameters.API.
func (s *SSM) DescribeParameters(ctx context.Context, in *ssm.DescribeParametersInput, _ ...func(*ssm.Options)) (*ssm.DescribeParametersOutput, error) {
	var names []string
	for _, filter := range in.ParameterFilters { // without filters: all names
		names = filter.Values
	}
	return call(ctx, s, Call{"DescribeParameters", names, false}, func(shown map[string][]types.ParameterHistory) (*ssm.DescribeParametersOutput, error) {
		out := &ssm.DescribeParametersOutput{}
		if len(in.ParameterFilters) == 0 {
			names = slices.Sorted(maps.Keys(shown))
		}
		for _, name := range names {
			if versions := shown[name]; len(versions) > 0 {
				last := versions[len(versions)-1]
				out.Parameters = append(out.Parameters, types.ParameterMetadata{
					Name: last.Name, KeyId: last.KeyId, Tier: last.Tier, Policies: last.Policies, AllowedPattern: last.AllowedPattern, DataType: last.DataType,
				})
			}
		}
		return out, nil
	})
}

// GetParameterHistory implements parameters.API. It returns a single page.
func (s *SSM) GetParameterHistory(ctx context.Context, in *ssm.GetParameterHistoryInput, _ ...func(*ssm.Options)) (*ssm.GetParameterHistoryOutput, error) {
	return call(ctx, s, Call{"GetParameterHistory", []string{*in.Name}, false}, func(shown map[string][]types.ParameterHistory) (*ssm.GetParameterHistoryOutput, error) {
		return &ssm.GetParameterHistoryOutput{Parameters: shown[*in.Name]}, nil
	})
}

func parameter(versions []types.ParameterHistory) types.Parameter {
	last := versions[len(versions)-1]
	return types.Parameter{Name: last.Name, Value: last.Value, Type: last.Type, Version: last.Version, LastModifiedDate: last.LastModifiedDate}
}

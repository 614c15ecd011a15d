package parameters

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/seqera-tools/crypto-rotation/module/custody"
	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// batch is the maximum number of names that GetParameters and DeleteParameters accept.
const batch = 10

// Read gets parameters by exact name, ten per call. It skips empty names. A missing parameter has Exists false. Its errors are faults.
func (s *Store) Read(ctx context.Context, names ...string) (map[string]proof.Parameter, error) {
	found := map[string]proof.Parameter{}
	var wanted []string
	for _, name := range names {
		if name != "" && !slices.Contains(wanted, name) {
			wanted = append(wanted, name)
			found[name] = proof.Parameter{Name: name}
		}
	}
	for chunk := range slices.Chunk(wanted, batch) {
		s.reads.Add(1)
		answer, err := s.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: chunk, WithDecryption: aws.Bool(true)})
		if err != nil {
			return nil, asFault(err, "ssm:GetParameters", chunk...)
		}
		if ahead, ok := middleware.GetAttemptSkew(answer.ResultMetadata); ok {
			s.ahead.Store(int64(ahead))
		}
		for _, parameter := range answer.Parameters {
			found[aws.ToString(parameter.Name)] = observed(parameter)
		}
	}
	return found, nil
}

// ReadPlatform gets the Platform's parameters and further names, in one call if these are at most ten names.
func (s *Store) ReadPlatform(ctx context.Context, names rotation.Names, more ...string) (rotation.Parameters, map[string]proof.Parameter, error) {
	all := append([]string{names.Omnibus, names.Current, names.Previous, names.LegacyPrevious, names.Switch, names.ChunkSize}, more...)
	found, err := s.Read(ctx, all...)
	if err != nil {
		return rotation.Parameters{}, nil, err
	}
	seen := rotation.Parameters{Ahead: time.Duration(s.ahead.Load())}
	for i, parameter := range seen.All() {
		parameter.Parameter = found[all[i]]
	}
	return seen, found, nil
}

// ReadStandalone gets, in one call, the parameters that a backend reads when it starts.
func (s *Store) ReadStandalone(ctx context.Context, names proof.Names) (proof.Parameters, error) {
	found, err := s.Read(ctx, names.Current, names.Previous, names.Switch)
	return proof.Parameters{
		Current: found[names.Current], Previous: found[names.Previous], Switch: found[names.Switch], Ahead: time.Duration(s.ahead.Load()),
	}, err
}

// ReadInventory lists everything under custody_prefix. Its errors are faults.
func (s *Store) ReadInventory(ctx context.Context, prefix string) (custody.Inventory, error) {
	inventory := custody.Inventory{Complete: true}
	pages := ssm.NewGetParametersByPathPaginator(s.ssm, &ssm.GetParametersByPathInput{
		Path: aws.String(prefix), Recursive: aws.Bool(true), WithDecryption: aws.Bool(true), MaxResults: aws.Int32(batch),
	})
	for pages.HasMorePages() {
		s.reads.Add(1)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return custody.Inventory{}, asFault(err, "ssm:GetParametersByPath", prefix+"/*")
		}
		for _, parameter := range page.Parameters {
			if err := AddTo(&inventory, prefix, observed(parameter)); err != nil {
				return custody.Inventory{}, err
			}
		}
	}
	return inventory, nil
}

// Locks reads the ten locks from number first on, which is as many as one call reads.
func (s *Store) Locks(ctx context.Context, prefix string, first int) ([]custody.Lock, error) {
	names := make([]string, 0, batch)
	for number := range batch {
		names = append(names, custody.LockName(prefix, first+number))
	}
	found, err := s.Read(ctx, names...)
	var inventory custody.Inventory
	for _, name := range names {
		if err == nil {
			err = AddTo(&inventory, prefix, found[name])
		}
	}
	return inventory.Locks, err
}

// AddTo parses a parameter as a custody document and adds it to the inventory, if the parameter exists. Its error is a fault.
func AddTo(inventory *custody.Inventory, prefix string, parameter proof.Parameter) error {
	if !parameter.Exists {
		return nil
	}
	if err := inventory.Add(prefix, parameter.Name, parameter.Value, parameter.Version, parameter.Modified); err != nil {
		return fault.New(fault.CodeCustodyDamaged, "Find out who wrote it (aws ssm get-parameter-history). You can restore any version that SSM still has.",
			"%s", "The custody document "+err.Error()+".").From(err)
	}
	return nil
}

// Describe adds KMS key, tier and policies to the observed parameters and custody documents that may be overwritten.
func (s *Store) Describe(ctx context.Context, custodyPrefix string, o *rotation.Observed) error {
	byName := o.Custody.Rewritable(custodyPrefix)
	for _, parameter := range o.SSM.All() {
		if parameter.Exists {
			byName[parameter.Name] = &parameter.Attributes
		}
	}
	names := slices.Sorted(maps.Keys(byName))
	pages := ssm.NewDescribeParametersPaginator(s.ssm, &ssm.DescribeParametersInput{
		MaxResults:       aws.Int32(50),
		ParameterFilters: []types.ParameterStringFilter{{Key: aws.String("Name"), Option: aws.String("Equals"), Values: names}},
	})
	for pages.HasMorePages() {
		s.reads.Add(1)
		page, err := pages.NextPage(ctx)
		if err != nil {
			return asFault(err, "ssm:DescribeParameters", names...)
		}
		for _, seen := range page.Parameters {
			if kept := byName[aws.ToString(seen.Name)]; kept != nil {
				*kept = custody.Attributes{
					KeyID: aws.ToString(seen.KeyId), Tier: string(seen.Tier), Policies: policies(seen.Policies),
					Pattern: aws.ToString(seen.AllowedPattern), DataType: aws.ToString(seen.DataType),
				}
			}
		}
	}
	o.SSM.Described = true
	return nil
}

func observed(p types.Parameter) proof.Parameter {
	return proof.Parameter{
		Name: aws.ToString(p.Name), Exists: true, Value: secret.New(aws.ToString(p.Value)), Type: string(p.Type),
		Version: p.Version, Modified: aws.ToTime(p.LastModifiedDate),
	}
}

// policies joins the policies of an Advanced parameter into a JSON array, as PutParameter takes them.
func policies(seen []types.ParameterInlinePolicy) string {
	if len(seen) == 0 {
		return ""
	}
	texts := make([]string, len(seen))
	for i, policy := range seen {
		texts[i] = aws.ToString(policy.PolicyText)
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// Same reports whether the Platform's parameters are unchanged between two observations. It compares the values as well, because a
// parameter that was deleted and created again may have its earlier version number.
func Same(a, b rotation.Parameters) bool {
	return slices.EqualFunc(a.All(), b.All(), func(x, y *rotation.Parameter) bool {
		return x.Exists == y.Exists && x.Version == y.Version && x.Value.Equal(y.Value)
	})
}

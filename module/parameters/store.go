// Package parameters accesses SSM Parameter Store. It reads the Platform's parameters and the custody documents, and carries out the
// writes of a plan one by one, reading each back. It decides nothing and knows no phase.
package parameters

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Config says which account, region and endpoint to use. For an empty field, the SDK decides (environment, shared files, SSO, web
// identity, instance role). The fields are the same as in options.AWS.
type Config struct {
	Region        string
	Profile       string
	AccessKey     secret.Secret
	SecretKey     secret.Secret
	SessionToken  secret.Secret
	EndpointURL   string
	AssumeRoleARN string
	AWSCABundle   string // path of a PEM file
	ValidateCerts bool
}

// Limits overrides constants in tests. A zero field means the constant of the same name.
type Limits struct {
	Throttles     int
	AnswerTimeout time.Duration
	FirstPause    time.Duration
}

// API is the part of the SSM client that the store uses; *ssm.Client implements it.
type API interface { //nolint:interfacebloat // one method per API call
	ssm.GetParametersByPathAPIClient
	ssm.GetParameterHistoryAPIClient
	ssm.DescribeParametersAPIClient
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	DeleteParameters(context.Context, *ssm.DeleteParametersInput, ...func(*ssm.Options)) (*ssm.DeleteParametersOutput, error)
}

// Store is SSM in one account and region. It counts its calls. It is not safe for concurrent use.
type Store struct {
	ssm     API
	sts     *sts.Client // nil: Caller returns ""
	reads   atomic.Int64
	writes  atomic.Int64
	ahead   atomic.Int64     // how far SSM's clock is ahead of this machine's, in nanoseconds
	begun   bool             // SSM may have carried out the current write, or a part of it, in an earlier call
	written map[string]int64 // the last version of each name that this store wrote
	Pause   time.Duration    // pause before a stale read is repeated; doubles each time
}

// New returns a store that uses an existing client.
func New(api API) *Store {
	return &Store{ssm: api, written: map[string]int64{}, Pause: 100 * time.Millisecond}
}

// Attempts is how often a call is tried if the connection breaks. Throttles is how often it is tried if SSM throttles it, which takes
// about nine minutes: the whole account and region share SSM's quota of 3 puts per second, so in a fleet many runs wait their turn.
const (
	Attempts  = 10
	Throttles = 600
)

// AnswerTimeout is how long to wait for one response. The SDK has no limit of its own.
const AnswerTimeout = 30 * time.Second

// FirstPause is the longest pause before the second try. It is short, so that SSM's quota is not idle while somebody waits.
const FirstPause = 100 * time.Millisecond

// metadataTimeout is the timeout of the instance metadata service, which responds within milliseconds or not at all.
const metadataTimeout = 2 * time.Second

// Open returns a store for SSM and STS. It uses the network only if no option, variable or file names a region: then it asks the
// instance metadata service. Its errors are faults.
func Open(ctx context.Context, c Config, limits ...Limits) (*Store, error) {
	limit := append(limits, Limits{})[0]
	client, err := httpClient(c, cmp.Or(limit.AnswerTimeout, AnswerTimeout))
	if err != nil {
		return nil, err
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithRetryer(func() aws.Retryer {
			return retryer(cmp.Or(limit.Throttles, Throttles), cmp.Or(limit.FirstPause, FirstPause))
		}),
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if !c.AccessKey.IsEmpty() {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKey.Reveal(), c.SecretKey.Reveal(), c.SessionToken.Reveal())))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if errors.As(err, new(config.AssumeRoleTokenProviderNotSetError)) {
		return nil, &fault.Fault{
			Code: fault.CodeAWSCredentials, What: "The AWS profile requires an MFA code (mfa_serial), and nobody can enter one here.",
			Next: "Get a session first (aws sts get-session-token, aws-vault exec). Pass its keys instead of the profile, in the environment or as access_key, secret_key and session_token.", Cause: err,
		}
	}
	if err != nil {
		return nil, fault.New(fault.CodeAWSCredentials, "Check profile, the shared config files and aws_ca_bundle.",
			"%s", "The AWS configuration could not be loaded: "+err.Error()+".").From(err)
	}
	if loaded.Region == "" {
		loaded.Region = instanceRegion(ctx, loaded)
	}
	if loaded.Region == "" {
		return nil, fault.New(fault.CodeAWSCredentials, "Set the option region, or AWS_REGION in the environment.",
			"The AWS region is not known: no option, environment variable, profile or instance metadata names one.")
	}
	if c.AssumeRoleARN != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), c.AssumeRoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "seqera-crypto-rotation"
		})
		loaded.Credentials = aws.NewCredentialsCache(role)
	}
	// As in amazon.aws, endpoint_url is for SSM only: a VPC endpoint serves no other service.
	store := New(ssm.NewFromConfig(loaded, func(o *ssm.Options) {
		if c.EndpointURL != "" {
			o.BaseEndpoint = aws.String(c.EndpointURL)
		}
	}))
	store.sts = sts.NewFromConfig(loaded)
	return store, nil
}

// instanceRegion returns the region from the instance metadata service, or "" if this machine is not an EC2 instance.
func instanceRegion(ctx context.Context, loaded aws.Config) string {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	// Use a separate client: it ignores proxies and does not retry.
	client := imds.NewFromConfig(loaded, func(o *imds.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
		o.Retryer = aws.NopRetryer{}
	})
	answer, err := client.GetRegion(ctx, &imds.GetRegionInput{})
	if err != nil {
		return ""
	}
	return answer.Region
}

// Calls counts calls to SSM. A retried call counts once.
type Calls struct {
	Reads  int64 `json:"reads"`
	Writes int64 `json:"writes"`
}

// Calls returns the number of calls so far.
func (s *Store) Calls() Calls { return Calls{s.reads.Load(), s.writes.Load()} }

// Caller returns the ARN of the caller (sts:GetCallerIdentity, which requires no permission), or "" if the call fails.
func (s *Store) Caller(ctx context.Context) string {
	if s.sts == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	answer, err := s.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}, func(o *sts.Options) { o.RetryMaxAttempts = 2 })
	if err != nil {
		return ""
	}
	return aws.ToString(answer.Arn)
}

// retryer retries throttled calls and broken connections. The SDK's own retryer does not retry TooManyUpdates, and its retry quota
// gives up early.
func retryer(throttles int, pause time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = throttles
		o.Backoff = &backoff{throttles: throttles, pause: pause}
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"TooManyUpdates": {}}})
	})
}

// backoff says how long to wait before the next try, and when to give up. Like the store, it is not safe for concurrent use.
type backoff struct {
	throttles int
	pause     time.Duration
	broken    int // broken connections in a row; throttled tries reset the count
}

// BackoffDelay returns a random delay below a limit that grows from 100 ms to 1.5 s, or err to give up.
func (p *backoff) BackoffDelay(attempt int, err error) (time.Duration, error) {
	if api := smithy.APIError(nil); errors.As(err, &api) && throttled(api.ErrorCode()) {
		p.broken = 0
	} else if p.broken++; attempt == 1 {
		p.broken = 1
	}
	if errors.Is(err, context.DeadlineExceeded) {
		p.broken += Attempts / 3 // each timeout took AnswerTimeout, so allow fewer
	}
	if p.broken >= Attempts || attempt >= p.throttles {
		return 0, err
	}
	most := min(p.pause<<min(attempt, 5), 15*p.pause)
	return most/4 + rand.N(most*3/4), nil //nolint:gosec // a delay is no secret
}

func httpClient(c Config, timeout time.Duration) (aws.HTTPClient, error) {
	client := awshttp.NewBuildableClient().WithTimeout(timeout)
	if c.AWSCABundle == "" && c.ValidateCerts {
		return client, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !c.ValidateCerts} //nolint:gosec // validate_certs: false is the operator's word, as in amazon.aws
	if c.AWSCABundle != "" {
		pem, err := os.ReadFile(c.AWSCABundle)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.CodeInvalidOptions, "Name a PEM file that exists on the host where this task runs.",
				"The file %s (aws_ca_bundle) cannot be read as PEM certificates.", c.AWSCABundle).From(err)
		}
		settings.RootCAs = pool
	}
	return client.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig = settings }), nil
}

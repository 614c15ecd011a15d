// Package parameters is SSM Parameter Store: it reads the Platform's parameters and the custody documents, and carries
// out the writes of a plan, one by one, each read back. It decides nothing and knows no phase.
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

// Config says which account, region and endpoint; empty fields leave the choice to the SDK's own chain (environment,
// shared files, SSO, web identity, instance role). Its fields are those of the options.
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

// Limits are for tests; zero values are the constants of the same names.
type Limits struct {
	Throttles     int           // how often a throttled call is tried
	AnswerTimeout time.Duration // how long one answer is waited for
	FirstPause    time.Duration // the longest pause before a call is tried for the second time
}

// API is what is used of SSM; *ssm.Client is one.
type API interface { //nolint:interfacebloat // the calls that there are
	ssm.GetParametersByPathAPIClient
	ssm.GetParameterHistoryAPIClient
	ssm.DescribeParametersAPIClient
	GetParameters(context.Context, *ssm.GetParametersInput, ...func(*ssm.Options)) (*ssm.GetParametersOutput, error)
	PutParameter(context.Context, *ssm.PutParameterInput, ...func(*ssm.Options)) (*ssm.PutParameterOutput, error)
	DeleteParameters(context.Context, *ssm.DeleteParametersInput, ...func(*ssm.Options)) (*ssm.DeleteParametersOutput, error)
}

// Store is SSM of one account and region, with counters of the calls made. It is for one goroutine.
type Store struct {
	ssm     API
	sts     *sts.Client // nil: who we are is not asked
	reads   atomic.Int64
	writes  atomic.Int64
	ahead   atomic.Int64     // how far SSM's clock is ahead of this machine's, in nanoseconds
	written map[string]int64 // the last version that this store wrote of each name
	Pause   time.Duration    // before a stale read is asked again; twice as long each time
}

// New makes a store of a client that is there already.
func New(api API) *Store {
	return &Store{ssm: api, written: map[string]int64{}, Pause: 100 * time.Millisecond}
}

// How often a call is tried. A broken connection is given up soon. SSM's quota of 3 puts a second is shared by everybody in
// the account and region, so that in a fleet many wait their turn: about nine minutes long.
const (
	Attempts  = 10
	Throttles = 600
)

// AnswerTimeout is how long one answer is waited for; the SDK itself has no limit.
const AnswerTimeout = 30 * time.Second

// FirstPause is short enough that SSM's quota is not idle while somebody waits.
const FirstPause = 100 * time.Millisecond

// metadataTimeout is for a service on the instance itself, which answers in milliseconds or not at all.
const metadataTimeout = 2 * time.Second

// Open makes the clients. It needs the network only to assume a role, or if the instance alone knows the region.
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
			Code: fault.CodeAWSCredentials, What: "The AWS profile asks for a code of MFA (mfa_serial), and nobody can type one here.",
			Next: "Get a session first (aws sts get-session-token, aws-vault exec), and give its keys instead of the profile: in the environment, or as access_key, secret_key and session_token.", Cause: err,
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
			"No AWS region is known: no option, environment variable, profile or instance metadata names one.")
	}
	if c.AssumeRoleARN != "" {
		role := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(loaded), c.AssumeRoleARN, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "seqera-crypto-rotation"
		})
		loaded.Credentials = aws.NewCredentialsCache(role)
	}
	// endpoint_url is SSM's alone, as in amazon.aws: an endpoint of a VPC knows no other service.
	store := New(ssm.NewFromConfig(loaded, func(o *ssm.Options) {
		if c.EndpointURL != "" {
			o.BaseEndpoint = aws.String(c.EndpointURL)
		}
	}))
	store.sts = sts.NewFromConfig(loaded)
	return store, nil
}

// instanceRegion asks the instance metadata service, as nothing else names a region; empty where this is no instance.
func instanceRegion(ctx context.Context, loaded aws.Config) string {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	// A client of its own: metadata goes to no proxy, and is given up at once where there is none.
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

// Calls counts SSM reads and writes; a retried call counts once.
type Calls struct {
	Reads  int64 `json:"reads"`
	Writes int64 `json:"writes"`
}

// Calls gives the calls so far.
func (s *Store) Calls() Calls { return Calls{s.reads.Load(), s.writes.Load()} }

// Caller asks who we are (sts:GetCallerIdentity, which needs no permission). Empty when that cannot be told.
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

// retryer retries throttled calls and broken connections. The SDK's own set lacks TooManyUpdates, and its quota gives up early.
func retryer(throttles int, pause time.Duration) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = throttles
		o.Backoff = &backoff{throttles: throttles, pause: pause}
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{"TooManyUpdates": {}}})
	})
}

// backoff says how long to wait before a call is tried again, and when to give up. It is for one goroutine, as the store.
type backoff struct {
	throttles int
	pause     time.Duration
	broken    int // connections in a row: what broke after a hundred throttled tries is not given up at once
}

// BackoffDelay waits a random part of 100 ms, 200 ms, … 1.5 s, and gives the error back when it is time to give up.
func (p *backoff) BackoffDelay(attempt int, err error) (time.Duration, error) {
	if api := smithy.APIError(nil); errors.As(err, &api) && throttled(api.ErrorCode()) {
		p.broken = 0
	} else if p.broken++; attempt == 1 {
		p.broken = 1
	}
	if errors.Is(err, context.DeadlineExceeded) {
		p.broken += Attempts / 3 // it took AnswerTimeout to find out
	}
	if p.broken >= Attempts || attempt >= p.throttles {
		return 0, err
	}
	most := min(p.pause<<min(attempt, 5), 15*p.pause)
	return most/4 + rand.N(most*3/4), nil //nolint:gosec // a back-off is no secret
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
			return nil, fault.New(fault.CodeInvalidOptions, "Name a file that exists where this task runs.",
				"aws_ca_bundle %s cannot be read as PEM certificates.", c.AWSCABundle).From(err)
		}
		settings.RootCAs = pool
	}
	return client.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig = settings }), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// settings are what the Platform takes from SSM, read once at the start: whoever changes a parameter must restart the service.
// They hold secrets: never print one.
type settings struct {
	current   []byte
	previous  []byte // empty: no previous key is configured
	rotate    bool
	chunkSize int
	dbUser    string
	dbPass    string
}

const defaultChunkSize = 50

// loadSettings reads everything under /config/<app>, as the real one's Parameter Store client does.
func loadSettings(ctx context.Context, conf config, logger *log.Logger) (settings, error) {
	if !conf.EnableSSM {
		return settings{}, errors.New("TOWER_ENABLE_AWS_SSM is not true: no crypto secret key is configured")
	}
	prefix := "/config/" + conf.AppName
	values, err := readParameters(ctx, newSSM(conf), prefix)
	if err != nil {
		return settings{}, err
	}
	logger.Printf("INFO Resolved 2 configuration sources from client: compositeConfigurationClient(AWS Parameter Store)")
	return settingsFrom(values, prefix, conf)
}

func settingsFrom(values map[string]string, prefix string, conf config) (settings, error) {
	get := func(name string) string { return values[prefix+"/"+name] }
	set := settings{
		current:   []byte(get("tower/crypto/secretKey")),
		previous:  []byte(get("tower/secret-rotation/previous-key")),
		rotate:    strings.EqualFold(get("tower/secret-rotation/enabled"), "true"),
		chunkSize: defaultChunkSize,
		dbUser:    first(get("datasources/default/username"), conf.DBUser),
		dbPass:    first(get("datasources/default/password"), conf.DBPassword),
	}
	if len(set.current) == 0 {
		return settings{}, fmt.Errorf("no crypto secret key: SSM parameter %s/tower/crypto/secretKey is not there", prefix)
	}
	if text := get("tower/secret-rotation/chunk-size"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return settings{}, fmt.Errorf("SSM parameter %s/tower/secret-rotation/chunk-size is not a positive number", prefix)
		}
		set.chunkSize = size
	}
	return set, nil
}

func newSSM(conf config) *ssm.Client {
	credentials := aws.Credentials{AccessKeyID: conf.AccessKey, SecretAccessKey: conf.SecretKey}
	opts := ssm.Options{
		Region: conf.Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials, nil
		}),
	}
	if conf.EndpointURL != "" {
		opts.BaseEndpoint = aws.String(conf.EndpointURL)
	}
	return ssm.New(opts)
}

// readParameters gives every parameter under a path, decrypted, by full name.
func readParameters(ctx context.Context, client *ssm.Client, path string) (map[string]string, error) {
	values := map[string]string{}
	pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{
		Path: aws.String(path), Recursive: aws.Bool(true), WithDecryption: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read SSM parameters under %s: %w", path, err)
		}
		for _, p := range page.Parameters {
			values[aws.ToString(p.Name)] = aws.ToString(p.Value)
		}
	}
	return values, nil
}

// readParameter gives one parameter by its full name; "" when there is none.
func readParameter(ctx context.Context, client *ssm.Client, name string) (string, error) {
	out, err := client.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{name}, WithDecryption: aws.Bool(true)})
	if err != nil {
		return "", fmt.Errorf("read SSM parameter %s: %w", name, err)
	}
	if len(out.Parameters) == 0 {
		return "", nil
	}
	return aws.ToString(out.Parameters[0].Value), nil
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// settings are read once, at the start: after a change of a parameter, restart the service. They hold secrets: never print one.
type settings struct {
	current   []byte
	previous  []byte // empty: no previous key is configured
	rotate    bool
	chunkSize int
	database  login
}

// login is where the database is, and who asks.
type login struct {
	url, user, password string
}

const defaultChunkSize = 50

// loadSettings resolves the settings as Micronaut does. Where SSM is on, its parameters win over the environment and tower.yml.
func loadSettings(ctx context.Context, conf config, logger *log.Logger) (settings, error) {
	all := maps.Clone(conf.Properties)
	if conf.EnableSSM {
		client := newSSM(conf)
		for _, path := range parameterPaths(conf.AppName, conf.Environments) {
			parameters, err := readParameters(ctx, client, path)
			if err != nil {
				return settings{}, err
			}
			for _, name := range slices.Sorted(maps.Keys(parameters)) {
				all.set(strings.TrimPrefix(name, path+"/"), parameters[name])
			}
		}
		logger.Printf("INFO Resolved 2 configuration sources from client: compositeConfigurationClient(AWS Parameter Store)")
	}
	set, err := settingsFrom(all)
	if err != nil {
		return settings{}, fmt.Errorf("%w (application %s, SSM read: %t)", err, conf.AppName, conf.EnableSSM)
	}
	return set, nil
}

// parameterPaths lists the paths of an application from the weakest to the strongest: a later environment wins.
func parameterPaths(app, environments string) []string {
	paths := []string{"/config/" + app}
	for name := range strings.SplitSeq(environments, ",") {
		if name = strings.TrimSpace(name); name != "" {
			paths = append(paths, "/config/"+app+"_"+name)
		}
	}
	return paths
}

func settingsFrom(all properties) (settings, error) {
	set := settings{
		current:   []byte(all.get("tower.crypto.secretKey")),
		previous:  []byte(all.get("tower.secret-rotation.previous-key")),
		rotate:    strings.EqualFold(all.get("tower.secret-rotation.enabled"), "true"),
		chunkSize: defaultChunkSize,
		database:  loginFrom(all),
	}
	if len(set.current) == 0 {
		return settings{}, errors.New("no crypto secret key: no source has tower.crypto.secretKey")
	}
	if text := all.get("tower.secret-rotation.chunk-size"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return settings{}, errors.New("tower.secret-rotation.chunk-size is not a positive number")
		}
		set.chunkSize = size
	}
	return set, nil
}

func loginFrom(all properties) login {
	return login{
		url: all.get("datasources.default.url"), user: all.get("datasources.default.username"), password: all.get("datasources.default.password"),
	}
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

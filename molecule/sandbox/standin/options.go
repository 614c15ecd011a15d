package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
)

// configOf reads the environment and tower.yml, and for migrate, cron and backend the SANDBOX_… options that `sandbox set` keeps
// in SSM; the environment wins. They are in no file of the Platform: a changed env file is an edit that compose has yet to
// apply, and a rotation refuses it.
func configOf(ctx context.Context, role string, env func(string) string) (config, error) {
	conf, err := configFrom(env)
	if err != nil || conf.EndpointURL == "" || role != "migrate" && role != "cron" && role != "backend" {
		return conf, err
	}
	name := "/sandbox/" + conf.AppName + "/options"
	text, err := readParameter(ctx, newSSM(conf), name)
	if err != nil || text == "" {
		return conf, err
	}
	kept := map[string]string{}
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return config{}, fmt.Errorf("SSM parameter %s: %w", name, err)
	}
	return configFrom(func(asked string) string { return cmp.Or(env(asked), kept[asked]) })
}

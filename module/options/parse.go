package options

import (
	"bytes"
	"encoding/json"
)

// Env looks an environment variable up, as os.LookupEnv does.
type Env = func(name string) (value string, ok bool)

// ParseRotation returns the options of seqera_crypto_rotation. An error is an *Invalid, which lists every mistake.
func ParseRotation(params map[string]any, env Env) (Rotation, error) {
	return parse("seqera_crypto_rotation", params, env, RotationNeeds(), rotationRules)
}

// ParseInfo returns the options of seqera_crypto_rotation_info. An error is an *Invalid, which lists every mistake.
func ParseInfo(params map[string]any, env Env) (Info, error) {
	return parse("seqera_crypto_rotation_info", params, env, InfoNeeds(), func(i Info, w *walk) { placeRules(i.AppName, i.Places, w) })
}

// parse checks the options one by one, then needs and rules check them together.
func parse[T any](module string, params map[string]any, env Env, needs []Need, rules func(T, *walk)) (T, error) {
	var options, none T
	var all Option
	w := newWalk(env)
	schema, err := Schema(module)
	if err == nil {
		err = json.Unmarshal(schema, &all)
	}
	values := w.dict(all, "", params)
	text, wrong := json.Marshal(values)
	defer clear(text)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // numbers inside proof and baseline stay what they are
	if err != nil || wrong != nil || decoder.Decode(&options) != nil {
		// The schema is part of the binary, and the values have the fields' own types. The error may quote one: it stays unsaid.
		w.invalid.add("", "the options could not be read")
		return none, w.invalid
	}
	w.check(needs, values)
	rules(options, w)
	if len(w.invalid.mistakes) > 0 {
		return none, w.invalid
	}
	return options, nil
}

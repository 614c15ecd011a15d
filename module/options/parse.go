package options

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// Env looks an environment variable up, as os.LookupEnv does.
type Env = func(name string) (value string, ok bool)

// ParseRotation makes the options of seqera_crypto_rotation of what the user gave. A failure is an *Invalid, which lists
// every mistake.
func ParseRotation(params map[string]any, env Env) (Rotation, error) {
	return parse(params, env, RotationNeeds(), rotationRules)
}

// ParseInfo makes the options of seqera_crypto_rotation_info of what the user gave. A failure is an *Invalid, which lists
// every mistake.
func ParseInfo(params map[string]any, env Env) (Info, error) {
	return parse(params, env, InfoNeeds(), infoRules)
}

// parse walks the schema of the struct along what was given, then lets needs and rules look at the whole.
func parse[T any](params map[string]any, env Env, needs []Need, rules func(T, *walk)) (T, error) {
	var options T
	w := newWalk(env)
	values := w.object(Describe(reflect.TypeFor[T](), nil), "", params)
	text, err := json.Marshal(values)
	defer clear(text)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber() // numbers inside proof and baseline stay what they are
		err = decoder.Decode(&options)
	}
	if err != nil {
		// The walk leaves only values of the fields' own types. The error stays unsaid: it may quote one.
		w.invalid.add("", "the options could not be read")
		return options, w.invalid
	}
	w.check(needs, values)
	rules(options, w)
	if len(w.invalid.mistakes) > 0 {
		var none T
		return none, w.invalid
	}
	return options, nil
}

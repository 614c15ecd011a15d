package options

// row is what is given to a module, and what becomes of one option. All values are JSON.
type row struct {
	module  string // seqera_crypto_rotation, or info
	option  string
	given   string // the option's value
	options string // instead of that: several options
	env     map[string]string
	want    string // the option's value in the end: null where it has none, nothing where the whole is refused
	ours    string // why Ansible's own answer is another one
	since   int    // the first ansible-core 2.x of which all this is true; with those before, it is the other way round
}

const (
	oursList    = "a list or dict is a mistake, not the text of a Python expression"
	oursPattern = "the value is none that the Platform or AWS would take"
	oursRange   = "the number is out of the range that makes sense"
	oursEmpty   = "an empty text or list says nothing"
	oursBaked   = "a default is made of app_name, which Ansible cannot"
	oursString  = "of strings only a JSON object is a dict: Ansible hands a dict over as one"
	oursNull    = "null is not given, as omit; to Ansible it is a value, and only where there is no default it is none"
)

func table() []row {
	var rows []row
	for _, part := range [][]row{texts(), booleans(), numbers(), lists(), dicts(), paths(), choices(), aliases(), environments(), needed()} {
		rows = append(rows, part...)
	}
	return rows
}

func texts() []row {
	return []row{
		{option: "region", given: `"eu-west-1"`, want: `"eu-west-1"`},
		{option: "region", given: `" x "`, want: `" x "`},
		{option: "region", given: `5`, want: `"5"`},
		{option: "region", given: `-0`, want: `"0"`},
		{option: "region", given: `1.50`, want: `"1.5"`},
		{option: "region", given: `1e3`, want: `"1000.0"`},
		{option: "region", given: `12345678901234567890123`, want: `"12345678901234567890123"`},
		{option: "region", given: `true`, want: `"True"`},
		{option: "region", given: `false`, want: `"False"`},
		{option: "region", given: `null`, want: `null`},
		{option: "region", given: `["a"]`, ours: oursList},
		{option: "region", given: `{"a": 1}`, ours: oursList},
		{option: "region", given: `""`, want: `null`, ours: "an empty text leaves the environment aside, as in amazon.aws"},
		{option: "escrow_kms_key_id", given: `"alias/é"`, want: `"alias/é"`},
		{option: "escrow_kms_key_id", given: `""`, ours: oursEmpty},
		{option: "attested_by", given: `"Ada Lovelace"`, want: `"Ada Lovelace"`},
		{option: "attested_by", given: `" "`, ours: oursEmpty},
		{option: "app_name", given: `42`, want: `"42"`},
		{option: "app_name", given: `true`, want: `"True"`},
		{option: "app_name", given: `null`, ours: oursNull, since: 19},
		{option: "app_name", given: `"my app"`, ours: oursPattern},
		{option: "rotation_id", given: `2026`, want: `"2026"`},
		{option: "rotation_id", given: `2026.10`, ours: "YAML reads 2026.10 as 2026.1: two rotations would have one name"},
		{option: "rotation_id", given: `"2026.10"`, want: `"2026.10"`},
		{option: "rotation_id", given: `"a/b"`, ours: oursPattern},
		{option: "rotation_id", given: `""`, ours: oursEmpty},
		{option: "omnibus_parameter", given: `"/a/b"`, want: `"/a/b"`},
		{option: "omnibus_parameter", given: `"/a/b/"`, want: `"/a/b"`, ours: "SSM takes no / at the end"},
		{option: "omnibus_parameter", given: `"a/b"`, ours: oursPattern},
		{option: "config_prefix", given: `null`, want: `"/config/tower"`, ours: oursBaked},
		{option: "custody_prefix", given: `null`, want: `"/seqera-crypto-rotation/tower"`, ours: oursBaked},
		{option: "custody_prefix", given: `"/config/tower/custody"`, ours: "the Platform's VM would read the keys"},
		{option: "new_secret", given: `"abcdefghijklmnopqrstuvwxy"`, want: `"abcdefghijklmnopqrstuvwxy"`},
		{option: "new_secret", given: `1234567890123456789012345`, want: `"1234567890123456789012345"`},
		{option: "new_secret", given: `"short"`, ours: oursPattern},
		{option: "new_secret", given: `"abcdefghijklmnopqrstuvwxyz\n"`, ours: oursPattern},
		{option: "new_secret", given: `["abcdefghijklmnopqrstuvwxyz"]`, ours: oursList},
		{option: "new_secret_from_escrow", given: `1234567890123456`, want: `"1234567890123456"`},
		{option: "new_secret_from_escrow", given: `"0123456789ABCDEF"`, ours: oursPattern},
		{option: "backends_ready_at", given: `"2026-01-31T22:15:00Z"`, want: `"2026-01-31T22:15:00Z"`},
		{option: "backends_ready_at", given: `"yesterday"`, ours: oursPattern},
		{option: "health_url", given: `null`, want: `"http://localhost:8000/api/service-info"`, ours: oursNull},
		{option: "health_url", given: `"localhost"`, ours: oursPattern},
	}
}

func booleans() []row {
	return []row{
		{option: "wait", given: `true`, want: `true`},
		{option: "wait", given: `"yes"`, want: `true`},
		{option: "wait", given: `"Yes"`, want: `true`},
		{option: "wait", given: `"on"`, want: `true`},
		{option: "wait", given: `"TRUE"`, want: `true`},
		{option: "wait", given: `"t"`, want: `true`},
		{option: "wait", given: `"Y"`, want: `true`},
		{option: "wait", given: `"1"`, want: `true`},
		{option: "wait", given: `" true "`, want: `true`},
		{option: "wait", given: `1`, want: `true`},
		{option: "wait", given: `1.0`, want: `true`},
		{option: "wait", given: `false`, want: `false`},
		{option: "wait", given: `"no"`, want: `false`},
		{option: "wait", given: `"Off"`, want: `false`},
		{option: "wait", given: `"False"`, want: `false`},
		{option: "wait", given: `"f"`, want: `false`},
		{option: "wait", given: `"n"`, want: `false`},
		{option: "wait", given: `"0"`, want: `false`},
		{option: "wait", given: `0`, want: `false`},
		{option: "wait", given: `0.0`, want: `false`},
		{option: "wait", given: `null`, want: `true`, ours: oursNull},
		{option: "wait", given: `""`},
		{option: "wait", given: `"maybe"`},
		{option: "wait", given: `"1.0"`},
		{option: "wait", given: `2`},
		{option: "wait", given: `[true]`},
		{option: "wait", given: `{}`},
		{option: "backups_waived", given: `null`, want: `false`, ours: oursNull},
		{option: "validate_certs", given: `"no"`, want: `false`},
	}
}

func numbers() []row {
	return []row{
		{option: "wait_timeout", given: `5`, want: `5`},
		{option: "wait_timeout", given: `"5"`, want: `5`},
		{option: "wait_timeout", given: `" 5\n"`, want: `5`},
		{option: "wait_timeout", given: `"+5"`, want: `5`},
		{option: "wait_timeout", given: `"007"`, want: `7`},
		{option: "wait_timeout", given: `"1_000"`, want: `1000`},
		{option: "wait_timeout", given: `5.0`, want: `5`, since: 18},
		{option: "wait_timeout", given: `"5.0"`, want: `5`, since: 18},
		{option: "wait_timeout", given: `"5e2"`, want: `500`, since: 18},
		{option: "wait_timeout", given: `1e3`, want: `1000`, since: 18},
		{option: "wait_timeout", given: `true`, want: `1`},
		{option: "wait_timeout", given: `null`, want: `3600`, ours: oursNull},
		{option: "wait_timeout", given: `5.5`},
		{option: "wait_timeout", given: `"5.5"`},
		{option: "wait_timeout", given: `"five"`},
		{option: "wait_timeout", given: `""`},
		{option: "wait_timeout", given: `"0x10"`},
		{option: "wait_timeout", given: `[5]`},
		{option: "wait_timeout", given: `{"a": 5}`},
		{option: "wait_timeout", given: `9223372036854775808`, ours: oursRange},
		{option: "wait_timeout", given: `"-1"`, ours: oursRange},
		{option: "chunk_size", given: `10000`, want: `10000`},
		{option: "chunk_size", given: `null`, want: `null`},
		{option: "chunk_size", given: `0`, ours: oursRange},
		{option: "chunk_size", given: `"10001"`, ours: oursRange},
		{option: "max_age_days", given: `"90"`, want: `90`},
		{option: "max_age_days", given: `0`, want: `0`},
	}
}

func lists() []row {
	return []row{
		{option: "backups", given: `["a", "b"]`, want: `["a", "b"]`},
		{option: "backups", given: `"a,b"`, want: `["a", "b"]`},
		{option: "backups", given: `"a, b"`, want: `["a", " b"]`},
		{option: "backups", given: `"a"`, want: `["a"]`},
		{option: "backups", given: `5`, want: `["5"]`},
		{option: "backups", given: `1.50`, want: `["1.5"]`},
		{option: "backups", given: `true`, want: `["True"]`},
		{option: "backups", given: `[1, 2.0, true]`, want: `["1", "2.0", "True"]`},
		{option: "backups", given: `{"a": 1}`},
		{option: "backups", given: `[["a"]]`, ours: oursList},
		{option: "backups", given: `[{"a": 1}]`, ours: oursList},
		{option: "backups", given: `["a", null]`, ours: oursEmpty, since: 19},
		{option: "backups", given: `"a,"`, ours: oursEmpty},
		{option: "backups", given: `[]`, ours: "no rotation begins without a backup that its key opens"},
		{option: "accept_unreadable", given: `[]`, want: `[]`},
		{option: "accept_unreadable", given: `null`, want: `null`},
		{option: "accept_unreadable", given: `[7, "8"]`, want: `["7", "8"]`},
		{option: "accept_unreadable", given: `""`, ours: oursEmpty},
		{option: "verify", given: `null`, want: `["database"]`, ours: oursNull},
		{option: "verify", given: `"database"`, want: `["database"]`},
		{option: "verify", given: `["database"]`, want: `["database"]`},
		{option: "verify", given: `["databas"]`},
		{option: "verify", given: `"database, database"`},
		{option: "verify", given: `["Database"]`},
		{option: "verify", given: `[]`, ours: oursEmpty},
		{module: "info", option: "gather", given: `"records,platform"`, want: `["records", "platform"]`},
		{module: "info", option: "gather", given: `["records", "platform"]`, want: `["records", "platform"]`},
		{module: "info", option: "gather", given: `null`, want: `["parameters"]`, ours: oursNull},
		{module: "info", option: "gather", given: `"all"`},
		{module: "info", option: "gather", given: `["records", 5]`},
	}
}

func dicts() []row {
	const standard = `"port": 3306, "name": "tower", "tls": "preferred"`
	return []row{
		{option: "database", given: `null`, want: `null`},
		{option: "database", given: `{"host": "h"}`, want: `{"host": "h", ` + standard + `}`},
		{option: "database", given: `"host=h"`, ours: oursString},
		{option: "database", given: `"host=h, user='a b'"`, ours: oursString},
		{option: "database", given: `"{\"host\": \"h\"}"`, want: `{"host": "h", ` + standard + `}`},
		{option: "database", given: `"{'host': 'h'}"`, ours: oursString},
		{option: "database", given: `{"host": 5}`, want: `{"host": "5", ` + standard + `}`},
		{option: "database", given: `{"host": "h", "port": "3307"}`, want: `{"host": "h", "port": 3307, "name": "tower", "tls": "preferred"}`},
		{option: "database", given: `{"host": "h", "port": null}`, want: `{"host": "h", ` + standard + `}`, ours: oursNull},
		{option: "database", given: `{"host": "h", "tls": "required"}`, want: `{"host": "h", "port": 3306, "name": "tower", "tls": "required"}`},
		{option: "database", given: `{"host": "h", "password": 5}`, want: `{"host": "h", "password": "5", ` + standard + `}`},
		{option: "database", given: `{"host": "h", "user": ""}`, want: `{"host": "h", "user": "", ` + standard + `}`},
		{option: "database", given: `{"host": "h", "ca_file": "~/ca"}`, want: `{"host": "h", "ca_file": "/home/op/ca", ` + standard + `}`},
		{option: "database", given: `{"host": "h", "port": "x"}`},
		{option: "database", given: `{"host": "h", "tls": "TLS"}`},
		{option: "database", given: `{"host": "h", "tls": false}`},
		{option: "database", given: `{"host": "h", "prot": 1}`},
		{option: "database", given: `{"host": null}`, ours: oursNull, since: 19},
		{option: "database", given: `{"port": 1}`},
		{option: "database", given: `"h"`},
		{option: "database", given: `""`},
		{option: "database", given: `["h"]`},
		{option: "database", given: `5`},
		{option: "database", given: `true`},
		{option: "database", given: `{}`},
		{option: "database", given: `{"host": "h", "port": 99999}`, ours: oursRange},
		{option: "database", given: `{"host": "h", "name": ""}`, ours: oursEmpty},
		{option: "services", given: `null`, want: `{"migrate": ["migrate"], "backends": ["backend"], "cron": ["cron"]}`},
		{option: "services", given: `{}`, want: `{"migrate": ["migrate"], "backends": ["backend"], "cron": ["cron"]}`},
		{option: "services", given: `{"cron": "a,b"}`, want: `{"migrate": ["migrate"], "backends": ["backend"], "cron": ["a", "b"]}`},
		{option: "services", given: `{"cron": null}`, want: `{"migrate": ["migrate"], "backends": ["backend"], "cron": ["cron"]}`, ours: oursNull},
		{option: "services", given: `{"cron": 5}`, want: `{"migrate": ["migrate"], "backends": ["backend"], "cron": ["5"]}`},
		{option: "services", given: `{"migrate": []}`, want: `{"migrate": [], "backends": ["backend"], "cron": ["cron"]}`},
		{option: "services", given: `"cron=a"`, ours: oursString},
		{option: "services", given: `{"corn": "x"}`},
		{option: "services", given: `{"cron": {"a": 1}}`},
		{option: "services", given: `{"cron": []}`, ours: oursEmpty},
		{option: "services", given: `{"cron": [], "backends": []}`, ours: oursEmpty},
		{option: "services", given: `{"cron": [""]}`, ours: oursEmpty},
		{option: "proof", given: `null`, want: `null`},
		{option: "proof", given: `{}`, want: `{}`},
		{option: "proof", given: `{"a": {"b": [1, null]}}`, want: `{"a": {"b": [1, null]}}`},
		{option: "proof", given: `"{\"a\": [1, null]}"`, want: `{"a": [1, null]}`},
		{option: "proof", given: `"{'a': True, 'b': None}"`, ours: oursString},
		{option: "proof", given: `"a=1 b=2"`, ours: oursString},
		{option: "proof", given: `"a"`},
		{option: "proof", given: `""`},
		{option: "proof", given: `["a"]`},
		{option: "proof", given: `5`},
		{option: "baseline", given: `null`, want: `null`},
		{option: "baseline", given: `{"a": 1}`, want: `{"a": 1}`},
		{option: "baseline", given: `"/b.gz"`, want: `{"path": "/b.gz"}`, ours: "raw is anything to Ansible; here it is a dict or a path"},
		{option: "baseline", given: `"{\"path\": \"/b\"}"`, want: `{"path": "/b"}`, ours: "raw is anything to Ansible; here it is a dict or a path"},
		{option: "baseline", given: `5`, ours: "raw is anything to Ansible; here it is a dict or a path"},
	}
}

func paths() []row {
	return []row{
		{option: "progress_file", given: `"/a/b"`, want: `"/a/b"`},
		{option: "progress_file", given: `"./a"`, want: `"./a"`},
		{option: "progress_file", given: `"~"`, want: `"/home/op"`},
		{option: "progress_file", given: `"~/b"`, want: `"/home/op/b"`},
		{option: "progress_file", given: `"$HOME/${PLACE}"`, want: `"/home/op/here"`},
		{option: "progress_file", given: `"$UNKNOWN_PLACE/b"`, want: `"$UNKNOWN_PLACE/b"`},
		{option: "progress_file", given: `5`, want: `"5"`},
		{option: "progress_file", given: `["/a"]`, ours: oursList},
		{option: "baseline_dir", given: `""`, want: `""`},
		{option: "baseline_dir", given: `null`, want: `"/home/op/.seqera-crypto-rotation"`, ours: oursNull},
		{option: "aws_ca_bundle", given: `"~/ca.pem"`, want: `"/home/op/ca.pem"`},
	}
}

func choices() []row {
	return []row{
		{option: "state", given: `"rotating"`, want: `"rotating"`},
		{option: "state", given: `null`},
		{option: "state", given: `"prepard"`},
		{option: "state", given: `"PREPARED"`},
		{option: "state", given: `""`},
		{option: "state", given: `["prepared"]`},
		{option: "state", given: `true`},
		{option: "standalone", given: `"delete"`, want: `"delete"`},
		{option: "standalone", given: `null`, want: `"write"`, ours: oursNull},
		{option: "standalone", given: `"delete "`},
		{option: "standalone", given: `5`},
	}
}

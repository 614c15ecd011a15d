package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// Installation says which Platform it is.
type Installation struct {
	// The installation's C(micronaut.application.name). It must agree with the ssm_keys of the omnibus.
	AppName string `json:"app_name" jsonschema:"required,pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -"`

	// Name of the SSM parameter that holds the omnibus, the installer's sensitive values of the Platform.
	OmnibusParameter string `json:"omnibus_parameter" jsonschema:"maxLength=1011,pattern=^((/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+)$" jsonschema_extras:"x-trim=/,x-allowed=at most 1011 letters\\, digits\\, _ . - and /; with a / at the start if there is one at all"`
}

// Due says which rotation it is, and when there is to be one.
type Due struct {
	// Names this rotation. A rotation whose id the ledger says is finished is not done again. Quote it: YAML reads 2026.10 as
	// the number 2026.1.
	RotationID string `json:"rotation_id" jsonschema:"pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -"`

	// The key is due, and rotated only then, if it is at least this many days old.
	MaxAgeDays *int `json:"max_age_days" jsonschema:"minimum=0"`
}

// Places are where things are in SSM.
type Places struct {
	// Where the standalone parameters are in SSM.
	ConfigPrefix string `json:"config_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/config/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /"`

	// Where lock, ledger and escrow are in SSM: outside what the VM's instance role may read.
	//
	// Each installation needs its own. It must not be below O(config_prefix), C(/config/<app_name>) or C(/seqera/<app_name>/), which the installer's instance
	// role reads.
	CustodyPrefix string `json:"custody_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/seqera-crypto-rotation/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /"`
}

// Compose is how Docker Compose is run on the VM, and how long to wait for what it starts.
type Compose struct {
	// Directory on the VM in which Docker Compose is run. Left out, the one that the running containers were started from.
	ComposeDir string `json:"compose_dir" jsonschema_extras:"x-type=path"`

	// The compose files, as paths on the VM; a relative one is below O(compose_dir). Left out, those that the running
	// containers were started from.
	ComposeFiles []string `json:"compose_files" jsonschema:"minLength=1"`

	// Files for C(docker compose --env-file). Left out, those that the running containers were started with.
	ComposeEnvFiles []string `json:"compose_env_files" jsonschema:"minLength=1"`

	// Profiles of the compose file that are active. Left out, those whose services run.
	ComposeProfiles []string `json:"compose_profiles" jsonschema:"minLength=1"`

	// Go on although Docker Compose would start another Platform than the one that runs, such as one with a pending edit or
	// upgrade. The differences become warnings.
	AllowDrift bool `json:"allow_drift" jsonschema:"default=false"`

	// What seqera_crypto_rotation returned as last_records. With C(gather: preflight) the module fails where the database has
	// fewer than half as many records.
	LastRecords *int `json:"last_records" jsonschema:"minimum=0"`

	// For C(gather: platform): seconds to wait at most until O(health_url) and every backend are ready. With V(0) the module
	// looks once and reports what it saw. For C(gather: database): seconds to wait at most until it answers.
	ReadyTimeout int `json:"ready_timeout" jsonschema:"minimum=0,default=0"`

	// URL of each backend's own health; C({address}) stands for the address of its container. Empty: the backends are not
	// asked one by one.
	BackendHealthURL string `json:"backend_health_url" jsonschema:"pattern=^(https?://.+)?$,default=http://{address}:8080/health" jsonschema_extras:"x-allowed=an http or https URL\\, in which {address} stands for the container's address"`
}

// VM is how the Platform is found on its VM: containers, readiness, database.
type VM struct {
	// The compose project's name. Left out, it is found by its labels.
	ComposeProject string `json:"compose_project" jsonschema:"pattern=^[a-z0-9][a-z0-9_-]*$" jsonschema_extras:"x-allowed=small letters\\, digits\\, _ and -; a letter or digit first"`

	// URL of the Docker Engine, such as C(unix:///var/run/docker.sock).
	//
	// The Engine's own default is used if neither option nor variable is set.
	DockerHost string `json:"docker_host" jsonschema_extras:"x-aliases=docker_url,x-env=DOCKER_HOST"`

	// The Platform is ready when a GET of this URL, made on the VM, answers 200, or 301 where it redirects to https.
	HealthURL string `json:"health_url" jsonschema:"format=uri,default=http://localhost:8000/api/service-info"`

	// Names of the compose services, by what they are to a rotation.
	Services Services `json:"services" jsonschema_extras:"x-apply-defaults=true"`

	// Where the Platform's database is. Left out, it is read from the backend container's environment.
	//
	// Only reads are made. The login needs SELECT on tables C(tw_secret) and C(tw_credentials).
	Database *Database `json:"database"`

	// What seqera_crypto_rotation_info returned as baseline before the rotation, or the path of the file that it wrote on
	// the VM. With it, records that no credential accounts for can be proved rewritten, and records that were unreadable
	// before are told apart.
	Baseline map[string]any `json:"baseline" jsonschema_extras:"x-type=raw,x-path-as=path"`

	// Directory on the VM in which seqera_crypto_rotation_info keeps its baseline when it reads the records: ids and hashes of the
	// records, no key and no content, in a file that only its owner may read. While a rotation runs it writes the file only if
	// C(rotation_id) is given. Empty: no file.
	BaselineDir string `json:"baseline_dir" jsonschema:"default=~/.seqera-crypto-rotation" jsonschema_extras:"x-type=path"`

	// Records that are read a second at most. Left out: as fast as the keys can be derived.
	MaxRecordsPerSecond *int `json:"max_records_per_second" jsonschema:"minimum=1"`
}

// Services are the names of compose services, by role.
type Services struct {
	// One-shot services that migrate the database. They run to their end before the backends start.
	Migrate []string `json:"migrate" jsonschema:"minLength=1,default=migrate"`

	// Services that must be ready, with both keys, before cron starts.
	Backends []string `json:"backends" jsonschema:"minItems=1,minLength=1,default=backend"`

	// Services that re-encrypt the records, at their start.
	Cron []string `json:"cron" jsonschema:"minItems=1,minLength=1,default=cron"`
}

// Database is where the Platform's MySQL is, and the login to read it with.
type Database struct {
	// Name or address, as the VM reaches it.
	Host string `json:"host" jsonschema:"required,minLength=1"`

	// TCP port.
	Port int `json:"port" jsonschema:"minimum=1,maximum=65535,default=3306"`

	// Name of the database.
	Name string `json:"name" jsonschema:"minLength=1,default=tower"`

	// Login. Left out, it is read from SSM, as the Platform does.
	User string `json:"user"`

	// Password. Left out, it is read from SSM, as the Platform does.
	Password secret.Secret `json:"password"`

	// Is the connection encrypted? V(verify-ca) demands a certificate that O(database.ca_file), or one of the system's
	// authorities, has signed; whose name is in it does not matter.
	TLS string `json:"tls" jsonschema:"enum=disabled,enum=preferred,enum=required,enum=verify-ca,default=preferred"`

	// Path on the VM of a PEM file with the certificate authorities of O(database.tls=verify-ca), such as the bundle of RDS.
	CAFile string `json:"ca_file" jsonschema_extras:"x-type=path"`
}

// AWS is how SSM is reached: names, aliases and environment variables of the amazon.aws collection (its doc fragments
// common and region), so that module_defaults and habits carry over.
type AWS struct {
	// The AWS region.
	Region string `json:"region" jsonschema_extras:"x-aliases=aws_region,x-env=AWS_REGION,x-env=AWS_DEFAULT_REGION"`

	// A named profile of the AWS configuration files.
	Profile string `json:"profile" jsonschema_extras:"x-aliases=aws_profile,x-env=AWS_PROFILE,x-env=AWS_DEFAULT_PROFILE"`

	// AWS access key ID.
	AccessKey secret.Secret `json:"access_key" jsonschema_extras:"x-aliases=aws_access_key_id,x-aliases=aws_access_key,x-env=AWS_ACCESS_KEY_ID,x-env=AWS_ACCESS_KEY"`

	// AWS secret access key.
	SecretKey secret.Secret `json:"secret_key" jsonschema_extras:"x-aliases=aws_secret_access_key,x-aliases=aws_secret_key,x-env=AWS_SECRET_ACCESS_KEY,x-env=AWS_SECRET_KEY"`

	// AWS STS session token, for temporary credentials.
	SessionToken secret.Secret `json:"session_token" jsonschema_extras:"x-aliases=aws_session_token,x-env=AWS_SESSION_TOKEN,x-env=AWS_SECURITY_TOKEN"`

	// URL to use instead of the default AWS endpoints.
	EndpointURL string `json:"endpoint_url" jsonschema:"format=uri" jsonschema_extras:"x-aliases=aws_endpoint_url,x-env=AWS_URL,x-env=AWS_ENDPOINT_URL"`

	// The ARN of an IAM role to assume, with the credentials given.
	AssumeRoleARN string `json:"assume_role_arn" jsonschema:"pattern=^arn:[a-z-]+:iam::[0-9]{12}:role/.+$" jsonschema_extras:"x-aliases=iam_role_arn,x-allowed=the ARN of an IAM role"`

	// Path of a PEM file with the certificate authorities to trust.
	AWSCABundle string `json:"aws_ca_bundle" jsonschema_extras:"x-type=path,x-env=AWS_CA_BUNDLE"`

	// V(false): do not check TLS certificates of AWS's endpoints. Prefer O(aws_ca_bundle).
	ValidateCerts bool `json:"validate_certs" jsonschema:"default=true"`
}

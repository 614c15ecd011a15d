package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// Installation identifies a Platform.
type Installation struct {
	// The installation's C(micronaut.application.name). It must match the ssm_key values in the omnibus.
	AppName string `json:"app_name" jsonschema:"required,pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -"`

	// Name of the SSM parameter that holds the omnibus, the installer's sensitive values of the Platform.
	OmnibusParameter string `json:"omnibus_parameter" jsonschema:"maxLength=1011,pattern=^((/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+)$" jsonschema_extras:"x-trim=/,x-allowed=at most 1011 letters\\, digits\\, _ . - and /; with a / at the start if there is one at all"`
}

// Due names a rotation, and says when one is due.
type Due struct {
	// Name of this rotation. If the ledger says that the rotation with this name is finished, it is not done again. Quote the name:
	// YAML reads 2026.10 as the number 2026.1.
	RotationID string `json:"rotation_id" jsonschema:"pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -"`

	// Rotate only if the key is at least this many days old.
	MaxAgeDays *int `json:"max_age_days" jsonschema:"minimum=0"`
}

// Places are the prefixes of parameter names in SSM.
type Places struct {
	// Prefix of the standalone parameters in SSM.
	ConfigPrefix string `json:"config_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/config/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /"`

	// Prefix of the lock, the ledger and escrow in SSM. The VM's instance role must not be able to read it.
	//
	// Each installation needs its own prefix. It must not be below O(config_prefix), C(/config/<app_name>) or C(/seqera/<app_name>/),
	// which the installer's instance role may read.
	CustodyPrefix string `json:"custody_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/seqera-crypto-rotation/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /"`
}

// Compose says how to run Docker Compose on the VM, and how long to wait for the services.
type Compose struct {
	// Directory on the VM in which Docker Compose runs. By default it is the directory from which the running containers were started.
	ComposeDir string `json:"compose_dir" jsonschema_extras:"x-type=path"`

	// The compose files, as paths on the VM. A relative path is relative to O(compose_dir). By default they are the files from which
	// the running containers were started.
	ComposeFiles []string `json:"compose_files" jsonschema:"minLength=1"`

	// Files for C(docker compose --env-file). By default they are the files with which the running containers were started.
	ComposeEnvFiles []string `json:"compose_env_files" jsonschema:"minLength=1"`

	// Active profiles of the compose file. By default they are the profiles whose services are running.
	ComposeProfiles []string `json:"compose_profiles" jsonschema:"minLength=1"`

	// Continue even if Docker Compose would start a different Platform than the one that is running, for example because of a pending
	// edit or upgrade. The differences become warnings.
	AllowDrift bool `json:"allow_drift" jsonschema:"default=false"`

	// What seqera_crypto_rotation returned as last_records. With C(gather: preflight), the module fails if the database has fewer
	// than half as many records.
	LastRecords *int `json:"last_records" jsonschema:"minimum=0"`

	// For C(gather: platform): maximum seconds to wait until O(health_url) and every backend are ready. With V(0), the module checks
	// once and reports the result. For C(gather: database): maximum seconds to wait until the database answers.
	ReadyTimeout int `json:"ready_timeout" jsonschema:"minimum=0,default=0"`

	// Health URL of a single backend. C({address}) stands for the address of its container. If it is empty, the backends are not
	// checked one by one.
	BackendHealthURL string `json:"backend_health_url" jsonschema:"pattern=^(https?://.+)?$,default=http://{address}:8080/health" jsonschema_extras:"x-allowed=an http or https URL\\, in which {address} stands for the container's address"`
}

// VM says how to find the Platform on its VM: containers, readiness, database.
type VM struct {
	// Name of the compose project. By default the module finds the project by the labels of its containers.
	ComposeProject string `json:"compose_project" jsonschema:"pattern=^[a-z0-9][a-z0-9_-]*$" jsonschema_extras:"x-allowed=lowercase letters\\, digits\\, _ and -; a letter or digit first"`

	// URL of the Docker Engine, such as C(unix:///var/run/docker.sock).
	//
	// The Engine's own default is used if neither option nor variable is set.
	DockerHost string `json:"docker_host" jsonschema_extras:"x-aliases=docker_url,x-env=DOCKER_HOST"`

	// Health URL of the Platform, as the VM reaches it. The Platform is ready when a GET returns status 200, or 301 with a redirect
	// to https.
	HealthURL string `json:"health_url" jsonschema:"format=uri,default=http://localhost:8000/api/service-info" jsonschema_extras:"x-allowed=an http or https URL"`

	// Names of the compose services, by their role in a rotation.
	Services Services `json:"services" jsonschema_extras:"x-apply-defaults=true"`

	// Where the Platform's database is. By default the module reads this from the backend container's environment.
	//
	// The module only reads. The login needs SELECT on the tables C(tw_secret) and C(tw_credentials).
	Database *Database `json:"database"`

	// What seqera_crypto_rotation_info returned as baseline before the rotation, or the path of the file that it wrote on the VM.
	// With a baseline, the module can prove that records without a credential were rewritten, and it knows which records were
	// already unreadable before.
	Baseline map[string]any `json:"baseline" jsonschema_extras:"x-type=raw,x-path-as=path"`

	// Directory on the VM in which seqera_crypto_rotation_info writes the baseline when it reads the records. The file contains IDs and
	// hashes of the records but no key and no content, and only its owner may read it. While a rotation runs, the file is written only
	// if C(rotation_id) is given. If the option is empty, no file is written.
	BaselineDir string `json:"baseline_dir" jsonschema:"default=~/.seqera-crypto-rotation" jsonschema_extras:"x-type=path"`

	// Maximum number of records to read per second. By default there is no limit.
	MaxRecordsPerSecond *int `json:"max_records_per_second" jsonschema:"minimum=1"`
}

// Services are the names of compose services, by role.
type Services struct {
	// One-shot services that migrate the database. They finish before the backends start.
	Migrate []string `json:"migrate" jsonschema:"minLength=1,default=migrate"`

	// Services that must be ready, with both keys, before cron starts.
	Backends []string `json:"backends" jsonschema:"minItems=1,minLength=1,default=backend"`

	// Services that re-encrypt the records when they start.
	Cron []string `json:"cron" jsonschema:"minItems=1,minLength=1,default=cron"`
}

// Database is where the Platform's MySQL is, and the login to read it with.
type Database struct {
	// Host name or address, as the VM reaches it.
	Host string `json:"host" jsonschema:"required,minLength=1"`

	// TCP port.
	Port int `json:"port" jsonschema:"minimum=1,maximum=65535,default=3306"`

	// Name of the database.
	Name string `json:"name" jsonschema:"minLength=1,default=tower"`

	// Login. By default the module reads it from SSM, as the Platform does.
	User string `json:"user"`

	// Password. By default the module reads it from SSM, as the Platform does.
	Password secret.Secret `json:"password"`

	// How the connection is encrypted. V(verify-ca) requires a certificate signed by an authority in O(database.ca_file), or by one of
	// the system's authorities. The name in the certificate does not matter.
	TLS string `json:"tls" jsonschema:"enum=disabled,enum=preferred,enum=required,enum=verify-ca,default=preferred"`

	// Path on the VM of a PEM file with the certificate authorities for O(database.tls=verify-ca), such as the RDS bundle.
	CAFile string `json:"ca_file" jsonschema_extras:"x-type=path"`
}

// AWS says how to reach SSM. Names, aliases and environment variables are those of the amazon.aws collection (its doc fragments
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
	EndpointURL string `json:"endpoint_url" jsonschema:"format=uri" jsonschema_extras:"x-aliases=aws_endpoint_url,x-env=AWS_URL,x-env=AWS_ENDPOINT_URL,x-allowed=an http or https URL"`

	// ARN of an IAM role to assume with the given credentials.
	AssumeRoleARN string `json:"assume_role_arn" jsonschema:"pattern=^arn:[a-z-]+:iam::[0-9]{12}:role/.+$" jsonschema_extras:"x-aliases=iam_role_arn,x-allowed=the ARN of an IAM role"`

	// Path of a PEM file with the certificate authorities to trust.
	AWSCABundle string `json:"aws_ca_bundle" jsonschema_extras:"x-type=path,x-env=AWS_CA_BUNDLE"`

	// Set it to V(false) to skip the check of the TLS certificates of AWS endpoints. Prefer O(aws_ca_bundle).
	ValidateCerts bool `json:"validate_certs" jsonschema:"default=true"`
}

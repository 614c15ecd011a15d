package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// VM is how the Platform is found on its VM: containers, readiness, database.
type VM struct {
	ComposeProject      string         `json:"compose_project" jsonschema:"pattern=^[a-z0-9][a-z0-9_-]*$" jsonschema_extras:"x-allowed=small letters\\, digits\\, _ and -; a letter or digit first" jsonschema_description:"The compose project's name. Left out, it is found by its labels."`
	DockerHost          string         `json:"docker_host" jsonschema_extras:"x-aliases=docker_url,x-env=DOCKER_HOST" jsonschema_description:"URL of the Docker Engine, such as unix:///var/run/docker.sock."`
	HealthURL           string         `json:"health_url" jsonschema:"format=uri,default=http://localhost:8000/api/service-info" jsonschema_description:"The Platform is ready when a GET of this URL answers 200, or 301 where it redirects to https."`
	Services            Services       `json:"services" jsonschema_extras:"x-apply-defaults=true" jsonschema_description:"Names of the compose services, by what they are to a rotation."`
	Database            *Database      `json:"database" jsonschema_description:"Where the Platform's database is. Left out, it is read from the backend container's environment."`
	Baseline            map[string]any `json:"baseline" jsonschema_extras:"x-type=raw,x-path-as=path" jsonschema_description:"What seqera_crypto_rotation_info returned as baseline before the rotation, or the path of the file that it wrote on the VM. With it, records that no credential accounts for can be proved rewritten, and records that were unreadable before are told apart."`
	BaselineDir         string         `json:"baseline_dir" jsonschema:"default=/var/lib/seqera-crypto-rotation" jsonschema_extras:"x-type=path" jsonschema_description:"Directory on the VM in which seqera_crypto_rotation_info, when it reads the records and no rotation runs, keeps its baseline. Empty: no file."`
	MaxRecordsPerSecond *int           `json:"max_records_per_second" jsonschema:"minimum=1" jsonschema_description:"Records that are read a second at most. Left out: as fast as the keys can be derived."`
}

// Services are the names of compose services, by role.
type Services struct {
	Migrate  []string `json:"migrate" jsonschema:"minLength=1,default=migrate" jsonschema_description:"One-shot services that migrate the database."`
	Backends []string `json:"backends" jsonschema:"minLength=1,default=backend" jsonschema_description:"Services that must be ready, with both keys, before cron starts. Empty where they run on other VMs."`
	Cron     []string `json:"cron" jsonschema:"minLength=1,default=cron" jsonschema_description:"Services that re-encrypt the records, at their start. Empty where they run on another VM; for the state rotating this must be theirs."`
}

// Database is where the Platform's MySQL is, and the login to read it with.
type Database struct {
	Host     string        `json:"host" jsonschema:"required,minLength=1" jsonschema_description:"Name or address, as the VM reaches it."`
	Port     int           `json:"port" jsonschema:"minimum=1,maximum=65535,default=3306" jsonschema_description:"TCP port."`
	Name     string        `json:"name" jsonschema:"minLength=1,default=tower" jsonschema_description:"Name of the database."`
	User     string        `json:"user" jsonschema_description:"Login. Left out, it is read from SSM, as the Platform does."`
	Password secret.Secret `json:"password" jsonschema_description:"Password. Left out, it is read from SSM, as the Platform does."`
	TLS      string        `json:"tls" jsonschema:"enum=disabled,enum=preferred,enum=required,enum=verify-ca,default=preferred" jsonschema_description:"Is the connection encrypted? verify-ca demands a certificate that ca_file, or one of the system's authorities, has signed; whose name is in it does not matter."`
	CAFile   string        `json:"ca_file" jsonschema_extras:"x-type=path" jsonschema_description:"Path on the VM of a PEM file with the certificate authorities of tls: verify-ca, such as the bundle of RDS."`
}

// AWS is how SSM is reached: names, aliases and environment variables of the amazon.aws collection (its doc fragments
// common and region), so that module_defaults and habits carry over.
type AWS struct {
	Region        string        `json:"region" jsonschema_extras:"x-aliases=aws_region,x-env=AWS_REGION,x-env=AWS_DEFAULT_REGION" jsonschema_description:"The AWS region."`
	Profile       string        `json:"profile" jsonschema_extras:"x-aliases=aws_profile,x-env=AWS_PROFILE,x-env=AWS_DEFAULT_PROFILE" jsonschema_description:"A named profile of the AWS configuration files. Not together with access_key, secret_key or session_token."`
	AccessKey     secret.Secret `json:"access_key" jsonschema_extras:"x-aliases=aws_access_key_id,x-aliases=aws_access_key,x-env=AWS_ACCESS_KEY_ID,x-env=AWS_ACCESS_KEY" jsonschema_description:"AWS access key ID."`
	SecretKey     secret.Secret `json:"secret_key" jsonschema_extras:"x-aliases=aws_secret_access_key,x-aliases=aws_secret_key,x-env=AWS_SECRET_ACCESS_KEY,x-env=AWS_SECRET_KEY" jsonschema_description:"AWS secret access key."`
	SessionToken  secret.Secret `json:"session_token" jsonschema_extras:"x-aliases=aws_session_token,x-env=AWS_SESSION_TOKEN,x-env=AWS_SECURITY_TOKEN" jsonschema_description:"AWS STS session token, for temporary credentials."`
	EndpointURL   string        `json:"endpoint_url" jsonschema:"format=uri" jsonschema_extras:"x-aliases=aws_endpoint_url,x-env=AWS_URL,x-env=AWS_ENDPOINT_URL" jsonschema_description:"URL to use instead of the default AWS endpoints."`
	AssumeRoleARN string        `json:"assume_role_arn" jsonschema:"pattern=^arn:[a-z-]+:iam::[0-9]{12}:role/.+$" jsonschema_extras:"x-aliases=iam_role_arn,x-allowed=the ARN of an IAM role" jsonschema_description:"The ARN of an IAM role to assume, with the credentials given."`
	AWSCABundle   string        `json:"aws_ca_bundle" jsonschema_extras:"x-type=path,x-env=AWS_CA_BUNDLE" jsonschema_description:"Path of a PEM file with the certificate authorities to trust."`
	ValidateCerts bool          `json:"validate_certs" jsonschema:"default=true" jsonschema_description:"false: do not check TLS certificates of AWS's endpoints. Prefer aws_ca_bundle."`
}

// Package role is the contract with whoever uses the role instead of the modules: every variable as a struct field. It
// holds nothing but structs, of which `make generate` makes both roles' meta/argument_specs.yml and defaults/main.yml, and docs/options.md.
//
// A field of the type Same is passed to the modules: type, choices, default and description are those of their option
// of the same name, and a comment adds what only the role's user has to know. The rest is the role's own. The first
// sentence of an entry point's comment is what it is for; `group` is the heading over an embedded struct's variables. A new
// variable is a field with its comment, and `make generate`.
package role

// Prefix comes before the name of each variable.
const Prefix = "seqera_crypto_rotation_"

// Same is a variable that is the modules' option of the same name.
type Same struct{}

// Main rotates the crypto key of a Seqera Platform, from outage to restart.
//
// Carries out the installer's page "(Optional) Crypto Secret Rotation", step by step, once.
//
// In check mode it shows what would happen and touches nothing.
//
// A run that was cut off goes on where SSM, the containers and the database say that it was.
//
// At least one of O(rotation_id), O(max_age_days), O(new_secret) and O(new_secret_from_escrow) is needed.
//
// The role C(seqera_crypto_fleet) does it for a fleet, with the same variables.
type Main struct {
	Which   `group:"Which Platform, and which rotation"`
	Machine `group:"The Platform on its VM"`
	Backup  `group:"The backup that the old key opens"`
	Writing `group:"How the parameters are written"`
	SSM     `group:"How SSM is reached"`
	Waiting `group:"How long to wait, in seconds, and what is said meanwhile"`
	Proving `group:"How completion is proved"`
	Outages `group:"The outages"`
}

// Abort brings the old key back, from any point of a rotation that is not proved.
//
// Entered by playbooks/abort-crypto.yml; the variables of the entry point main say where SSM, credentials and Platform are.
type Abort struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
}

// Rotate rotates one Platform of a fleet, where no stop rule forbids it.
//
// Entered by playbooks/rotate-crypto.yml, after the entry points C(due) and C(preflight) on every host. The variables of the role
// C(seqera_crypto_rotation) hold.
type Rotate struct {
	Fleet `group:"What stops a run"`
}

// Report makes one report of the run.
//
// Entered by playbooks/rotate-crypto.yml at its end. The reports of crypto-status.yml go to the same directory.
type Report struct {
	Reports `group:"Reports"`
}

// Drill proves that the key in escrow that is tied to a dump opens its records.
//
// Entered by playbooks/verify-backup.yml; the variables of the entry point main say where escrow, credentials and Platform are.
type Drill struct {
	// The backup's identifier, as it is tied to its key.
	Backup string `json:"drill_backup" jsonschema:"required"`

	// The dump's path on the control node; fetched from the VM if left out.
	Dump string `json:"drill_dump"`

	// Image of the throwaway database; that of the Platform's own if left out.
	Image string `json:"drill_image"`

	// URL of the Docker Engine on the control node, if it is not the local socket.
	DockerHost string `json:"drill_docker_host"`

	// Fingerprint of another key in escrow to try.
	Key string `json:"drill_key"`
}

// Status looks at one Platform for the table of the fleet.
//
// Entered by playbooks/crypto-status.yml; the variables of the entry point main say where escrow, credentials and Platform are.
type Status struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
	MaxAgeDays       Same `json:"max_age_days"`

	// Whether the VM is asked for its containers and records; else SSM alone.
	Records bool `json:"status_records" jsonschema:"default=true"`

	// How many days before the key is due the verdict is due_soon.
	WarnDays int `json:"warn_days" jsonschema:"default=14"`
}

// StatusReport makes one table of the fleet.
//
// Entered by playbooks/crypto-status.yml, after the entry point status on every host.
type StatusReport struct {
	// Verdicts that make the playbook fail.
	FailOn []string `json:"status_fail_on" jsonschema:"enum=overdue,enum=half_finished,enum=due_soon,enum=unknown"`
}

// Plays takes the playbooks' own variables.
//
// Give them with C(-e): Ansible reads them before it knows the hosts.
type Plays struct {
	// Pattern of the hosts.
	Hosts string `json:"hosts" jsonschema:"default=seqera_platforms"`

	// Sizes of the batches, as Ansible's keyword serial has them. playbooks/abort-crypto.yml takes one host after the other.
	Serial []string `json:"serial" jsonschema:"default=1,default=10%,default=100%"`

	// Ansible's strategy within a batch. With V(host_pinned) no host waits for the others.
	Strategy string `json:"strategy" jsonschema:"default=host_pinned"`
}

// Which says which Platform, and which rotation.
type Which struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
	RotationID       Same `json:"rotation_id"`
	MaxAgeDays       Same `json:"max_age_days"`

	// With it, the tasks that take it run under no_log, which hides their diff as well.
	NewSecret           Same `json:"new_secret"`
	NewSecretFromEscrow Same `json:"new_secret_from_escrow"`

	// The role looks at the records itself, before anything is written.
	Adopt Same `json:"adopt"`
}

// Machine is the Platform on its VM.
type Machine struct {
	// Directory of docker-compose.yml on the VM.
	ComposeDir string `json:"compose_dir" jsonschema:"default=/home/ec2-user"`

	// User on the VM who runs docker compose. Left out: the owner of O(compose_dir).
	//
	// Every task on the VM runs as this user, whatever C(ansible_become) says, because compose files name their paths with
	// C($HOME) and C($PWD).
	ComposeUser string `json:"compose_user"`

	ComposeProject  Same `json:"compose_project"`
	ComposeFiles    Same `json:"compose_files"`
	ComposeEnvFiles Same `json:"compose_env_files"`
	ComposeProfiles Same `json:"compose_profiles"`
	AllowDrift      Same `json:"allow_drift"`

	// Docker compose names the other services.
	Services         Same `json:"services"`
	HealthURL        Same `json:"health_url"`
	BackendHealthURL Same `json:"backend_health_url"`
	DockerHost       Same `json:"docker_host"`
	Database         Same `json:"database"`
}

// Backup is what the old key opens.
type Backup struct {
	// How the database backup comes about.
	//
	// V(provided) means that somebody made it and names it in O(backups). V(mysqldump) makes one in the database's
	// container, V(rds_snapshot) has RDS make one of O(rds_instance).
	Backup string `json:"backup" jsonschema:"enum=provided,enum=mysqldump,enum=rds_snapshot,default=provided"`

	// Needed with O(backup=provided). An absolute path must be a file on the VM and the ARN of an RDS snapshot must be
	// available, neither older than O(backup_max_age); what else is named is taken at its word.
	Backups       Same `json:"backups"`
	BackupsWaived Same `json:"backups_waived"`
	ApprovedBy    Same `json:"approved_by"`

	// Seconds that a backup of O(backup=provided) may be old, as far as it can be seen; 0 for any age.
	MaxAge int `json:"backup_max_age" jsonschema:"default=86400"`

	// Directory on the VM for the dumps of O(backup=mysqldump). C(~) is the home of the compose user.
	//
	// A missing directory is created, readable by the compose user alone. An existing one keeps its mode.
	Dir string `json:"backup_dir" jsonschema:"default=~/.seqera-crypto-rotation/backups"`

	// The compose service of the database, for O(backup=mysqldump).
	//
	// The dump uses the login of the backend (E(TOWER_DB_USER), E(TOWER_DB_PASSWORD)), or else that of the database's own
	// container (E(MYSQL_USER), E(MARIADB_USER) and so on, or root).
	Service string `json:"backup_service" jsonschema:"default=db"`

	// DB instance identifier, for O(backup=rds_snapshot).
	RDSInstance string `json:"rds_instance"`
}

// Writing is how the parameters are written.
type Writing struct {
	Standalone Same `json:"standalone"`

	// Absolute path of a task file of yours that runs terraform apply during the outage; needed for O(standalone=delete).
	AfterPrepareTasks string `json:"after_prepare_tasks"`
	ChunkSize         Same   `json:"chunk_size"`
	AllowAdvancedTier Same   `json:"allow_advanced_tier"`
	ConfigPrefix      Same   `json:"config_prefix"`
	CustodyPrefix     Same   `json:"custody_prefix"`
	EscrowKMSKeyID    Same   `json:"escrow_kms_key_id"`
}

// SSM is how it is reached, from the control node and from the VM.
type SSM struct {
	// The host that has the operator's AWS credentials: SSM is written from there.
	Delegate string `json:"delegate" jsonschema:"default=localhost"`

	// How both hosts reach AWS, as options of the modules.
	AWS AWS `json:"aws"`
}

// AWS are the options of amazon.aws.
type AWS struct {
	Region        Same `json:"region"`
	EndpointURL   Same `json:"endpoint_url"`
	AWSCABundle   Same `json:"aws_ca_bundle"`
	ValidateCerts Same `json:"validate_certs"`

	// The operator's. Not used on the VM.
	Profile Same `json:"profile"`

	// The operator's. Not used on the VM.
	AccessKey Same `json:"access_key"`

	// The operator's. Not used on the VM. With it, the tasks that take it run under no_log, which hides their diff as well.
	SecretKey Same `json:"secret_key"`

	// The operator's. Not used on the VM.
	SessionToken Same `json:"session_token"`

	// Not used on the VM.
	AssumeRoleARN Same `json:"assume_role_arn"`
}

// Waiting is how long to wait, and what is said meanwhile.
type Waiting struct {
	// Seconds to wait for the Platform to be ready after a start.
	ReadyTimeout int `json:"ready_timeout" jsonschema:"default=600"`

	WaitTimeout  Same `json:"wait_timeout"`
	PollInterval Same `json:"poll_interval"`
	StallTimeout Same `json:"stall_timeout"`
}

// Proving is how completion is proved.
type Proving struct {
	Verify     Same `json:"verify"`
	AttestedBy Same `json:"attested_by"`

	AcceptUnreadable    Same `json:"accept_unreadable"`
	BaselineDir         Same `json:"baseline_dir"`
	MaxRecordsPerSecond Same `json:"max_records_per_second"`
}

// Outages are when, and what goes down.
type Outages struct {
	// When the page's second outage follows. V(later) leaves the Platform running, with every record proved and both keys
	// in place, until a run with V(now).
	Second string `json:"second_outage" jsonschema:"enum=now,enum=later,default=now"`

	// What the outages take down. V(all) is the page's docker compose down; V(key_holders) stops and starts backends and cron
	// alone, all that read keys. The second outage is then after the rotation's parameters are removed, while the Platform
	// runs.
	//
	// V(handover) is V(key_holders) with outages of seconds, however long a backend needs to start: the next backend is ready
	// beside the old one before that stops. It needs memory for two. The new container has the service's name.
	RestartScope string `json:"restart_scope" jsonschema:"enum=all,enum=key_holders,enum=handover,default=all"`

	// No outage begins after this time, such as C(2026-12-01T05:00:00+01:00).
	NotAfter string `json:"not_after"`

	// Absolute path of a task file of yours, run before each outage. If it fails, the outage does not begin.
	BeforeTasks string `json:"before_outage_tasks"`

	// Absolute path of a task file of yours, run after each outage, once the Platform is up again. If it fails, the run stops
	// and the Platform stays up.
	AfterTasks string `json:"after_outage_tasks"`
}

// Fleet is what stops the rotation of many hosts.
type Fleet struct {
	// Whether a host that preflight refuses stops the run before the first outage, or is left out.
	OnPreflightFailure string `json:"on_preflight_failure" jsonschema:"enum=stop,enum=skip,default=stop"`

	// How many of the hosts that are to be rotated may fail, in percent, before no other begins. A failure in the first
	// batch always stops the run.
	MaxFailPercentage int `json:"max_fail_percentage" jsonschema:"default=0"`

	// Seconds that preflight may be old when the outage begins; older, and it is repeated.
	PreflightMaxAge int `json:"preflight_max_age" jsonschema:"default=300"`
}

// Reports are of runs.
type Reports struct {
	// Directory on the control node for the reports of runs; none are written if it is empty.
	Dir string `json:"report_dir" jsonschema:"default=./reports"`

	// A task file of yours, run once at the end with seqera_crypto_rotation_report (the report) and
	// seqera_crypto_rotation_report_files.
	NotifyTasks string `json:"notify_tasks" jsonschema_extras:"x-type=path"`
}

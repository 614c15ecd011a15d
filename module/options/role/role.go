// Package role defines the variables of the roles and playbooks, each as a struct field. It contains only structs. `make generate`
// turns them into both roles' meta/argument_specs.yml and defaults/main.yml, and into docs/options.md.
//
// A field of type Same is passed to the modules. It takes type, choices, default and description from the module option of the same
// name; its comment adds what only a user of the role needs to know. All other fields belong to the role alone. The first sentence of
// an entry point's comment is its short description. The tag `group` is the heading above the variables of an embedded struct. To add
// a variable, add a field with a comment and run `make generate`.
package role

// Prefix is the prefix of the name of every variable.
const Prefix = "seqera_crypto_rotation_"

// Same marks a variable that is the same as the modules' option of that name.
type Same struct{}

// Main rotates the crypto key of a Seqera Platform, from outage to restart.
//
// Carries out the installer's page "(Optional) Crypto Secret Rotation" once, step by step.
//
// In check mode it shows what would happen and changes nothing.
//
// After an interrupted run, it continues from the state that it finds in SSM, the containers and the database.
//
// At least one of O(rotation_id), O(max_age_days), O(new_secret) and O(new_secret_from_escrow) is required.
//
// The role C(seqera_crypto_fleet) rotates a fleet, with the same variables.
type Main struct {
	Which   `group:"Which Platform, and which rotation"`
	Machine `group:"The Platform on its VM"`
	Backup  `group:"The backup that the old key opens"`
	Writing `group:"How the parameters are written"`
	SSM     `group:"How SSM is reached"`
	Waiting `group:"How long to wait, in seconds"`
	Proving `group:"How completion is proved"`
	Outages `group:"The outages"`
}

// Abort restores the old key, at any point of a rotation that is not proved.
//
// Used by the playbook abort_crypto. The variables of the entry point main say how to reach SSM and the Platform.
type Abort struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
}

// Rotate rotates one Platform of a fleet, unless a stop rule forbids it.
//
// Used by the playbook rotate_crypto, after the entry points C(due) and C(preflight) on every host. The variables of the role
// C(seqera_crypto_rotation) apply.
type Rotate struct {
	Fleet `group:"What stops a run"`
}

// Report writes one report of the run.
//
// Used by the playbook rotate_crypto at its end. The reports of crypto_status go to the same directory.
type Report struct {
	Reports `group:"Reports"`
}

// Drill verifies that the key in escrow that is tied to a database dump opens the records in that dump.
//
// Used by the playbook verify_backup. The variables of the entry point main say how to reach escrow and the Platform.
type Drill struct {
	// Identifier of the backup, as escrow records it with the key.
	Backup string `json:"drill_backup" jsonschema:"required"`

	// Path of the dump on the control node. By default the dump is fetched from the VM.
	Dump string `json:"drill_dump"`

	// Image of the temporary database. By default it is the image of the Platform's database.
	Image string `json:"drill_image"`

	// URL of the Docker Engine on the control node. By default it is the local socket.
	DockerHost string `json:"drill_docker_host"`

	// Fingerprint of another key in escrow to try.
	Key string `json:"drill_key"`
}

// Status checks one Platform for the status table of the fleet.
//
// Used by the playbook crypto_status. The variables of the entry point main say how to reach escrow and the Platform.
type Status struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
	MaxAgeDays       Same `json:"max_age_days"`

	// Whether to check the containers and records on the VM as well. If false, only SSM is read.
	Records bool `json:"status_records" jsonschema:"default=true"`

	// Number of days before the key is due from which the verdict is due_soon.
	WarnDays int `json:"warn_days" jsonschema:"default=14"`
}

// StatusReport writes the status table of the fleet.
//
// Used by the playbook crypto_status, after the entry point status on every host.
type StatusReport struct {
	// Verdicts that make the playbook fail.
	FailOn []string `json:"status_fail_on" jsonschema:"enum=overdue,enum=half_finished,enum=due_soon,enum=unknown"`
}

// Plays takes the playbooks' own variables.
//
// Set them with C(-e): Ansible reads them before it knows the hosts.
type Plays struct {
	// Host pattern of the plays.
	Hosts string `json:"hosts" jsonschema:"default=seqera_platforms"`

	// Batch sizes, as for Ansible's keyword serial. The playbook abort_crypto handles one host at a time.
	Serial []string `json:"serial" jsonschema:"default=1,default=10%,default=100%"`

	// Ansible's strategy within a batch. With V(host_pinned) no host waits for the others.
	Strategy string `json:"strategy" jsonschema:"default=host_pinned"`
}

// Which identifies the Platform and the rotation.
type Which struct {
	AppName          Same `json:"app_name"`
	OmnibusParameter Same `json:"omnibus_parameter" jsonschema:"required"`
	RotationID       Same `json:"rotation_id"`
	MaxAgeDays       Same `json:"max_age_days"`

	// If you set it, the tasks that use it run with no_log, which also hides their diff.
	NewSecret           Same `json:"new_secret"`
	NewSecretFromEscrow Same `json:"new_secret_from_escrow"`

	// The role checks the records itself before it writes anything.
	Adopt Same `json:"adopt"`
}

// Machine is the Platform on its VM.
type Machine struct {
	// Directory of docker-compose.yml on the VM.
	ComposeDir string `json:"compose_dir" jsonschema:"default=/home/ec2-user"`

	// User on the VM who runs docker compose. By default it is the owner of O(compose_dir).
	//
	// Every task on the VM runs as this user, whatever C(ansible_become) says, because compose files use C($HOME) and C($PWD) in
	// their paths.
	ComposeUser string `json:"compose_user"`

	ComposeProject  Same `json:"compose_project"`
	ComposeFiles    Same `json:"compose_files"`
	ComposeEnvFiles Same `json:"compose_env_files"`
	ComposeProfiles Same `json:"compose_profiles"`
	AllowDrift      Same `json:"allow_drift"`

	// Other services are found in the compose file.
	Services         Same `json:"services"`
	HealthURL        Same `json:"health_url"`
	BackendHealthURL Same `json:"backend_health_url"`
	DockerHost       Same `json:"docker_host"`
	Database         Same `json:"database"`
}

// Backup is the database backup that the old key opens.
type Backup struct {
	// How to create the database backup.
	//
	// With V(provided), you create it and name it in O(backups). V(mysqldump) creates a dump in the database's container.
	// V(rds_snapshot) has RDS create a snapshot of O(rds_instance).
	Backup string `json:"backup" jsonschema:"enum=provided,enum=mysqldump,enum=rds_snapshot,default=provided"`

	// Required with O(backup=provided). An absolute path must be a file on the VM, and the ARN of an RDS snapshot must be available.
	// Neither may be older than O(backup_max_age). Other identifiers are not checked.
	Backups       Same `json:"backups"`
	BackupsWaived Same `json:"backups_waived"`
	ApprovedBy    Same `json:"approved_by"`

	// Maximum age in seconds of a backup with O(backup=provided), if its age can be determined. 0 allows any age.
	MaxAge int `json:"backup_max_age" jsonschema:"default=86400"`

	// Directory on the VM for the dumps of O(backup=mysqldump). C(~) is the home directory of the compose user.
	//
	// A missing directory is created, readable only by the compose user. An existing one keeps its mode.
	Dir string `json:"backup_dir" jsonschema:"default=~/.seqera-crypto-rotation/backups"`

	// The compose service of the database, for O(backup=mysqldump).
	//
	// The dump uses the login of the backend (E(TOWER_DB_USER), E(TOWER_DB_PASSWORD)), or else the login of the database's own
	// container (E(MYSQL_USER), E(MARIADB_USER) and so on, or root).
	Service string `json:"backup_service" jsonschema:"default=db"`

	// DB instance identifier, for O(backup=rds_snapshot).
	RDSInstance string `json:"rds_instance"`
}

// Writing says how the parameters are written.
type Writing struct {
	Standalone Same `json:"standalone"`

	// Absolute path of your task file that runs terraform apply during the outage. Required for O(standalone=delete).
	AfterPrepareTasks string `json:"after_prepare_tasks"`
	ChunkSize         Same   `json:"chunk_size"`
	AllowAdvancedTier Same   `json:"allow_advanced_tier"`
	ConfigPrefix      Same   `json:"config_prefix"`
	CustodyPrefix     Same   `json:"custody_prefix"`
	EscrowKMSKeyID    Same   `json:"escrow_kms_key_id"`
}

// SSM says how to reach SSM, from the control node and from the VM.
type SSM struct {
	// Host with the operator's AWS credentials. The role writes to SSM from this host.
	Delegate string `json:"delegate" jsonschema:"default=localhost"`

	// AWS options of the modules, for both hosts.
	AWS AWS `json:"aws"`
}

// AWS holds the options of amazon.aws.
type AWS struct {
	Region        Same `json:"region"`
	EndpointURL   Same `json:"endpoint_url"`
	AWSCABundle   Same `json:"aws_ca_bundle"`
	ValidateCerts Same `json:"validate_certs"`

	// Not used on the VM.
	Profile Same `json:"profile"`

	// Not used on the VM.
	AccessKey Same `json:"access_key"`

	// Not used on the VM. If you set it, the tasks that use it run with no_log, which also hides their diff.
	SecretKey Same `json:"secret_key"`

	// Not used on the VM.
	SessionToken Same `json:"session_token"`

	// Not used on the VM.
	AssumeRoleARN Same `json:"assume_role_arn"`
}

// Waiting says how long to wait, and what is reported meanwhile.
type Waiting struct {
	// Maximum seconds to wait until the Platform is ready after a start.
	ReadyTimeout int `json:"ready_timeout" jsonschema:"default=600"`

	WaitTimeout  Same `json:"wait_timeout"`
	PollInterval Same `json:"poll_interval"`
	StallTimeout Same `json:"stall_timeout"`
}

// Proving says how completion is proved.
type Proving struct {
	Verify     Same `json:"verify"`
	AttestedBy Same `json:"attested_by"`

	AcceptUnreadable    Same `json:"accept_unreadable"`
	BaselineDir         Same `json:"baseline_dir"`
	MaxRecordsPerSecond Same `json:"max_records_per_second"`
}

// Outages says when the outages are, and what they stop.
type Outages struct {
	// When the page's second outage takes place. V(later) leaves the Platform running, with every record proved and both keys in
	// place, until a run with V(now).
	Second string `json:"second_outage" jsonschema:"enum=now,enum=later,default=now"`

	// What the outages stop. V(all) is the page's docker compose down. V(key_holders) stops and starts only backends and cron, the
	// services that read the keys. The rotation's parameters are then removed while the Platform runs, before the second outage.
	//
	// V(handover) is like V(key_holders), but each outage lasts only seconds, however long a backend takes to start. The next backend
	// is ready before the old one stops. This needs memory for two backends. The new container gets the name of the service.
	RestartScope string `json:"restart_scope" jsonschema:"enum=all,enum=key_holders,enum=handover,default=all"`

	// No outage starts after this time, such as C(2026-12-01T05:00:00+01:00).
	NotAfter string `json:"not_after"`

	// Absolute path of your task file that runs before each outage. If it fails, the outage does not start.
	BeforeTasks string `json:"before_outage_tasks"`

	// Absolute path of your task file that runs after each outage, once the Platform is up again. If it fails, the run stops and
	// the Platform stays up.
	AfterTasks string `json:"after_outage_tasks"`
}

// Fleet says when to stop the rotation of a fleet.
type Fleet struct {
	// What happens if preflight refuses a host. V(stop) stops the run before the first outage. V(skip) skips the host.
	OnPreflightFailure string `json:"on_preflight_failure" jsonschema:"enum=stop,enum=skip,default=stop"`

	// Percentage of the hosts to rotate that may fail before no further host starts. A failure in the first batch always stops the
	// run.
	MaxFailPercentage int `json:"max_fail_percentage" jsonschema:"default=0"`

	// Maximum age of the preflight in seconds when the outage starts. An older preflight is repeated.
	PreflightMaxAge int `json:"preflight_max_age" jsonschema:"default=300"`
}

// Reports says where to write reports.
type Reports struct {
	// Directory on the control node for the reports. If it is empty, no reports are written.
	Dir string `json:"report_dir" jsonschema:"default=./reports"`

	// Your task file that runs once at the end, with the variables seqera_crypto_rotation_report (the report) and
	// seqera_crypto_rotation_report_files.
	NotifyTasks string `json:"notify_tasks" jsonschema_extras:"x-type=path"`
}

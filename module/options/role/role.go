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

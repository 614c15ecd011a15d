// Package options is the contract with whoever writes the playbook: every option as a struct field that carries its name,
// type, default, choices, aliases and description, and the checks that need nothing but the options. It must not know what
// is done with them, and it reads neither environment nor files itself.
package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// Rotation is what seqera_crypto_rotation is asked for. Defaults are filled in and every value is checked.
type Rotation struct {
	State               string         `json:"state" jsonschema:"required,enum=prepared,enum=rotating,enum=finalized,enum=aborted" jsonschema_description:"The desired state of one Platform installation."`
	AppName             string         `json:"app_name" jsonschema:"required,pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -" jsonschema_description:"The installation's micronaut.application.name. It must agree with the ssm_keys of the omnibus."`
	OmnibusParameter    string         `json:"omnibus_parameter" jsonschema:"maxLength=1011,pattern=^((/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+)$" jsonschema_extras:"x-trim=/,x-allowed=at most 1011 letters\\, digits\\, _ . - and /; with a / at the start if there is one at all" jsonschema_description:"Name of the SSM parameter that holds the omnibus. Required for the states prepared, finalized and aborted."`
	NewSecret           secret.Secret  `json:"new_secret" jsonschema:"minLength=25,pattern=^[A-Za-z0-9]*$" jsonschema_extras:"x-error-code=invalid_key,x-allowed=25 or more ASCII letters and digits" jsonschema_description:"The new key. Left out, the module makes one of 40 letters and digits that no human ever sees."`
	NewSecretFromEscrow string         `json:"new_secret_from_escrow" jsonschema:"pattern=^[0-9a-f]{16}$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits" jsonschema_description:"Fingerprint of a key in escrow to rotate to, instead of a new one: back to an earlier key, or to the one of a backup that was restored."`
	RotationID          string         `json:"rotation_id" jsonschema:"pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -" jsonschema_description:"Names this rotation. A rotation whose id the ledger says is finished is not done again."`
	MaxAgeDays          *int           `json:"max_age_days" jsonschema:"minimum=0" jsonschema_description:"Rotate only if the current key is older than this many days."`
	Backups             []string       `json:"backups" jsonschema:"minLength=1" jsonschema_description:"Identifiers of the database backups that the retiring key opens. Required for the state prepared unless backups_waived is true."`
	BackupsWaived       bool           `json:"backups_waived" jsonschema:"default=false" jsonschema_description:"Rotate although no backup is named."`
	ChunkSize           *int           `json:"chunk_size" jsonschema:"minimum=1,maximum=10000" jsonschema_description:"Records that the Platform re-encrypts per chunk. Left out, its own default (50) holds and no entry is written."`
	AllowAdvancedTier   bool           `json:"allow_advanced_tier" jsonschema:"default=false" jsonschema_description:"May a parameter that outgrows 4096 bytes become an Advanced one? It costs money and cannot go back."`
	Standalone          string         `json:"standalone" jsonschema:"enum=write,enum=delete,default=write" jsonschema_description:"write: the module makes the standalone parameters agree with the omnibus. delete: it deletes the standalone current key and leaves its creation to terraform apply."`
	ConfigPrefix        string         `json:"config_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/config/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /" jsonschema_description:"Where the standalone parameters are in SSM."`
	PreviousKeyName     string         `json:"previous_key_name" jsonschema:"maxLength=100,pattern=^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$,default=tower/secret-rotation/previous-key" jsonschema_extras:"x-trim=/,x-allowed=a name below config_prefix without a / at the start: letters\\, digits\\, _ . - and /" jsonschema_description:"Name of the previous key's standalone parameter below config_prefix."`
	CustodyPrefix       string         `json:"custody_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/seqera-crypto-rotation/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /" jsonschema_description:"Where lock, ledger and escrow are in SSM: outside what the VM's instance role may read."`
	EscrowKMSKeyID      string         `json:"escrow_kms_key_id" jsonschema:"minLength=1,maxLength=2048" jsonschema_description:"KMS key (id, ARN or alias) of what is created under custody_prefix. Left out, the key that protects the omnibus."`
	Proof               map[string]any `json:"proof" jsonschema_description:"What the state rotating returned as proof, unchanged; for the state aborted what seqera_crypto_rotation_info returned as untouched. Neither state goes on without one."`
	Wait                bool           `json:"wait" jsonschema:"default=true" jsonschema_description:"For the state rotating: wait until every record is proved to be under the new key."`
	WaitTimeout         int            `json:"wait_timeout" jsonschema:"minimum=0,default=3600" jsonschema_description:"Seconds to wait at most."`
	PollInterval        int            `json:"poll_interval" jsonschema:"minimum=1,default=5" jsonschema_description:"Seconds between two looks at the Platform and its records."`
	Verify              []string       `json:"verify" jsonschema:"minItems=1,enum=database,enum=logs,enum=attested,default=database" jsonschema_description:"How completion is proved; each way that is named must say so. database reads every record and opens it with the new key; logs takes a line of cron's log that matches complete_log_pattern, attested the word of attested_by: both are weaker, and the proof says so."`
	CompleteLogPattern  string         `json:"complete_log_pattern" jsonschema:"minLength=1" jsonschema_description:"For verify: logs. A regular expression (RE2) that a line of cron's log since its start must match. No such line is documented: its meaning is yours to know."`
	AttestedBy          string         `json:"attested_by" jsonschema:"minLength=1,maxLength=200" jsonschema_description:"For verify: attested. Who looked at the Encryption tab of the Admin panel and saw no record that is left."`
	AcceptUnreadable    []string       `json:"accept_unreadable" jsonschema:"minLength=1" jsonschema_description:"Ids (tw_secret.id) of records that may stay unreadable. They are passed over only if the baseline says that they were unreadable before the rotation."`
	ProofMaxAge         int            `json:"proof_max_age" jsonschema:"minimum=1,default=86400" jsonschema_description:"For the state finalized: seconds that a proof may be old."`
	StallTimeout        int            `json:"stall_timeout" jsonschema:"minimum=1,default=120" jsonschema_description:"Seconds without a changed record after which the state rotating says so, with cron's last lines."`
	ProgressFile        string         `json:"progress_file" jsonschema_extras:"x-type=path" jsonschema_description:"A file that the state rotating replaces after each look with how far it is (JSON, no secret), and removes at its end. The role's action plugin shows it."`
	BackendsReadyAt     string         `json:"backends_ready_at" jsonschema:"format=date-time" jsonschema_description:"When the role saw the backends ready, by the VM's clock. Lets the state rotating prove that cron started after that."`
	VM
	AWS
}

// Info is what seqera_crypto_rotation_info is asked for. Options that Rotation has too mean and allow the same.
type Info struct {
	AppName          string   `json:"app_name" jsonschema:"required,pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -" jsonschema_description:"The installation's micronaut.application.name. It must agree with the ssm_keys of the omnibus."`
	OmnibusParameter string   `json:"omnibus_parameter" jsonschema:"maxLength=1011,pattern=^((/[A-Za-z0-9_.-]+)+|[A-Za-z0-9_.-]+)$" jsonschema_extras:"x-trim=/,x-allowed=at most 1011 letters\\, digits\\, _ . - and /; with a / at the start if there is one at all" jsonschema_description:"Name of the SSM parameter that holds the omnibus. Left out where its reader is not allowed to see it, as on the Platform's VM."`
	Gather           []string `json:"gather" jsonschema:"minItems=1,enum=parameters,enum=platform,enum=records,enum=escrow,enum=ledger,default=parameters" jsonschema_description:"What to look at: the SSM parameters, the Platform's containers, the encrypted records, the keys in escrow (by fingerprint, with their backups), the ledger of rotations. The last two need the operator's credentials."`
	KeyFromEscrow    string   `json:"key_from_escrow" jsonschema:"pattern=^([0-9a-f]{16}|backup:.+)$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits\\, or backup: and a backup's identifier" jsonschema_description:"Open the records with this key of escrow instead of the one in use: the drill of a backup. backup:<identifier> is the key that is tied to that backup. Needs the operator's credentials, and the option database."`
	MaxAgeDays       *int     `json:"max_age_days" jsonschema:"minimum=0" jsonschema_description:"Report the key as due if it is older than this many days."`
	RotationID       string   `json:"rotation_id" jsonschema:"pattern=^[A-Za-z0-9_.-]{1\\,64}$" jsonschema_extras:"x-allowed=1 to 64 letters\\, digits and _ . -" jsonschema_description:"Report on the rotation of this name."`
	ConfigPrefix     string   `json:"config_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/config/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /" jsonschema_description:"Where the standalone parameters are in SSM."`
	PreviousKeyName  string   `json:"previous_key_name" jsonschema:"maxLength=100,pattern=^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$,default=tower/secret-rotation/previous-key" jsonschema_extras:"x-trim=/,x-allowed=a name below config_prefix without a / at the start: letters\\, digits\\, _ . - and /" jsonschema_description:"Name of the previous key's standalone parameter below config_prefix."`
	CustodyPrefix    string   `json:"custody_prefix" jsonschema:"maxLength=900,pattern=^(/[A-Za-z0-9_.-]+)+$,default=/seqera-crypto-rotation/<app_name>" jsonschema_extras:"x-trim=/,x-allowed=an SSM path: a / at the start\\, then letters\\, digits\\, _ . - and /" jsonschema_description:"Where lock, ledger and escrow are in SSM: outside what the VM's instance role may read."`
	VM
	AWS
}

// Package options defines and checks the options of both modules. Every option is a struct field. Tags hold its name, type, default,
// choices, aliases and secrecy; its comment is the description. The package must not know what is done with the options, and it reads
// neither the environment nor files itself.
//
// ansible-doc shows the comments, one paragraph each, with its markup: O(option), V(value), C(code), E(variable). `make generate`
// (module/generate) adds what the tags and needs say: allowed values, requirements and environment variables. To add an option, add a
// field with a comment here and its name in module/generate/pages/variables.yml, then run `make generate`.
package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// Rotation holds the options of seqera_crypto_rotation. Defaults are filled in, and every value is checked.
type Rotation struct {
	// The desired state of one Platform installation.
	//
	// V(prepared) runs on the control node with the operator's credentials. It puts both keys into escrow, then writes the new
	// key, the previous key and the rotation switch.
	//
	// V(rotating) runs on the Platform's VM with its instance role. It proves that backends and cron started in the right
	// order, and that every encrypted record is under the new key.
	//
	// V(finalized) runs on the control node. Given a complete proof, it removes what V(prepared) added.
	//
	// V(aborted) runs on the control node. Given a proof that no record is under the new key, it restores the old key.
	State string `json:"state" jsonschema:"required,enum=prepared,enum=rotating,enum=finalized,enum=aborted"`

	Installation

	// The new key. By default the module generates one of 40 letters and digits that no human ever sees.
	//
	// Leave it out if you can. Then no variable, file or log ever contains the key.
	NewSecret secret.Secret `json:"new_secret" jsonschema:"minLength=25,pattern=^[A-Za-z0-9]*$" jsonschema_extras:"x-error-code=invalid_key,x-allowed=25 or more ASCII letters and digits"`

	// Fingerprint of a key in escrow to rotate to, instead of a new key. Use it to return to an earlier key, or to the key of a
	// restored backup.
	NewSecretFromEscrow string `json:"new_secret_from_escrow" jsonschema:"pattern=^[0-9a-f]{16}$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits"`

	Due

	// Identifiers of the database backups that the old key opens. Escrow records them with the key. A rotation does not start
	// without a backup, unless O(backups_waived=true).
	Backups []string `json:"backups" jsonschema:"minLength=1"`

	// Rotate even if O(backups) names no backup.
	BackupsWaived bool `json:"backups_waived" jsonschema:"default=false"`

	// Who approved the rotation: a name, or the number of a change request. The run that starts the rotation records it in the
	// ledger, and the report shows it.
	ApprovedBy string `json:"approved_by" jsonschema:"minLength=1,maxLength=100"`

	// For O(state=prepared): stop once both keys are in escrow and the ledger entry is open, before any Platform parameter changes.
	//
	// The next O(state=prepared) without it continues from there.
	CaptureOnly bool `json:"capture_only" jsonschema:"default=false"`

	// For O(state=prepared): take over a rotation that somebody started by hand, following either revision of the page. The module
	// puts its two keys into escrow, opens a ledger entry and writes the missing parameters. It requires O(proof): what
	// seqera_crypto_rotation_info returned as explained, which proves that the two keys open the records. If there is no such rotation,
	// the option has no effect.
	Adopt bool `json:"adopt" jsonschema:"default=false"`

	// For O(state=aborted), if records may already be under the new key: swap the two keys, so that the Platform re-encrypts every
	// record under the old one. Then start the Platform in the documented order. O(state=rotating) and O(state=finalized) end the
	// rotation as aborted. With a O(proof) that no record is under the new key, the rotation is aborted at once.
	Reverse bool `json:"reverse" jsonschema:"default=false"`

	// For O(state=prepared): what seqera_crypto_rotation_info with C(gather: preflight) returned as compose. The ledger keeps its
	// project, dir, files, env_files, profiles and mounts, and the module returns them as platform while the rotation is open. Other
	// fields are ignored.
	Platform map[string]any `json:"platform"`

	// Number of records that the Platform re-encrypts per chunk. By default no entry is written, and the Platform uses its own
	// default (50).
	ChunkSize *int `json:"chunk_size" jsonschema:"minimum=1,maximum=10000"`

	// Allow the Advanced tier for parameters larger than 4096 bytes. Advanced parameters are billed and cannot be downgraded.
	AllowAdvancedTier bool `json:"allow_advanced_tier" jsonschema:"default=false"`

	// How the standalone parameters are brought in line with the omnibus.
	//
	// V(write): the module writes them.
	//
	// V(delete): the module deletes the standalone current key, and you create it again with C(terraform apply), as the page
	// describes. V(write) works with Terraform too.
	Standalone string `json:"standalone" jsonschema:"enum=write,enum=delete,default=write"`

	Places

	// KMS key (ID, ARN or alias) for the parameters under O(custody_prefix). By default it is the KMS key of the omnibus.
	EscrowKMSKeyID string `json:"escrow_kms_key_id" jsonschema:"minLength=1,maxLength=2048"`

	// For O(state=finalized), what O(state=rotating) returned as proof. For O(state=aborted), what seqera_crypto_rotation_info
	// returned as untouched. For O(adopt=true), what it returned as explained. Pass it unchanged. O(state=finalized) and
	// O(state=aborted) do not continue without one.
	Proof map[string]any `json:"proof"`

	// For O(state=rotating): wait until every record is proved to be under the new key.
	Wait bool `json:"wait" jsonschema:"default=true"`

	// Maximum seconds to wait until every record is proved.
	WaitTimeout int `json:"wait_timeout" jsonschema:"minimum=0,default=3600"`

	// Seconds between two checks of the Platform and its records.
	PollInterval int `json:"poll_interval" jsonschema:"minimum=1,default=5"`

	// How completion is proved. Every method in the list must confirm it.
	//
	// V(database) reads every record and opens it with the new key. V(attested) relies on the word of O(attested_by). That is weaker,
	// and the proof says so. Without V(database), no record is read.
	Verify []string `json:"verify" jsonschema:"minItems=1,enum=database,enum=attested,default=database"`

	// Name of the person who checked the Encryption tab of the Admin panel and saw that no record is left to re-encrypt.
	AttestedBy string `json:"attested_by" jsonschema:"minLength=1,maxLength=200"`

	// IDs (C(tw_secret.id)) of records that may stay unreadable. A record is skipped only if it was already unreadable in the
	// baseline. The proof lists the skipped records.
	AcceptUnreadable []string `json:"accept_unreadable" jsonschema:"minLength=1"`

	// Seconds without a changed record after which the progress reports a stall, with the last lines of cron's log.
	StallTimeout int `json:"stall_timeout" jsonschema:"minimum=1,default=120"`

	// A file to which O(state=rotating) writes its progress (JSON, no secret) after each check. It removes the file at the end.
	// The role's action plugin displays it.
	ProgressFile string `json:"progress_file" jsonschema_extras:"x-type=path"`

	// Time at which the role saw the backends ready, by the VM's clock. It lets O(state=rotating) prove that cron started later.
	BackendsReadyAt string `json:"backends_ready_at" jsonschema:"format=date-time" jsonschema_extras:"x-allowed=a time with a time zone\\, such as 2026-01-31T22:15:00Z"`

	VM
	AWS
}

// Info holds the options of seqera_crypto_rotation_info. Defaults are filled in, and every value is checked.
type Info struct {
	Installation

	// What to gather.
	//
	// V(parameters): the SSM parameters. V(platform): the Platform's containers, and whether it is ready. V(records): the
	// encrypted records, each opened. V(count): only the number of records. V(database): wait up to O(ready_timeout) seconds until
	// the database answers a query.
	//
	// V(preflight): whether Docker Compose would start the same Platform that is running, and whether that Platform can rotate. If
	// not, the module fails and lists every problem. V(handover): together with V(preflight), whether a second backend can run next
	// to the first.
	//
	// V(escrow): the keys in escrow, by fingerprint, with their backups. V(ledger): the ledger of rotations. Both require the
	// operator's credentials.
	Gather []string `json:"gather" jsonschema:"minItems=1,enum=parameters,enum=platform,enum=preflight,enum=handover,enum=records,enum=count,enum=database,enum=escrow,enum=ledger,default=parameters"`

	// Open the records with this key from escrow instead of the key in use, to verify a backup.
	//
	// C(backup:<identifier>) selects the key that is tied to that backup. This option requires the operator's credentials.
	KeyFromEscrow string `json:"key_from_escrow" jsonschema:"pattern=^([0-9a-f]{16}|backup:.+)$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits\\, or backup: and a backup's identifier"`

	// What an earlier run returned as compose, or seqera_crypto_rotation returned as platform. With C(gather: platform) or
	// C(gather: preflight), the module fails if the Platform uses, or would use, a different project or different mounts.
	Platform map[string]any `json:"platform"`

	Compose
	Due
	Places
	VM
	AWS
}

// Package options is the contract with whoever writes the playbook: every option as a struct field that carries its name,
// type, default, choices, aliases and secrecy in tags and its description as a comment, and the checks that need nothing
// but the options. It must not know what is done with them, and it reads neither environment nor files itself.
//
// The comments are what ansible-doc shows, a paragraph each, with its markup: O(option), V(value), C(code), E(variable).
// `make generate` (module/generate) adds what tags and needs say: what is allowed, requirements, environment variables. A
// new option is a field with its comment here, a field of the type Same in options/role, and `make generate`.
package options

import "github.com/seqera-tools/crypto-rotation/module/secret"

// Rotation is what seqera_crypto_rotation is asked for. Defaults are filled in and every value is checked.
type Rotation struct {
	// The desired state of one Platform installation.
	//
	// V(prepared) needs the operator's credentials and runs on the control node: it puts both keys in escrow, then writes
	// the new key, the previous key and the rotation switch.
	//
	// V(rotating) runs on the Platform's VM with its instance role: it proves that backends and cron started in the right
	// order and that every encrypted record is under the new key.
	//
	// V(finalized) runs on the control node: with a complete proof it removes what V(prepared) added.
	//
	// V(aborted) runs on the control node: with a proof that no record is under the new key it brings the old one back.
	State string `json:"state" jsonschema:"required,enum=prepared,enum=rotating,enum=finalized,enum=aborted"`

	Installation

	// The new key. Left out, the module makes one of 40 letters and digits that no human ever sees.
	//
	// Prefer leaving it out: then no variable, file or log ever holds it.
	NewSecret secret.Secret `json:"new_secret" jsonschema:"minLength=25,pattern=^[A-Za-z0-9]*$" jsonschema_extras:"x-error-code=invalid_key,x-allowed=25 or more ASCII letters and digits"`

	// Fingerprint of a key in escrow to rotate to, instead of a new one: back to an earlier key, or to the one of a backup
	// that was restored.
	NewSecretFromEscrow string `json:"new_secret_from_escrow" jsonschema:"pattern=^[0-9a-f]{16}$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits"`

	Due

	// Identifiers of the database backups that the old key opens; it is tied to them in escrow. A rotation does not
	// begin without one, unless O(backups_waived=true).
	Backups []string `json:"backups" jsonschema:"minLength=1"`

	// Rotate although no backup is named.
	BackupsWaived bool `json:"backups_waived" jsonschema:"default=false"`

	// Who approved the rotation: a name, or the number of a change. The ledger keeps it from the run that begins the rotation; the
	// report shows it.
	ApprovedBy string `json:"approved_by" jsonschema:"minLength=1,maxLength=100"`

	// For O(state=prepared): end once both keys are in escrow and the ledger is open, before anything of the Platform changes.
	//
	// The next O(state=prepared) without it continues from there.
	CaptureOnly bool `json:"capture_only" jsonschema:"default=false"`

	// For O(state=prepared): take over a rotation that somebody began by hand, following either revision of the page: its two keys go
	// into escrow, a ledger entry is opened, and what its parameters lack is written. Needs as O(proof) what seqera_crypto_rotation_info
	// returned as explained, which says that the two keys open the records. Without such a rotation it changes nothing.
	Adopt bool `json:"adopt" jsonschema:"default=false"`

	// For O(state=aborted), where records may be under the new key already: the two keys change places, and the Platform re-encrypts
	// every record under the old one. Start it in the documented order after this, then O(state=rotating) and O(state=finalized) end
	// the rotation as aborted. With a O(proof) that no record is under the new key the rotation is aborted at once.
	Reverse bool `json:"reverse" jsonschema:"default=false"`

	// For O(state=prepared): what seqera_crypto_rotation_info with C(gather: preflight) returned as compose. Its project, dir, files, env_files, profiles
	// and mounts are kept in the ledger and returned as platform while the rotation is open; other fields are ignored.
	Platform map[string]any `json:"platform"`

	// Records that the Platform re-encrypts per chunk. Left out, its own default (50) holds and no entry is written.
	ChunkSize *int `json:"chunk_size" jsonschema:"minimum=1,maximum=10000"`

	// May a parameter that outgrows 4096 bytes become an Advanced one? It costs money and cannot go back.
	AllowAdvancedTier bool `json:"allow_advanced_tier" jsonschema:"default=false"`

	// Who makes the standalone parameters agree with the omnibus.
	//
	// V(write): the module does.
	//
	// V(delete): the module deletes the standalone current key and leaves its creation to C(terraform apply). That is what
	// the page describes, for those whose Terraform owns these parameters.
	Standalone string `json:"standalone" jsonschema:"enum=write,enum=delete,default=write"`

	Places

	// KMS key (id, ARN or alias) of what is created under O(custody_prefix). Left out, the key that protects the omnibus.
	EscrowKMSKeyID string `json:"escrow_kms_key_id" jsonschema:"minLength=1,maxLength=2048"`

	// What O(state=rotating) returned as proof, unchanged; for O(state=aborted) what seqera_crypto_rotation_info returned
	// as untouched, for O(adopt=true) what it returned as explained. O(state=finalized) and O(state=aborted) do not go on without one.
	Proof map[string]any `json:"proof"`

	// For O(state=rotating): wait until every record is proved to be under the new key.
	Wait bool `json:"wait" jsonschema:"default=true"`

	// Seconds to wait at most until every record is proved.
	WaitTimeout int `json:"wait_timeout" jsonschema:"minimum=0,default=3600"`

	// Seconds between two looks at the Platform and its records.
	PollInterval int `json:"poll_interval" jsonschema:"minimum=1,default=5"`

	// How completion is proved; each way that is named must say so.
	//
	// V(database) reads every record and opens it with the new key. V(attested) takes the word of O(attested_by): it is weaker,
	// and the proof says so. Without V(database) no record is looked at.
	Verify []string `json:"verify" jsonschema:"minItems=1,enum=database,enum=attested,default=database"`

	// Who looked at the Encryption tab of the Admin panel and saw no record that is left.
	AttestedBy string `json:"attested_by" jsonschema:"minLength=1,maxLength=200"`

	// Ids (C(tw_secret.id)) of records that may stay unreadable. They are skipped only if the baseline says that they
	// were unreadable before the rotation; the proof lists them.
	AcceptUnreadable []string `json:"accept_unreadable" jsonschema:"minLength=1"`

	// Seconds without a changed record after which that is said, with cron's last lines.
	StallTimeout int `json:"stall_timeout" jsonschema:"minimum=1,default=120"`

	// A file that O(state=rotating) replaces after each look with how far it is (JSON, no secret), and removes at its end.
	// The role's action plugin shows it.
	ProgressFile string `json:"progress_file" jsonschema_extras:"x-type=path"`

	// When the role saw the backends ready, by the VM's clock. Lets O(state=rotating) prove that cron started after that.
	BackendsReadyAt string `json:"backends_ready_at" jsonschema:"format=date-time"`

	VM
	AWS
}

// Info is what seqera_crypto_rotation_info is asked for.
type Info struct {
	Installation

	// What to look at.
	//
	// V(parameters): the SSM parameters. V(platform): the Platform's containers, and whether it is ready. V(records): the
	// encrypted records, each opened. V(count): their number alone. V(database): wait, for O(ready_timeout), until the database
	// answers a query.
	//
	// V(preflight): whether Docker Compose would start the Platform that runs, and whether that Platform can rotate. The
	// module fails, and lists every problem, where it would not or cannot. V(handover): with V(preflight), whether a second
	// backend can be started beside the first.
	//
	// V(escrow): the keys in escrow, by fingerprint, with their backups. V(ledger): the ledger of rotations. Both require the
	// operator's credentials.
	Gather []string `json:"gather" jsonschema:"minItems=1,enum=parameters,enum=platform,enum=preflight,enum=handover,enum=records,enum=count,enum=database,enum=escrow,enum=ledger,default=parameters"`

	// Open the records with this key of escrow instead of the one in use: the drill of a backup.
	//
	// C(backup:<identifier>) is the key that is tied to that backup. Needs the operator's credentials.
	KeyFromEscrow string `json:"key_from_escrow" jsonschema:"pattern=^([0-9a-f]{16}|backup:.+)$" jsonschema_extras:"x-allowed=a fingerprint\\, 16 hexadecimal digits\\, or backup: and a backup's identifier"`

	// What an earlier run returned as compose, or seqera_crypto_rotation returned as platform. With C(gather: platform) and
	// C(gather: preflight) the module fails where the Platform would use another project or other mounts than that.
	Platform map[string]any `json:"platform"`

	Compose
	Due
	Places
	VM
	AWS
}

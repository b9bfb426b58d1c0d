package pki

// schema holds the steps of schema "pki"; steps are only ever appended. Times are Unix seconds, serial numbers and digests
// lower-case hex, issuers the hex of their key identifier.
var schema = []string{
	`CREATE TABLE pki_certificate (
		issuer TEXT NOT NULL, serial TEXT NOT NULL,
		profile TEXT NOT NULL, partner TEXT NOT NULL, common_name TEXT NOT NULL, names TEXT NOT NULL,
		order_id TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL,
		not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, created BIGINT NOT NULL,
		public_key TEXT NOT NULL, fingerprint TEXT NOT NULL, der BLOB,
		PRIMARY KEY (issuer, serial))`,
	`CREATE INDEX pki_certificate_public_key ON pki_certificate (public_key)`,
	`CREATE INDEX pki_certificate_partner ON pki_certificate (partner, not_after)`,
	`CREATE INDEX pki_certificate_order ON pki_certificate (order_id)`,
	`CREATE INDEX pki_certificate_not_after ON pki_certificate (not_after)`,
	`CREATE TABLE pki_revocation (
		issuer TEXT NOT NULL, serial TEXT NOT NULL, sequence BIGINT NOT NULL, revoked_at BIGINT NOT NULL,
		reason BIGINT NOT NULL, order_id TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL,
		audit_index BIGINT NOT NULL, PRIMARY KEY (issuer, serial))`,
	`CREATE INDEX pki_revocation_sequence ON pki_revocation (sequence)`,
	`CREATE TABLE pki_counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL)`,
	`INSERT INTO pki_counter (name, value) VALUES ('revocation', 0)`,
	`CREATE TABLE pki_list (
		issuer TEXT PRIMARY KEY, number BIGINT NOT NULL, sequence BIGINT NOT NULL, next_update BIGINT NOT NULL, der BLOB NOT NULL)`,
	`CREATE TABLE pki_timestamp (
		serial TEXT PRIMARY KEY, gen_time BIGINT NOT NULL, policy TEXT NOT NULL, hash TEXT NOT NULL, imprint TEXT NOT NULL)`,
	`CREATE TABLE pki_token (id TEXT PRIMARY KEY, used BIGINT NOT NULL)`,

	// Whose a key is, once and for all, and since when nobody may have a certificate for it (0: they may).
	`CREATE TABLE pki_key (
		public_key TEXT PRIMARY KEY, profile TEXT NOT NULL, holder TEXT NOT NULL, first BIGINT NOT NULL, blocked BIGINT NOT NULL)`,
	`INSERT INTO pki_key (public_key, profile, holder, first, blocked)
		SELECT c.public_key, MIN(c.profile), MIN(CASE WHEN c.partner <> '' THEN 'partner:' || c.partner ELSE 'name:' || c.common_name END),
			MIN(c.created), MAX(CASE WHEN r.reason = 1 THEN r.revoked_at ELSE 0 END)
		FROM pki_certificate c LEFT JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
		WHERE c.der IS NOT NULL GROUP BY c.public_key`,
	// The serial number of the certificate that this one renews; what its life was cut to.
	`ALTER TABLE pki_certificate ADD COLUMN renews TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE pki_certificate ADD COLUMN cut TEXT NOT NULL DEFAULT ''`,
	`CREATE INDEX pki_certificate_renews ON pki_certificate (renews)`,
	// The keys and certificates of responders and time-stamping units; the newest generation of a role is in force.
	`CREATE TABLE pki_unit (
		role TEXT NOT NULL, generation BIGINT NOT NULL, key_id TEXT NOT NULL, der BLOB NOT NULL, since BIGINT NOT NULL, retired BIGINT NOT NULL,
		PRIMARY KEY (role, generation))`,
	// Signed OCSP answers, to go on with after a restart without the key.
	`CREATE TABLE pki_answer (
		issuer TEXT NOT NULL, serial TEXT NOT NULL, cert_id TEXT NOT NULL, status BIGINT NOT NULL, reason BIGINT NOT NULL,
		this_update BIGINT NOT NULL, next_update BIGINT NOT NULL, der BLOB NOT NULL, PRIMARY KEY (issuer, serial, cert_id))`,
	// The newest time that a time-stamp was given with, in Unix milliseconds, kept apart: an officer may set it back. The index
	// serves the one reading of the journal.
	`CREATE INDEX pki_timestamp_gen_time ON pki_timestamp (gen_time)`,
	`INSERT INTO pki_counter (name, value) SELECT 'clock', COALESCE(MAX(gen_time), 0) FROM pki_timestamp`,
	`DROP INDEX pki_timestamp_gen_time`,
	// How many certificates were completed; with the number of the newest revocation it tells one inventory from another.
	`INSERT INTO pki_counter (name, value) VALUES ('inventory', 0)`,
	// Which process is about to sign for a reserved serial number, and since when nobody may complete it (0: that one may).
	`ALTER TABLE pki_certificate ADD COLUMN holder TEXT NOT NULL DEFAULT ''`,
	`ALTER TABLE pki_certificate ADD COLUMN given_up BIGINT NOT NULL DEFAULT 0`,
	`DROP TABLE pki_token`, // nothing takes one-time tokens
	// The issuing authorities: what each is for, in which state, and who of a purpose was activated last and so issues for it.
	`CREATE TABLE pki_issuer (
		id TEXT PRIMARY KEY, name TEXT NOT NULL, purposes TEXT NOT NULL, state TEXT NOT NULL, activated BIGINT NOT NULL, since BIGINT NOT NULL)`,
}

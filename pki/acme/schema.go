package acme

// schema holds the steps of schema "acme"; steps are only ever appended. Times are Unix seconds, 0 is never; serial numbers are
// lower-case hex, lists and keys JSON.
var schema = []string{
	// Keys of external account binding (RFC 8555 7.3.4). A secret is enciphered, and gone when the key has its account.
	`CREATE TABLE acme_binding (
		id TEXT PRIMARY KEY, partner TEXT NOT NULL, line TEXT NOT NULL, secret TEXT NOT NULL, actor_kind TEXT NOT NULL, actor_id TEXT NOT NULL,
		created BIGINT NOT NULL, expires BIGINT NOT NULL, bound BIGINT NOT NULL DEFAULT 0, revoked BIGINT NOT NULL DEFAULT 0)`,
	`CREATE TABLE acme_account (
		id TEXT PRIMARY KEY, binding TEXT NOT NULL UNIQUE REFERENCES acme_binding(id), thumbprint TEXT NOT NULL UNIQUE, jwk TEXT NOT NULL,
		contact TEXT NOT NULL, status TEXT NOT NULL, created BIGINT NOT NULL)`,
	`CREATE TABLE acme_nonce (nonce TEXT PRIMARY KEY, expires BIGINT NOT NULL)`,
	`CREATE INDEX acme_nonce_expires ON acme_nonce (expires)`,
	// An order of the protocol; ends is when nobody needs its row any more. While it is being signed for, claim says by whom, since when,
	// and for which key.
	`CREATE TABLE acme_order (
		id TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES acme_account(id), status TEXT NOT NULL, identifiers TEXT NOT NULL,
		authorizations TEXT NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, expires BIGINT NOT NULL, created BIGINT NOT NULL,
		problem TEXT NOT NULL DEFAULT '', certificate TEXT NOT NULL DEFAULT '', ends BIGINT NOT NULL,
		claim TEXT NOT NULL DEFAULT '', claimant TEXT NOT NULL DEFAULT '', claimed BIGINT NOT NULL DEFAULT 0, public_key TEXT NOT NULL DEFAULT '')`,
	`CREATE INDEX acme_order_account ON acme_order (account)`,
	`CREATE INDEX acme_order_certificate ON acme_order (certificate)`,
	`CREATE INDEX acme_order_ends ON acme_order (ends)`,
	`CREATE TABLE acme_authorization (
		id TEXT PRIMARY KEY, order_id TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
		status TEXT NOT NULL, token TEXT NOT NULL, expires BIGINT NOT NULL)`,
	`CREATE INDEX acme_authorization_order ON acme_authorization (order_id)`,
	`CREATE TABLE acme_challenge (
		id TEXT PRIMARY KEY, authorization_id TEXT NOT NULL, order_id TEXT NOT NULL, account TEXT NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL,
		token TEXT NOT NULL, status TEXT NOT NULL, validated TEXT NOT NULL DEFAULT '', problem TEXT NOT NULL DEFAULT '')`,
	`CREATE INDEX acme_challenge_authorization ON acme_challenge (authorization_id)`,
	`CREATE INDEX acme_challenge_order ON acme_challenge (order_id)`,
	// What a partner has used of a limit in the window that began then.
	`CREATE TABLE acme_quota (
		partner TEXT NOT NULL, kind TEXT NOT NULL, began BIGINT NOT NULL, used BIGINT NOT NULL, PRIMARY KEY (partner, kind))`,
}

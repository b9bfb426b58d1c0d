package rights

import "strings"

// Role is what the holder of a certificate is to the appliance.
type Role string

// The roles. A certificate makes its holder exactly one of them.
const (
	Officer     Role = "officer"     // a security admin
	Auditor     Role = "auditor"     // reads and proves, and changes nothing
	Office      Role = "office"      // a partner office's program
	Application Role = "application" // a program that has documents verified
	Gateway     Role = "gateway"     // a VPN gateway: vpnd
	Verifier    Role = "verifier"    // verifyd
	Dispatcher  Role = "dispatcher"  // batchd
	Core        Role = "core"        // trustd
)

// Names of the certificates of daemons; a further gateway has a name of its own behind a hyphen, such as vpnd-2, since each proves
// for itself. What has one of these names but another profile is none of them.
const (
	GatewayName    = "vpnd"
	VerifierName   = "verifyd"
	DispatcherName = "batchd"
	CoreName       = "trustd"
)

// Role returns what the holder is; "" of a certificate that opens no door, such as a seal's.
func (h Holder) Role() Role {
	switch {
	case h.Profile == "officer":
		return Officer
	case h.Profile == "auditor":
		return Auditor
	case h.Profile == "partner-client":
		return Office
	case h.Profile == "daemon-client" && (h.Name == GatewayName || strings.HasPrefix(h.Name, GatewayName+"-")):
		return Gateway
	case h.Profile == "daemon-client" && h.isDaemon():
		return ""
	case h.Profile == "daemon-client", h.Profile == TokenProfile:
		return Application
	case h.Profile == "daemon-server" && h.Name == VerifierName:
		return Verifier
	case h.Profile == "daemon-server" && h.Name == DispatcherName:
		return Dispatcher
	case h.Profile == "daemon-server" && h.Name == CoreName:
		return Core
	}
	return ""
}

// isDaemon reports whether the holder has the name of a daemon that shows a certificate of another profile.
func (h Holder) isDaemon() bool {
	return h.Name == VerifierName || h.Name == DispatcherName || h.Name == CoreName
}

// Listener names a listener that asks for client certificates.
type Listener string

// The listeners.
const (
	Admin   Listener = "admin"   // of trustd: officers, gateways, verifyd
	HSM     Listener = "gateway" // of trustd: offices use their keys
	Verify  Listener = "verify"  // of verifyd, where it is configured to ask who calls
	Batches Listener = "batches" // of batchd
	Console Listener = "console" // of trustd: the session of an officer's page, for which its certificate answers
)

// Right lets roles use a route.
type Right struct {
	Listener Listener
	Route    string // pattern of net/http's ServeMux
	Roles    []Role
	What     string // for people
}

// Table is every right that there is: what is not in it is refused. docs/operations.md shows it.
var Table = []Right{
	{Admin, "POST /v1/orders", []Role{Officer}, "submit an order"},
	{Admin, "GET /v1/orders", []Role{Officer}, "read orders"},
	{Admin, "POST /v1/orders/approve", []Role{Officer}, "approve another officer's order"},
	{Admin, "POST /v1/orders/reject", []Role{Officer}, "reject an order"},
	{Admin, "POST /v1/orders/token", []Role{Officer}, "make an enrolment token"},
	{Admin, "GET /v1/tunnels", []Role{Officer}, "read what the gateways report"},
	{Admin, "GET /v1/tunnels/secrets", []Role{Officer}, "read how old the tunnels' secrets are"},
	{Admin, "GET /v1/tunnels/reach", []Role{Officer}, "read who could reach what, and when"},
	{Admin, "POST /v1/tunnels/rotate", []Role{Officer}, "have offices rotate secrets of their tunnels"},
	{Admin, "GET /v1/tunnels/gateways", []Role{Officer}, "read the VPN gateways, and how pairs of them stand"},
	{Admin, "POST /v1/tunnels/takeover", []Role{Officer}, "have the standby of a pair of gateways take over"},
	{Admin, "POST /v1/console/logins", []Role{Officer, Auditor}, "make a one-time link to the console"},
	{Admin, "GET /v1/certificates", []Role{Officer}, "read the inventory of certificates"},
	{Admin, "GET /v1/keys", []Role{Officer}, "read the inventory of HSM keys"},
	{Admin, "POST /v1/keys/suspend", []Role{Officer}, "suspend a key of an office at once"},
	{Admin, "POST /v1/keys/stop", []Role{Officer}, "stop the keys of an office, or of all, at once"},
	{Admin, "POST /v1/keys/request", []Role{Officer}, "have a key of an office sign a certificate request"},
	{Admin, "GET /v1/keys/attestation", []Role{Officer}, "have the token say what a key is"},
	{Admin, "GET /v1/keys/inventory", []Role{Officer}, "hold the registry of keys against the token"},
	{Admin, "POST /v1/certificates/suspend", []Role{Officer}, "suspend certificates at once"},
	{Admin, "GET /v1/officers", []Role{Officer}, "read the officers' certificates"},
	{Admin, "GET /v1/issuers", []Role{Officer}, "read which issuing authorities there are, and their states"},
	{Admin, "POST /v1/roots/list", []Role{Officer}, "bring a list of a root whose key is on another machine"},
	{Admin, "GET /v1/motions", []Role{Officer}, "read motions"},
	{Admin, "POST /v1/motions", []Role{Officer}, "propose to revoke, release, certify, strike, end or share a hub's keys, resume or destroy keys, change an authority"},
	{Admin, "POST /v1/motions/approve", []Role{Officer}, "approve another officer's motion"},
	{Admin, "POST /v1/motions/reject", []Role{Officer}, "reject a motion"},
	{Admin, "GET /v1/expiring", []Role{Officer}, "read what expires"},
	{Admin, "POST /v1/clock/accept", []Role{Officer}, "take the clock for right after a step"},
	{Admin, "GET /v1/nodes", []Role{Officer}, "read which nodes share the database, and live"},
	{Admin, "POST /v1/nodes/remove", []Role{Officer}, "forget a node that is gone for good"},
	{Admin, "GET /v1/applications", []Role{Officer}, "read the applications"},
	{Admin, "POST /v1/applications", []Role{Officer}, "register an application and make its token"},
	{Admin, "POST /v1/applications/token", []Role{Officer}, "make an application a further token"},
	{Admin, "POST /v1/applications/certificate", []Role{Officer}, "certify an application's own key"},
	{Admin, "POST /v1/applications/revoke", []Role{Officer}, "revoke an application"},
	{Admin, "GET /v1/acme/keys", []Role{Officer}, "read the keys of offices for ACME"},
	{Admin, "POST /v1/acme/keys", []Role{Officer}, "make an office a key for ACME"},
	{Admin, "POST /v1/acme/keys/revoke", []Role{Officer}, "revoke an office's key for ACME, with its account"},
	{Admin, "POST /v1/renewals", []Role{Officer, Auditor, Application, Gateway, Verifier, Dispatcher}, "renew the own certificate"},
	{Admin, "GET /v1/vpn/wish", []Role{Gateway}, "follow the wish"},
	{Admin, "POST /v1/vpn/status", []Role{Gateway}, "report what is carried out"},
	{Admin, "POST /v1/vpn/keys", []Role{Gateway}, "share the hub's keys with the other gateway of a pair, sealed"},
	{Admin, "GET /v1/vpn/heard", []Role{Gateway}, "read where the other gateway of a pair heard the offices"},
	{Admin, "GET /v1/clients", []Role{Verifier, Dispatcher}, "follow whose certificates and tokens count"},

	{HSM, "GET /v1/keys", []Role{Office, Verifier}, "list the keys that the orders give"},
	{HSM, "GET /v1/keys/{id}", []Role{Office, Verifier}, "describe a key"},
	{HSM, "POST /v1/keys/{id}/sign", []Role{Office, Verifier}, "sign a digest"},
	{HSM, "POST /v1/keys/{id}/signatures", []Role{Office}, "sign a batch of digests"},
	{HSM, "POST /v1/keys/{id}/decrypt", []Role{Office}, "decrypt what was encrypted for a key"},
	{HSM, "POST /v1/keys/{id}/verify", []Role{Office}, "verify a signature by a key"},
	{HSM, "POST /v1/random", []Role{Office}, "get random octets of the HSM"},
	{HSM, "POST /v1/renewals", []Role{Office}, "renew the own certificate"},
	{HSM, "POST /v1/acme/keys", []Role{Office}, "make the own office a key for ACME"},
	{HSM, "GET /v1/tunnel", []Role{Office}, "read what the own tunnel is to be"},
	{HSM, "POST /v1/tunnel/preshared-key", []Role{Office}, "agree on the tunnel's next pre-shared key"},
	{HSM, "POST /v1/tunnel/preshared-key/confirm", []Role{Office}, "put the agreed pre-shared key into force"},
	{HSM, "POST /v1/tunnel/key", []Role{Office}, "name the tunnel's next key of the office"},
	{HSM, "POST /v1/tunnel/key/confirm", []Role{Office}, "end the tunnel's former key of the office"},
	{HSM, "POST /v1/tunnel/hub", []Role{Office}, "be about to use the hub's next key"},
	{HSM, "POST /csc/{version}/info", []Role{Office}, "describe the remote signing service (CSC)"},
	{HSM, "POST /csc/{version}/oauth2/token", []Role{Office}, "get an access token (CSC)"},
	{HSM, "POST /csc/{version}/oauth2/revoke", []Role{Office}, "end an access token (CSC)"},
	{HSM, "POST /csc/{version}/credentials/list", []Role{Office}, "list the keys that the orders give (CSC)"},
	{HSM, "POST /csc/{version}/credentials/info", []Role{Office}, "describe a key (CSC)"},
	{HSM, "POST /csc/{version}/credentials/authorize", []Role{Office}, "authorize hashes (CSC)"},
	{HSM, "POST /csc/{version}/signatures/signHash", []Role{Office}, "sign authorized hashes (CSC)"},
	{HSM, "POST /csc/{version}/signatures/timestamp", []Role{Office}, "get a time-stamp (CSC)"},
	{HSM, "GET /openapi.json", []Role{Office}, "read the description of the interface"},

	{Verify, "GET /v1/trust/status", []Role{Application, Office, Officer, Core}, "read which trusted lists are in use"},
	{Verify, "GET /v1/trust/lists/{key}", []Role{Application, Office, Officer, Core}, "read the services of a trusted list"},
	{Verify, "GET /v1/expiring", []Role{Application, Office, Officer, Core}, "read what ends of what verifyd judges by"},
	{Verify, "POST /v1/trust/imports", []Role{Officer}, "carry trusted lists in"},
	{Verify, "POST /v1/trust/refresh", []Role{Officer}, "have the trusted lists fetched now"},
	{Verify, "GET /{$}", []Role{Office, Officer}, "open the page on which people verify documents"},
	{Verify, "POST /{$}", []Role{Office, Officer}, "have a document verified on the page"},
	{Verify, "POST /preferences", []Role{Office, Officer}, "choose language, colours and size of letters of the page"},
	{Verify, "GET /static/", []Role{Office, Officer}, "load the page's style sheet, scripts and verifier"},
	{Verify, "POST /v1/evidence", []Role{Office, Officer}, "ask what a document is judged by that stays in the browser"},
	{Verify, "POST /v1/parcels", []Role{Dispatcher}, "have several small documents verified with one request"},
	{Verify, "/", []Role{Application, Office, Officer, Core, Dispatcher}, "have documents and certificates verified"},

	{Batches, "GET /v1/batches", []Role{Application, Officer}, "read the own batches"},
	{Batches, "POST /v1/batches", []Role{Application, Officer}, "begin a batch"},
	{Batches, "GET /v1/batches/{id}", []Role{Application, Officer}, "read how far a batch is"},
	{Batches, "DELETE /v1/batches/{id}", []Role{Application, Officer}, "erase a batch with its documents and results"},
	{Batches, "POST /v1/batches/{id}/documents", []Role{Application, Officer}, "bring documents, or say where they lie"},
	{Batches, "PUT /v1/batches/{id}/documents/{name...}", []Role{Application, Officer}, "bring one document"},
	{Batches, "POST /v1/batches/{id}/{change}", []Role{Application, Officer}, "close, pause, resume or cancel a batch"},
	{Batches, "GET /v1/batches/{id}/results", []Role{Application, Officer}, "read the results of a batch"},
	{Batches, "POST /v1/webhook-secret", []Role{Application}, "make the secret that signs the own webhooks"},
	{Batches, "GET /openapi.json", []Role{Application, Officer}, "read the description of the interface"},

	{Console, "GET /s/{place}/{$}", []Role{Officer, Auditor}, "enter the console: what waits, what runs, what ends"},
	{Console, "GET /s/{place}/orders", []Role{Officer, Auditor}, "list orders"},
	{Console, "GET /s/{place}/order", []Role{Officer, Auditor}, "read an order with its steps"},
	{Console, "GET /s/{place}/partners", []Role{Officer, Auditor}, "list partners"},
	{Console, "GET /s/{place}/partner", []Role{Officer, Auditor}, "read all of a partner"},
	{Console, "GET /s/{place}/keys", []Role{Officer, Auditor}, "list the keys of the HSM"},
	{Console, "GET /s/{place}/certificates", []Role{Officer, Auditor}, "list certificates"},
	{Console, "GET /s/{place}/tunnels", []Role{Officer, Auditor}, "list tunnels"},
	{Console, "GET /s/{place}/expiring", []Role{Officer, Auditor}, "list what expires"},
	{Console, "GET /s/{place}/motions", []Role{Officer, Auditor}, "list motions"},
	{Console, "GET /s/{place}/audit", []Role{Officer, Auditor}, "search the audit log"},
	{Console, "GET /s/{place}/entry", []Role{Officer, Auditor}, "read an entry of the audit log"},
	{Console, "GET /s/{place}/proof", []Role{Officer, Auditor}, "download an entry with its proof"},
	{Console, "GET /s/{place}/documents", []Role{Officer, Auditor}, "open the place where documents are verified"},
	{Console, "GET /s/{place}/settings", []Role{Officer, Auditor}, "open the settings of the console"},
	{Console, "GET /s/{place}/key", []Role{Officer, Auditor}, "read all of a key"},
	{Console, "GET /s/{place}/certificate", []Role{Officer, Auditor}, "read all of a certificate"},
	{Console, "GET /s/{place}/tunnel", []Role{Officer, Auditor}, "read all of a tunnel, and what it reaches"},
	{Console, "GET /s/{place}/uses", []Role{Officer, Auditor}, "read who used a key, and under which authorisation"},
	{Console, "GET /s/{place}/uses-proof", []Role{Officer, Auditor}, "download the uses of a key with their proofs"},
	{Console, "GET /s/{place}/confirm", []Role{Officer, Auditor}, "see what an act does before it is done"},
	{Console, "GET /s/{place}/submit", []Role{Officer}, "open the place where an order is submitted"},
	{Console, "POST /s/{place}/draft", []Role{Officer}, "see an order file as fields and as a difference"},
	{Console, "POST /s/{place}/orders/submit", []Role{Officer}, "submit an order"},
	{Console, "POST /s/{place}/orders/approve", []Role{Officer}, "approve another officer's order"},
	{Console, "POST /s/{place}/orders/reject", []Role{Officer}, "reject an order"},
	{Console, "POST /s/{place}/orders/token", []Role{Officer}, "make an enrolment token"},
	{Console, "POST /s/{place}/keys/suspend", []Role{Officer}, "suspend a key of an office at once"},
	{Console, "POST /s/{place}/keys/resume", []Role{Officer}, "propose to resume a key of an office"},
	{Console, "POST /s/{place}/keys/rotate", []Role{Officer}, "propose the next version of a key of an office"},
	{Console, "POST /s/{place}/certificates/suspend", []Role{Officer}, "suspend a certificate at once"},
	{Console, "POST /s/{place}/certificates/release", []Role{Officer}, "propose to release a suspended certificate"},
	{Console, "POST /s/{place}/certificates/revoke", []Role{Officer}, "propose to revoke a certificate"},
	{Console, "POST /s/{place}/tunnels/rotate", []Role{Officer}, "have an office rotate a secret of its tunnel"},
	{Console, "POST /s/{place}/motions/approve", []Role{Officer}, "approve another officer's motion"},
	{Console, "POST /s/{place}/motions/reject", []Role{Officer}, "reject a motion"},
	{Console, "POST /s/{place}/documents", []Role{Officer, Auditor}, "have documents verified"},
	{Console, "POST /s/{place}/preferences", []Role{Officer, Auditor}, "choose language, colours and size of letters"},
	{Console, "POST /s/{place}/logout", []Role{Officer, Auditor}, "leave the console"},
}

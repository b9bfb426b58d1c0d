// Package gateway is the door through which partners' applications use their keys: a REST interface over mutual TLS
// that takes digests and gives signatures. Who may use which key, how and until when comes from the partner's signed
// HSM authorisation; every use is in the audit log before its signature leaves, and every refusal says why.
package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"trustcore/hsm"
	"trustcore/hsm/mechanism"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// Grant is one line of an HSM authorisation: this application may use this key.
type Grant struct {
	Partner     string
	Application string // who uses it, as the audit log names it
	KeyID       string
	Mechanisms  []mechanism.Mechanism
	NotBefore   time.Time // zero: from the beginning
	NotAfter    time.Time // zero: without an end
	Order       string    // the order that carried the authorisation
	Active      bool      // false once a change order has taken it back
	Limits      []Limit   // that the use is held to beside
	Version     Version   // of the key
}

// Config tells New what the gateway stands on. All fields are required unless marked.
type Config struct {
	Module *hsm.Module

	// Grants lists what the holder of a client certificate may use, withdrawn and outdated grants too, so that a
	// refusal can name them. The certificate's chain has been verified by TLS; that it counts and is an office's has
	// been asked before. An error refuses the call.
	Grants func(ctx context.Context, client *x509.Certificate) ([]Grant, error)

	// Chain is the DER certificates of a key, its own first; none when it has none. It is asked when keys are
	// described, not when they are used. Optional.
	Chain func(ctx context.Context, keyID string) ([][]byte, error)

	// Owner names the partner whose certificate it is and the order that it was issued by, for the audit entries of
	// refusals where no grant says so; "" where nobody knows. Optional.
	Owner func(ctx context.Context, client *x509.Certificate) (partner, order string)

	Audit   Auditor
	Now     func() time.Time
	Logger  *slog.Logger
	Metrics prometheus.Registerer // optional

	// Meter counts what limits of grants have counted over days and for ever; without it such grants are refused.
	// Zone has their days and hours; nil is UTC.
	Meter Meter
	Zone  *time.Location

	// Limits of one application (client certificate), and of all together.
	Rate     float64 // signatures a second that one application may ask for in the long run
	Burst    int     // and at once, at least MaxBatch
	InFlight int     // signatures in progress or waiting, of all, at least MaxBatch; more are shed
}

// Auditor writes audit entries, as *audit.Log does. AppendAll returns when the entries are durable, one behind the
// other from the receipt's index on, and not after ctx has ended; an error means that the acts must not happen.
type Auditor interface {
	AppendAll(ctx context.Context, entries []audit.Entry) (audit.Receipt, error)
}

// MaxBatch is how many digests one request may bring: what one group of the audit log takes.
const MaxBatch = audit.MaxGroup

// Limits of a request. Together a call lasts at most useTimeout and auditTimeout.
const (
	maxBody         = 4 << 10         // bytes of JSON; a SHA-512 digest is 88 characters
	maxBatchBody    = 64 << 10        // of a batch
	useTimeout      = 8 * time.Second // authorisation, audit entry and signature together
	auditTimeout    = 2 * time.Second // an audit entry; also for the second entry of a use that failed, whatever became of the call
	maxUses         = 2               // of the token for one call: again, with an audit entry of its own, when its worker ended under it
	maxApplications = 4096            // whose rate is remembered; beyond, all start with a full burst again
)

// Paths of the interface.
const (
	keysPath  = "/v1/keys"
	keyPath   = "/v1/keys/{id}"
	signPath  = "/v1/keys/{id}/sign"
	batchPath = "/v1/keys/{id}/signatures"

	decryptPath = "/v1/keys/{id}/decrypt"

	verifyPath = "/v1/keys/{id}/verify"
	randomPath = "/v1/random"
)

type gateway struct {
	Config
	inFlight atomic.Int64 // digests
	metrics  *metrics
	keys     sync.Map // key ID -> *hsm.Key
	answers  answers

	mu       sync.Mutex
	rates    map[string]*rate.Limiter // guarded by mu; by the certificate's digest, and by the names of limits
	recorded map[[32]byte]time.Time   // guarded by mu; when a malformed request of this certificate was last audited
}

// New returns the gateway. The server in front of it must demand and verify client certificates
// (tls.RequireAndVerifyClientCert), and ask with every request whether they count and are an office's; without a
// verified one every call is refused.
func New(cfg Config) (*Gateway, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	g := &gateway{Config: cfg, metrics: m, rates: make(map[string]*rate.Limiter),
		recorded: make(map[[32]byte]time.Time)}
	mux := http.NewServeMux()
	about := huma.DefaultConfig("HSM gateway", "1.0.0")
	about.DocsPath, about.SchemasPath, about.CreateHooks = "", "", nil
	about.Info.Description = "Keys of the HSM for partners' applications, over mutual TLS. Digests go in, signatures come out; what was encrypted for a key that decrypts, and its plaintext."
	about.Transformers = append(about.Transformers, g.inOneForm)
	api := humago.New(mux, about)
	huma.Register(api, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: keysPath, Summary: "Keys that an authorisation names for the application",
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable},
	}, g.list)
	huma.Register(api, huma.Operation{
		OperationID: "get-key", Method: http.MethodGet, Path: keyPath, Summary: "Describe a key",
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable},
	}, g.describe)
	huma.Register(api, huma.Operation{
		OperationID: "verify", Method: http.MethodPost, Path: verifyPath, Summary: "Verify a signature by the key", MaxBodyBytes: maxBody,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}, g.verify)
	huma.Register(api, huma.Operation{
		OperationID: "random", Method: http.MethodPost, Path: randomPath, Summary: "Random octets of the HSM", MaxBodyBytes: maxBody,
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}, g.random)
	mux.HandleFunc("POST "+signPath, g.single)
	mux.HandleFunc("POST "+batchPath, g.batch)
	mux.HandleFunc("POST "+decryptPath, g.decrypt)
	describeUses(api.OpenAPI())
	schemas := api.OpenAPI().Components.Schemas
	*schemas.Map()["ErrorModel"] = *huma.SchemaFromType(schemas, reflect.TypeFor[problem.Problem]())
	return &Gateway{door: g, rest: mux}, nil
}

func (c Config) check() error {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"Module", c.Module == nil},
		{"Grants", c.Grants == nil},
		{"Audit", c.Audit == nil},
		{"Now", c.Now == nil},
		{"Logger", c.Logger == nil},
		{"Rate", c.Rate <= 0},
		{"Burst", c.Burst < MaxBatch},
		{"InFlight", c.InFlight < MaxBatch},
	} {
		if f.missing {
			return fmt.Errorf("HSM gateway's configuration: %s is missing or too small", f.name)
		}
	}
	return nil
}

// caller takes the client's certificate from the connection. Operations embed it in their input.
type caller struct {
	certificate *x509.Certificate
}

// Resolve is called by huma before the operation. Without a verified certificate the caller stays nobody, whom every
// operation refuses.
func (c *caller) Resolve(ctx huma.Context) []error {
	if state := ctx.TLS(); state != nil && len(state.VerifiedChains) > 0 && len(state.PeerCertificates) > 0 {
		c.certificate = state.PeerCertificates[0]
	}
	return nil
}

func noCertificate() *refusal {
	return refuse(http.StatusUnauthorized, "no-client-certificate", "the connection carries no verified client certificate")
}

// KeyDescription is a key as its users see it.
type KeyDescription struct {
	ID               string                `json:"id" doc:"Name of the key in this interface, 32 hexadecimal digits"`
	Label            string                `json:"label"`
	Name             string                `json:"name" doc:"The label with the version: seal for the first one, seal/2 for the second"`
	Version          int                   `json:"version" doc:"Of the keys of one label, from 1 on: one signs at a time, all verify"`
	SignsFrom        *time.Time            `json:"signs_from,omitempty" doc:"The version signs from then on"`
	ReplacedAt       *time.Time            `json:"replaced_at,omitempty" doc:"From then on another version signs in its place"`
	ReplacedBy       string                `json:"replaced_by,omitempty" doc:"The key that signs then"`
	Algorithm        hsm.Algorithm         `json:"algorithm" example:"P-256"`
	PublicKey        []byte                `json:"public_key" doc:"SubjectPublicKeyInfo, DER"`
	Mechanisms       []mechanism.Mechanism `json:"mechanisms" doc:"How the application may sign with it, or decrypt"`
	Purpose          string                `json:"purpose" enum:"sign,decrypt" doc:"A key does one of the two"`
	State            hsm.State             `json:"state" example:"active"`
	Usable           bool                  `json:"usable" doc:"The application may use the key now"`
	Why              string                `json:"why,omitempty" doc:"Why it may not, when it may not"`
	NotBefore        *time.Time            `json:"not_before,omitempty"`
	NotAfter         *time.Time            `json:"not_after,omitempty" doc:"Until when the authorisation reaches"`
	Order            string                `json:"order" doc:"The order that carried the authorisation"`
	NeverExtractable bool                  `json:"never_extractable" doc:"The token attests that the private key was never extractable"`
	Chain            [][]byte              `json:"chain,omitempty" doc:"Certificates of the key, DER, its own first"`
}

type listOutput struct {
	Body struct {
		Keys []KeyDescription `json:"keys"`
	}
}

// list names the keys of the caller's grants, each once, those that it may not use now too: last, and with the reason.
func (g *gateway) list(ctx context.Context, in *struct{ caller }) (*listOutput, error) {
	grants, err := g.grants(ctx, in.certificate)
	if err != nil {
		return nil, err
	}
	out := new(listOutput)
	out.Body.Keys = []KeyDescription{}
	for _, keyID := range keysOf(grants) {
		described, there, err := g.described(ctx, grants, keyID)
		if err != nil {
			return nil, err
		}
		if there {
			out.Body.Keys = append(out.Body.Keys, described)
		}
	}
	slices.SortStableFunc(out.Body.Keys, func(a, b KeyDescription) int { return unusable(a) - unusable(b) })
	return out, nil
}

// described describes a key that one of the grants names, whether it may be used now or not; false where the HSM has
// none of that ID.
func (g *gateway) described(ctx context.Context, grants []Grant, keyID string) (KeyDescription, bool, error) {
	grant, why := g.choose(grants, keyID)
	info, err := g.Module.Key(ctx, grant.KeyID)
	if errors.Is(err, hsm.ErrUnknownKey) {
		g.Logger.Error("a grant names a key that is not there", "order", grant.Order, "key", grant.KeyID)
		return KeyDescription{}, false, nil
	}
	if err != nil {
		return KeyDescription{}, false, g.unavailable(err)
	}
	d, err := g.description(ctx, info, grant, why)
	return d, true, err
}

func unusable(k KeyDescription) int {
	if k.Usable {
		return 0
	}
	return 1
}

// keysOf names the keys of the grants, each once.
func keysOf(grants []Grant) []string {
	var ids []string
	for _, grant := range grants {
		if !slices.Contains(ids, grant.KeyID) {
			ids = append(ids, grant.KeyID)
		}
	}
	return ids
}

type keyInput struct {
	caller
	ID string `path:"id" pattern:"^[0-9a-f]{32}$" doc:"The key"`
}

type keyOutput struct{ Body KeyDescription }

func (g *gateway) describe(ctx context.Context, in *keyInput) (*keyOutput, error) {
	grant, info, err := g.usableKey(ctx, in.certificate, in.ID)
	if err != nil {
		return nil, err
	}
	described, err := g.description(ctx, info, grant, nil)
	if err != nil {
		return nil, err
	}
	return &keyOutput{described}, nil
}

func (g *gateway) description(ctx context.Context, k hsm.KeyInfo, grant Grant, why *refusal) (KeyDescription, error) {
	d := KeyDescription{ID: k.ID, Label: k.Label, Name: k.Name(), Purpose: purposeOf(k), Algorithm: k.Algorithm, PublicKey: k.SPKI, State: k.State, Order: grant.Order,
		Version: k.Version, ReplacedBy: grant.Version.By, Mechanisms: []mechanism.Mechanism{}, NeverExtractable: k.Attestation.NeverExtractable}
	for _, m := range grant.Mechanisms {
		if k.Allows(m) {
			d.Mechanisms = append(d.Mechanisms, m)
		}
	}
	if why == nil && !k.Decrypts() {
		why = grant.Version.refusal(g.Now())
	}
	switch {
	case why != nil:
		d.Why = why.Detail
	case k.State != hsm.Active:
		d.Why = "the key is " + string(k.State)
	default:
		d.Usable = true
	}
	d.NotBefore, d.NotAfter = moment(grant.NotBefore), moment(grant.NotAfter)
	d.SignsFrom, d.ReplacedAt = moment(grant.Version.SignsOn), moment(grant.Version.Replaced)
	if g.Chain == nil {
		return d, nil
	}
	var err error
	if d.Chain, err = g.Chain(ctx, k.ID); err != nil {
		return d, g.unavailable(fmt.Errorf("looking up certificates: %w", err))
	}
	return d, nil
}

// The purposes of keys.
const (
	ToSign    = "sign"
	ToDecrypt = "decrypt"
)

func purposeOf(k hsm.KeyInfo) string {
	if k.Decrypts() {
		return ToDecrypt
	}
	return ToSign
}

// moment is nil for a time that is not set.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// grants asks for the caller's grants.
func (g *gateway) grants(ctx context.Context, client *x509.Certificate) ([]Grant, error) {
	if client == nil {
		return nil, noCertificate()
	}
	grants, err := g.Grants(ctx, client)
	if err != nil {
		return nil, g.unavailable(fmt.Errorf("looking up authorisations: %w", err))
	}
	return grants, nil
}

// authorise finds the grant by which the caller may use the key. A refusal is for the audit log and then for the
// caller; an error is for the caller alone.
func (g *gateway) authorise(ctx context.Context, client *x509.Certificate, keyID string) (Grant, *refusal, error) {
	grants, err := g.grants(ctx, client)
	if err != nil {
		var r *refusal
		if errors.As(err, &r) {
			return Grant{}, r, nil
		}
		return Grant{}, nil, err
	}
	grant, why := g.choose(grants, keyID)
	if grant.KeyID == "" {
		grant = g.stranger(ctx, client, grants)
	}
	return grant, why, nil
}

// usableKey is a key that the caller may use, for what is not audited.
func (g *gateway) usableKey(ctx context.Context, client *x509.Certificate, keyID string) (Grant, hsm.KeyInfo, error) {
	grant, why, err := g.authorise(ctx, client, keyID)
	switch {
	case err != nil:
		return Grant{}, hsm.KeyInfo{}, err
	case why != nil:
		return Grant{}, hsm.KeyInfo{}, why
	}
	info, err := g.Module.Key(ctx, keyID)
	if err != nil {
		return Grant{}, hsm.KeyInfo{}, g.unavailable(err)
	}
	return grant, info, nil
}

// choose finds the grant by which the key may be used, the latest first; where there is none, the latest that names
// the key, and the reason.
func (g *gateway) choose(grants []Grant, keyID string) (Grant, *refusal) {
	why := refuse(http.StatusForbidden, "no-authorisation", "no authorisation lets this application use this key")
	var latest Grant
	for _, grant := range slices.Backward(grants) {
		if grant.KeyID != keyID {
			continue
		}
		r := g.usable(grant)
		if r == nil {
			return grant, nil
		}
		if latest.KeyID == "" {
			latest, why = grant, r
		}
	}
	return latest, why
}

// stranger says who asks for a key that no grant names: for the audit log, not to let it in.
func (g *gateway) stranger(ctx context.Context, client *x509.Certificate, grants []Grant) Grant {
	if len(grants) > 0 {
		last := grants[len(grants)-1]
		return Grant{Partner: last.Partner, Application: last.Application, Order: last.Order}
	}
	var who Grant
	if g.Owner != nil {
		who.Partner, who.Order = g.Owner(ctx, client)
	}
	return who
}

// usable says why a grant is of no use now; nil when it is.
func (g *gateway) usable(grant Grant) *refusal {
	now := g.Now()
	switch {
	case !grant.Active:
		return refuse(http.StatusForbidden, "authorisation-withdrawn", "the authorisation of order %s was withdrawn", grant.Order)
	case !grant.NotBefore.IsZero() && now.Before(grant.NotBefore):
		return refuse(http.StatusForbidden, "authorisation-not-yet", "the authorisation of order %s begins at %s", grant.Order,
			grant.NotBefore.UTC().Format(time.RFC3339))
	case !grant.NotAfter.IsZero() && now.After(grant.NotAfter):
		return refuse(http.StatusForbidden, "authorisation-expired", "the authorisation of order %s ended at %s", grant.Order,
			grant.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

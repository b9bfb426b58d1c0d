package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
)

// selector chooses certificates, as officers write it. One of serial, key, partner and order has to be there, or a name with its profile.
type selector struct {
	Serial  string      `json:"serial,omitempty"` // lower-case hex
	Key     string      `json:"key,omitempty"`    // SHA-256 of the SubjectPublicKeyInfo, hex
	Partner string      `json:"partner,omitempty"`
	Order   string      `json:"order,omitempty"`
	Name    string      `json:"name,omitempty"` // common name
	Profile pki.Profile `json:"profile,omitempty"`
}

func (s selector) which() pki.Selector {
	return pki.Selector{Serial: s.Serial, PublicKey: s.Key, Partner: s.Partner, Order: s.Order, CommonName: s.Name, Profile: s.Profile}
}

// String names what is chosen, for people.
func (s selector) String() string {
	text := ""
	for _, part := range []struct{ name, value string }{{"serial", s.Serial}, {"key", s.Key}, {"partner", s.Partner}, {"order", s.Order},
		{"name", s.Name}, {"profile", string(s.Profile)}} {
		if part.value != "" {
			text += " " + part.name + " " + part.value
		}
	}
	return "certificates of" + text
}

// reasons are the final ones of RFC 5280 5.3.1, by their names.
var reasons = map[string]pki.Reason{
	"unspecified": pki.Unspecified, "keyCompromise": pki.KeyCompromise, "affiliationChanged": pki.AffiliationChanged,
	"superseded": pki.Superseded, "cessationOfOperation": pki.CessationOfOperation, "privilegeWithdrawn": pki.PrivilegeWithdrawn,
}

// marking is a request to suspend, release or revoke.
type marking struct {
	Which  selector `json:"which"`
	Reason string   `json:"reason,omitempty"` // of a revocation
}

// marked lists certificates: those that were asked for, or changed.
type marked struct {
	Certificates []certificate `json:"certificates"`
}

func markedOf(found []pki.Certificate) marked {
	list := marked{Certificates: make([]certificate, len(found))}
	for i, c := range found {
		list.Certificates[i] = certificateOf(c)
	}
	return list
}

// certificate is a row of the inventory as officers see it.
type certificate struct {
	rights.Holder
	State     pki.State `json:"state"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Key       string    `json:"key"` // SHA-256 of the SubjectPublicKeyInfo, hex
	Chain     string    `json:"chain,omitempty"`
}

func certificateOf(c pki.Certificate) certificate {
	return certificate{Holder: holder(c), State: c.State, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Key: c.PublicKey}
}

func (d *daemon) listCertificates(r *http.Request, _ audit.Actor) (any, error) {
	q := r.URL.Query()
	found, err := d.ca.Certificates(r.Context(), pki.Filter{Serial: q.Get("serial"), Partner: q.Get("partner"), Order: q.Get("order"),
		CommonName: q.Get("name"), Profile: pki.Profile(q.Get("profile")), State: pki.State(q.Get("state"))})
	return markedOf(found), err
}

// suspendCertificates takes certificates out of use at once, on one officer's word.
func (d *daemon) suspendCertificates(r *http.Request, who audit.Actor) (any, error) {
	var in marking
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	changed, err := d.ca.Suspend(r.Context(), who, in.Which.which(), "")
	return markedOf(changed), ofAuthority(err)
}

// ofAuthority makes problems of the authority's refusals.
func ofAuthority(err error) error {
	var wrong *pki.RequestError
	switch {
	case errors.As(err, &wrong):
		return problem.RefuseField(http.StatusUnprocessableEntity, wrong.Field, "%s; %s", wrong.Problem, wrong.Remedy)
	case errors.Is(err, pki.ErrUnknownCertificate):
		return problem.Refuse(http.StatusNotFound, "there is no such certificate")
	case errors.Is(err, pki.ErrRevoked), errors.Is(err, pki.ErrSuspended), errors.Is(err, pki.ErrNotInTime):
		return problem.Refuse(http.StatusForbidden, "%v", err)
	case errors.Is(err, pki.ErrUnavailable):
		return problem.Refuse(http.StatusServiceUnavailable, "the authority can't sign now; try again in a moment")
	}
	return err
}

// certifying is the body of a motion to certify an officer.
type certifying struct {
	Name string `json:"name"`
	CSR  string `json:"csr"` // PEM
}

// propose takes a motion after its body was looked at: what can't be carried out is refused before anybody decides.
func (d *daemon) propose(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Kind registry.MotionKind `json:"kind"`
		marking
		certifying
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	switch in.Kind {
	case registry.RevokeCertificates, registry.ReleaseCertificates:
		if _, known := reasons[in.Reason]; in.Kind == registry.RevokeCertificates && !known {
			return nil, problem.RefuseField(http.StatusUnprocessableEntity, "reason", "%q is not one of RFC 5280's: keyCompromise, "+
				"affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn, unspecified", in.Reason)
		}
		if err := in.Which.which().Check(); err != nil {
			return nil, ofAuthority(err)
		}
		return d.registry.Propose(r.Context(), who, in.Kind, in.Which.String(), in.marking)
	}
	request, err := requestIn(in.CSR)
	if err != nil {
		return nil, err
	}
	if err := pki.CheckRequest(pki.Officer, request, pki.Subject{CommonName: in.Name}); err != nil {
		return nil, ofAuthority(err)
	}
	return d.registry.Propose(r.Context(), who, in.Kind, "officer "+in.Name, in.certifying)
}

// requestIn reads a request in PEM.
func requestIn(text string) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "csr", "send a PKCS #10 request in PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "csr", "send a PKCS #10 request: this one can't be read")
	}
	return request, nil
}

func (d *daemon) listMotions(r *http.Request, _ audit.Actor) (any, error) {
	return d.registry.Motions(r.Context())
}

// approveMotion decides, and carries the motion out.
func (d *daemon) approveMotion(r *http.Request, who audit.Actor) (any, error) {
	var in decision
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	return d.approveAndCarry(r.Context(), who, in.ID)
}

func (d *daemon) rejectMotion(r *http.Request, who audit.Actor) (any, error) {
	var in decision
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	return d.registry.RejectMotion(r.Context(), who, in.ID, in.Reason)
}

// motionsEvery is how often motions that could not be carried out are tried again.
const motionsEvery = 5 * time.Second

// carryMotions carries out what was approved and not done: before a crash, or while the authority could not sign.
func (d *daemon) carryMotions(ctx context.Context) error {
	ticker := time.NewTicker(motionsEvery)
	defer ticker.Stop()
	for {
		open, err := d.registry.ApprovedMotions(ctx)
		if err != nil && ctx.Err() == nil {
			d.cfg.Logger.Error("reading motions", "error", err)
		}
		for _, m := range open {
			d.carryMotion(ctx, m)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// carryMotion does what a motion asks; done twice it changes nothing more.
func (d *daemon) carryMotion(ctx context.Context, m registry.Motion) {
	outcome, err := d.doMotion(ctx, m)
	if err != nil {
		d.cfg.Logger.Error("a motion is not carried out", "motion", m.ID, "error", err)
	}
	if err := d.registry.MotionDone(ctx, m.ID, outcome, err); err != nil {
		d.cfg.Logger.Error("a motion's outcome is not remembered", "motion", m.ID, "error", err)
	}
}

func (d *daemon) doMotion(ctx context.Context, m registry.Motion) (string, error) {
	actor := audit.Actor{Kind: "officer", ID: m.DecidedBy}
	if m.Kind == registry.CertifyOfficer {
		var body certifying
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return "", err
		}
		request, err := requestIn(body.CSR)
		if err != nil {
			return "", err
		}
		c, err := d.ca.Issue(ctx, actor, pki.Officer, request, pki.Subject{CommonName: body.Name}, m.ID)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("certificate %x", c.SerialNumber), nil
	}
	var body marking
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return "", err
	}
	var changed []pki.Certificate
	var err error
	if m.Kind == registry.ReleaseCertificates {
		changed, err = d.ca.Release(ctx, actor, body.Which.which(), m.ID)
	} else {
		changed, err = d.ca.Revoke(ctx, actor, body.Which.which(), reasons[body.Reason], m.ID)
	}
	return fmt.Sprintf("%d certificates", len(changed)), err
}

// listOfficers answers with the certificates of officers and their chains: a new one is fetched so.
func (d *daemon) listOfficers(r *http.Request, _ audit.Actor) (any, error) {
	found, err := d.ca.Certificates(r.Context(), pki.Filter{Profile: pki.Officer, CommonName: r.URL.Query().Get("name")})
	if err != nil {
		return nil, err
	}
	chain, err := d.custody.Chain()
	if err != nil {
		return nil, err
	}
	list := markedOf(found)
	for i, c := range found {
		list.Certificates[i].Chain = string(custody.PEM(c.DER)) + chain
	}
	return list, nil
}

// renewal is the request for a successor of the certificate that the client shows.
type renewal struct {
	CSR string `json:"csr"` // PEM
}

// renew is the one way to a successor of a certificate over HTTP, at each listener whose clients have one.
func (d *daemon) renew(r *http.Request, who rights.Holder) (any, error) {
	var in renewal
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	request, err := requestIn(in.CSR)
	if err != nil {
		return nil, err
	}
	until, err := d.until(r.Context(), who)
	if err != nil {
		return nil, err
	}
	c, err := d.ca.Renew(r.Context(), actorOf(who), r.TLS.PeerCertificates[0], request, until)
	if err != nil {
		return nil, ofAuthority(err)
	}
	chain, err := d.custody.Chain()
	if err != nil {
		return nil, err
	}
	if who.Role() == rights.Office {
		if err := d.rememberRenewed(r.Context(), who, c, chain); err != nil {
			return nil, err
		}
	}
	return map[string]string{"chain": string(custody.PEM(c.Raw)) + chain}, nil
}

// until is when the authorisation behind a certificate ends: that of the order in force in the line of the
// certificate's own. One that is over, or was switched off, authorises nothing.
func (d *daemon) until(ctx context.Context, who rights.Holder) (time.Time, error) {
	if who.Role() != rights.Office {
		return time.Time{}, nil
	}
	rec, err := d.registry.InForce(ctx, who.Order)
	if err != nil {
		return time.Time{}, err
	}
	if rec == nil {
		return time.Time{}, problem.Refuse(http.StatusForbidden,
			"order %q is not in force: nothing is renewed under it", who.Order)
	}
	on, err := d.registry.Left(ctx, rec.ID)
	if err != nil {
		return time.Time{}, err
	}
	return authorisedUntil(rec.Order, on), nil
}

func (d *daemon) rememberRenewed(ctx context.Context, who rights.Holder, c *x509.Certificate, chain string) error {
	return d.registry.AddCertificate(ctx, registry.Certificate{Serial: fmt.Sprintf("%x", c.SerialNumber), Order: who.Order, Partner: who.Partner,
		Purpose: registry.ClientCertificate, Fingerprint: rights.Fingerprint(c), PEM: string(custody.PEM(c.Raw)) + chain})
}

// renewSelf renews trustd's own certificate, by the same route.
func (d *daemon) renewSelf(ctx context.Context, der []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	presented, err := custody.ReadCertificate(d.cfg.Identity.Certificate)
	if err != nil {
		return nil, err
	}
	c, err := d.ca.Renew(ctx, audit.Actor{Kind: "daemon", ID: presented.Subject.CommonName}, presented, request, time.Time{})
	if err != nil {
		return nil, err
	}
	chain, err := d.custody.Chain()
	return append(custody.PEM(c.Raw), chain...), err
}

// acceptClock takes the clock as it is for right: time-stamps go on after a step that an officer has looked into.
func (d *daemon) acceptClock(r *http.Request, who audit.Actor) (any, error) {
	return nil, d.ca.AcceptClock(r.Context(), who)
}

// keyOfPartner is a row of the HSM's inventory as officers see it.
type keyOfPartner struct {
	ID        string    `json:"id"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"`
	Label     string    `json:"label"`
	Algorithm string    `json:"algorithm"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
}

func (d *daemon) listKeys(r *http.Request, _ audit.Actor) (any, error) {
	found, err := d.custody.HSM.Keys(r.Context(), hsm.Filter{Partner: r.URL.Query().Get("partner"), Order: r.URL.Query().Get("order")})
	if err != nil {
		return nil, err
	}
	list := []keyOfPartner{}
	for _, k := range found {
		list = append(list, keyOfPartner{k.ID, k.Partner, k.Order, k.Label, string(k.Algorithm), string(k.State), k.Created})
	}
	return list, nil
}

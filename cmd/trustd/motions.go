package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
)

// certifying is the body of a motion to certify an officer.
type certifying struct {
	Name string `json:"name"`
	CSR  string `json:"csr"` // PEM

	// As is what the certificate makes of its holder: an officer where it is "".
	As pki.Profile `json:"as,omitempty"`
}

// profile is that of the certificate; ok is false where it is no person's.
func (c certifying) profile() (p pki.Profile, ok bool) {
	p = cmp.Or(c.As, pki.Officer)
	return p, p == pki.Officer || p == pki.Auditor
}

// striking is the body of a motion to strike a gateway off the list.
type striking struct {
	Name string `json:"name"`
}

// ending is the body of a motion to end the former key of a gateway's hub.
type ending struct {
	Name string `json:"name"`
	Key  string `json:"key"`
}

// aboutKeys are the motions whose body is a keysAct.
var aboutKeys = []registry.MotionKind{registry.ResumeKeys, registry.DestroyKeys, registry.RotateKeys}

// propose takes a motion after its body was looked at: what can't be carried out is refused before anybody decides.
func (d *daemon) propose(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Kind registry.MotionKind `json:"kind"`
		marking
		certifying
		State   pki.IssuerState `json:"state"`
		Keys    []string        `json:"keys"`
		SignsOn time.Time       `json:"signs_on"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	switch in.Kind {
	case registry.RevokeCertificates, registry.ReleaseCertificates:
		return d.proposeForCertificates(r.Context(), who, in.Kind, in.marking)
	}
	if slices.Contains(aboutKeys, in.Kind) {
		return d.proposeForKeys(r.Context(), who, in.Kind, keysAct{Keys: in.Keys, Reason: in.Reason, SignsOn: in.SignsOn})
	}
	if in.Kind == registry.StrikeGateway {
		if _, err := d.gone(r.Context(), in.Name); err != nil {
			return nil, err
		}
		return d.registry.Propose(r.Context(), who, in.Kind, "gateway "+in.Name, striking{in.Name})
	}
	if in.Kind == registry.ChangeIssuer {
		return d.proposeIssuer(r.Context(), who, issuerChange{in.Name, in.State})
	}
	if in.Kind == registry.ShareHubKeys {
		return d.proposeSharing(r.Context(), who, in.Name)
	}
	if in.Kind == registry.EndHubKey {
		s, err := d.changes(in.Name)
		if err != nil {
			return nil, err
		}
		subject := fmt.Sprintf("gateway %s: %d of %d offices have not followed", in.Name, behind(s), len(s.Peers))
		return d.registry.Propose(r.Context(), who, in.Kind, subject, ending{in.Name, s.PublicKey.String()})
	}
	request, err := requestIn(in.CSR)
	if err != nil {
		return nil, err
	}
	as, person := in.profile()
	if !person {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "as", "%q: write officer or auditor", in.As)
	}
	if err := pki.CheckRequest(as, request, pki.Subject{CommonName: in.Name}); err != nil {
		return nil, ofAuthority(err)
	}
	return d.registry.Propose(r.Context(), who, in.Kind, string(as)+" "+in.Name, in.certifying)
}

// proposeForCertificates takes a motion about certificates.
func (d *daemon) proposeForCertificates(ctx context.Context, who audit.Actor, kind registry.MotionKind, in marking) (*registry.Motion, error) {
	if _, known := reasons[in.Reason]; kind == registry.RevokeCertificates && !known {
		return nil, problem.RefuseField(http.StatusUnprocessableEntity, "reason", "%q is not one of RFC 5280's: keyCompromise, "+
			"affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn, unspecified", in.Reason)
	}
	if err := in.Which.which().Check(); err != nil {
		return nil, ofAuthority(err)
	}
	return d.registry.Propose(ctx, who, kind, in.Which.String(), in)
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
		d.carryOpenMotions(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// carryOpenMotions does so once, on one node at a time.
func (d *daemon) carryOpenMotions(ctx context.Context) {
	ctx, done, ok := d.custody.Leases.While(ctx, custody.Motions)
	defer done()
	if !ok {
		return
	}
	open, err := d.registry.ApprovedMotions(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Logger.Error("reading motions", "error", err)
	}
	for _, m := range open {
		d.carryMotion(ctx, m)
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
	if slices.Contains(aboutKeys, m.Kind) {
		return d.doForKeys(ctx, actor, m)
	}
	if m.Kind == registry.ChangeIssuer {
		return d.changeIssuer(ctx, actor, m)
	}
	if m.Kind == registry.StrikeGateway {
		var body striking
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return "", err
		}
		return d.strike(ctx, actor, body.Name, m.ID)
	}
	if m.Kind == registry.ShareHubKeys {
		var body sharing
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return "", err
		}
		return d.shareHubKeys(ctx, actor, body, m.ID)
	}
	if m.Kind == registry.EndHubKey {
		var body ending
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return "", err
		}
		return d.endHubKey(ctx, actor, body, m.ID)
	}
	if m.Kind == registry.CertifyOfficer {
		var body certifying
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return "", err
		}
		request, err := requestIn(body.CSR)
		if err != nil {
			return "", err
		}
		as, person := body.profile()
		if !person {
			return "", fmt.Errorf("profile %q is no person's", as)
		}
		c, err := d.ca.Issue(ctx, actor, as, request, pki.Subject{CommonName: body.Name}, m.ID)
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

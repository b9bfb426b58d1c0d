package main

import (
	"errors"
	"net/http"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/cmd/internal/rights"
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
	More         bool          `json:"more,omitempty"` // there are more, which are not listed
}

// maxListed bounds one list of the inventory, newest first.
const maxListed = 10_000

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
		CommonName: q.Get("name"), PublicKey: q.Get("key"), Profile: pki.Profile(q.Get("profile")), State: pki.State(q.Get("state")),
		Limit: maxListed + 1})
	list := markedOf(found[:min(len(found), maxListed)])
	list.More = len(found) > maxListed
	return list, err
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

// listOfficers answers with the certificates of officers and auditors and their chains: a new one is fetched so.
func (d *daemon) listOfficers(r *http.Request, _ audit.Actor) (any, error) {
	var found []pki.Certificate
	for _, person := range []pki.Profile{pki.Officer, pki.Auditor} {
		some, err := d.ca.Certificates(r.Context(), pki.Filter{Profile: person, CommonName: r.URL.Query().Get("name")})
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	list := markedOf(found)
	for i, c := range found {
		var err error
		if list.Certificates[i].Chain, err = d.chainedDER(c.DER); err != nil {
			return nil, err
		}
	}
	return list, nil
}

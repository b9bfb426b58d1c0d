package console

import (
	"context"
	"net/http"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
)

// Acts are what officers may do with what orders brought: the console is given them, so that they are the very ones that
// the admin interface carries out, with its checks and its audit entries. What they return is a *registry.Refusal, a
// *registry.FieldError or a *problem.Problem where the rules do not allow the act.
type Acts struct {
	SuspendKey         func(ctx context.Context, actor audit.Actor, key, reason string) error
	SuspendCertificate func(ctx context.Context, actor audit.Actor, serial string) error
	RotateTunnel       func(ctx context.Context, actor audit.Actor, partner, site string, secret registry.Secret) error
	// Propose files a motion, for another officer to decide.
	Propose func(ctx context.Context, actor audit.Actor, p Proposal) (*registry.Motion, error)
}

// Proposal is what a motion is to be about: a key, or a certificate.
type Proposal struct {
	Kind        registry.MotionKind
	Key, Serial string
	Reason      string // people's words of a key; the name of RFC 5280 5.3.1 of a revocation
}

func (a Acts) whole() bool {
	return a.SuspendKey != nil && a.SuspendCertificate != nil && a.RotateTunnel != nil && a.Propose != nil
}

func (c *Console) suspendKey(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("id")
	err := c.cfg.Acts.SuspendKey(r.Context(), v.Actor, id, r.PostFormValue("reason"))
	c.acted(w, r, v, err, notice{Message: "notice-key-suspended", To: "key?id=" + query(id)})
}

func (c *Console) suspendCertificate(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("id")
	err := c.cfg.Acts.SuspendCertificate(r.Context(), v.Actor, id)
	c.acted(w, r, v, err, notice{Message: "notice-certificate-suspended", To: "certificate?id=" + query(id)})
}

func (c *Console) rotateTunnel(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	partner, site := r.PostFormValue("partner"), r.PostFormValue("site")
	if partner == "" || site == "" { // which would mean every tunnel
		c.nowhere(w, r, v)
		return
	}
	secret := registry.OfficeKey
	if r.PostFormValue("secret") == string(registry.PresharedKey) {
		secret = registry.PresharedKey
	}
	err := c.cfg.Acts.RotateTunnel(r.Context(), v.Actor, partner, site, secret)
	c.acted(w, r, v, err, notice{Message: "notice-tunnel-asked", To: tunnelPath(partner, site)})
}

// proposeKey files a motion about a key, proposeCertificate about a certificate.
func (c *Console) proposeKey(kind registry.MotionKind) page {
	return func(w http.ResponseWriter, r *http.Request, v view) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		id := r.PostFormValue("id")
		c.propose(w, r, v, Proposal{Kind: kind, Key: id, Reason: r.PostFormValue("reason")}, "key?id="+query(id))
	}
}

func (c *Console) proposeCertificate(kind registry.MotionKind) page {
	return func(w http.ResponseWriter, r *http.Request, v view) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		id := r.PostFormValue("id")
		c.propose(w, r, v, Proposal{Kind: kind, Serial: id, Reason: r.PostFormValue("reason")}, "certificate?id="+query(id))
	}
}

func (c *Console) propose(w http.ResponseWriter, r *http.Request, v view, p Proposal, back string) {
	m, err := c.cfg.Acts.Propose(r.Context(), v.Actor, p)
	done := notice{Message: "notice-motion-filed", To: back}
	if err == nil {
		done.Order, done.To = m.ID, "motions"
	}
	c.acted(w, r, v, err, done)
}

// acted tells what came of an act: done, or why the rules do not allow it, on the page of what it was about.
func (c *Console) acted(w http.ResponseWriter, r *http.Request, v view, err error, done notice) {
	switch {
	case err == nil:
		c.tell(w, r, v, done)
	case isRefusal(err):
		n := notice{Message: "notice-act-refused", Refused: true, To: done.To}
		n.Text, n.Detail = v.explain(err)
		c.tell(w, r, v, n)
	default:
		c.fault(w, r, err)
	}
}

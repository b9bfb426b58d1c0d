package console

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
)

// Motion is something beside orders that waits for another officer's decision.
type Motion struct {
	registry.Motion
	Certificates []Certificate // those that are to be revoked or released, as of now
	Reason       string        // of a revocation, by its name in RFC 5280 5.3.1
	Key          string        // of a new officer's certificate: SHA-256 of the SubjectPublicKeyInfo, hex
	Partners     []string      // whose certificates or keys it is about
}

// Motions is what the console is given to have motions decided.
type Motions struct {
	Waiting func(ctx context.Context) ([]Motion, error) // oldest first
	// Approve decides for a motion and carries it out: what it returns is carried out, or says in Outcome why
	// it is not yet. A *registry.Refusal says that the rules do not allow the decision.
	Approve func(ctx context.Context, actor audit.Actor, id string) (*registry.Motion, error)
}

// motion is one motion as the page shows it.
type motion struct {
	Motion
	Own bool // the officer who looks has proposed it

	MayApprove, MayReject bool // the officer who looks, by the table of rights
}

// Revokes reports whether certificates end for good.
func (m motion) Revokes() bool { return m.Kind == registry.RevokeCertificates }

// Touches reports whether the motion is about certificates that are there.
func (m motion) Touches() bool {
	return m.Kind == registry.RevokeCertificates || m.Kind == registry.ReleaseCertificates
}

// WholeKeys reports whether certificates beyond the chosen ones end: all of a compromised key do.
func (m motion) WholeKeys() bool { return m.Reason == "keyCompromise" }

func motionsFor(v view, waiting []Motion) []motion {
	all := make([]motion, len(waiting))
	for i, m := range waiting {
		all[i] = motion{m, m.ProposedBy == v.Actor.ID, v.May(http.MethodPost, "motions/approve"),
			v.May(http.MethodPost, "motions/reject")}
	}
	return all
}

type motionsPage struct {
	frame
	Waiting table[motion]
	Decided list[registry.Motion]
}

// showMotions shows what waits for another officer, and all motions that there were.
func (c *Console) showMotions(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	all, err := c.cfg.Registry.Motions(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	world := c.read(ctx, "", partMotions)
	p := &motionsPage{frame: c.framed(r, v, "motions", v.word("nav-motions"))}
	p.Waiting = tableOf(motionsFor(v, world.motions), world.failed[partMotions])
	p.Decided = listOf(r, "motions", all, false, func(m registry.Motion) []string {
		return []string{m.ID, m.Subject, m.ProposedBy, m.DecidedBy, v.speech.term("motion", m.Kind)}
	})
	c.render(w, r, v, http.StatusOK, "motions", p)
}

func (c *Console) approveMotion(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("motion")
	changed, err := c.motionChanged(r.Context(), id, r.PostFormValue(fieldShown), v)
	if c.unseen(w, r, v, confirmPath("motion-approve", id), changed, err) {
		return
	}
	m, err := c.cfg.Motions.Approve(r.Context(), v.Actor, id)
	switch {
	case err != nil:
		c.refusedMotion(w, r, v, id, "notice-motion-own", err)
	case m.State == registry.CarriedOut:
		c.tell(w, r, v, notice{Message: "notice-motion-approved", Order: id, Detail: m.Outcome, To: "motions"})
	default:
		c.tell(w, r, v, notice{Message: "notice-motion-open", Order: id, Detail: m.Outcome, To: "motions"})
	}
}

func (c *Console) rejectMotion(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, reason := r.PostFormValue("motion"), strings.TrimSpace(r.PostFormValue("reason"))
	if _, err := c.cfg.Registry.RejectMotion(r.Context(), v.Actor, id, reason); err != nil {
		c.refusedMotion(w, r, v, id, "notice-motion-reason", err)
		return
	}
	c.tell(w, r, v, notice{Message: "notice-motion-rejected", Order: id, To: "motions"})
}

// refusedMotion shows why the rules do not allow a decision: by the message where it says the reason in the
// officer's language, else in the registry's words.
func (c *Console) refusedMotion(w http.ResponseWriter, r *http.Request, v view, id, message string, err error) {
	var no *registry.Refusal
	if !errors.As(err, &no) {
		c.fault(w, r, err)
		return
	}
	n := notice{Message: "notice-motion-refused", Refused: true, Order: id, To: "motions"}
	n.Text, n.Detail = v.explain(err)
	m, found := c.cfg.Registry.Motion(r.Context(), id)
	switch {
	case found != nil:
		n.Order = ""
	case m.State == registry.Submitted && (message == "notice-motion-reason" || m.ProposedBy == v.Actor.ID):
		n.Message, n.Text, n.Detail = message, "", ""
	}
	c.tell(w, r, v, n)
}

package console

import (
	"errors"
	"net/http"

	"trustcore/cmd/internal/registry"
)

// orderPath is the page of an order below the session's home.
func orderPath(id string) string { return "order?id=" + query(id) }

// confirmPath is the page that asks whether an act is meant.
func confirmPath(name, id string) string { return "confirm?act=" + name + "&id=" + query(id) }

func (c *Console) approve(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("order")
	changed, err := c.orderChanged(r.Context(), id, r.PostFormValue(fieldShown), v)
	if c.unseen(w, r, v, confirmPath("order-approve", id), changed, err) {
		return
	}
	if err := c.cfg.Registry.Approve(r.Context(), v.Actor, id); err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	rec, err := c.cfg.Registry.Order(r.Context(), id)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	if rec.Kind == registry.Change || !rec.NeedsEnrolment() {
		c.tell(w, r, v, notice{Message: "notice-approved", Order: id, To: orderPath(id)})
		return
	}
	c.tellToken(w, r, v, id, "notice-approved-token")
}

func (c *Console) newToken(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	c.tellToken(w, r, v, r.PostFormValue("order"), "notice-token")
}

// tellToken makes the office's one-time token and shows it on the next page alone.
func (c *Console) tellToken(w http.ResponseWriter, r *http.Request, v view, id, message string) {
	token, err := c.cfg.Registry.NewToken(r.Context(), v.Actor, id)
	if err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	command := "trustlink enrol --url " + c.cfg.EnrolmentURL
	if c.cfg.EnrolmentPin != "" {
		command += " --pin " + c.cfg.EnrolmentPin
	}
	// The token does not stand in the command: everybody on the office's machine could read it there.
	c.tell(w, r, v, notice{Message: message, Order: id, To: orderPath(id), Command: command + " --token -", Token: token})
}

func (c *Console) reject(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id := r.PostFormValue("order")
	if err := c.cfg.Registry.Reject(r.Context(), v.Actor, id, r.PostFormValue("reason")); err != nil {
		c.refused(w, r, v, id, err)
		return
	}
	c.tell(w, r, v, notice{Message: "notice-rejected", Order: id, To: orderPath(id)})
}

// refused shows why the rules do not allow what was asked: in the officer's language where the reason is
// one that the page knows, else in the registry's words.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, v view, id string, err error) {
	var no *registry.Refusal
	if !errors.As(err, &no) {
		c.fault(w, r, err)
		return
	}
	n := notice{Message: "notice-refused", Refused: true, Order: id, To: orderPath(id)}
	n.Text, n.Detail = v.explain(err)
	rec, found := c.cfg.Registry.Order(r.Context(), id)
	switch {
	case found != nil:
		n.Order, n.To = "", ""
	case rec.State == registry.Submitted && r.URL.Path == v.Home+"orders/reject":
		n.Message, n.Text, n.Detail = "notice-reason", "", ""
	case rec.State == registry.Submitted && rec.SubmittedBy == v.Actor.ID:
		n.Message, n.Text, n.Detail = "notice-own", "", ""
	}
	c.tell(w, r, v, n)
}

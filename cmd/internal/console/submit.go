package console

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/problem"
)

// Limits of an order file that comes by a form: the file as the admin interface takes it, and what a form adds.
const (
	maxOrderFile = 256 << 10
	maxOrderForm = 4 * maxOrderFile // its text is written with escapes
)

// submitPage is where an order file is given, and where a draft is shown back.
type submitPage struct {
	frame
	File         string // of the order, as it was given
	Text, Detail string // why it can't be taken
	Draft        *orderPage
}

func (c *Console) showSubmit(w http.ResponseWriter, r *http.Request, v view) {
	c.render(w, r, v, http.StatusOK, "submit", &submitPage{frame: c.framed(r, v, "orders", v.word("submit-order"))})
}

// showDraft reads an order file and shows it back, as fields and as the difference to what the partner has. Nothing is
// recorded and nothing is kept: the file comes again with the button that submits it.
func (c *Console) showDraft(w http.ResponseWriter, r *http.Request, v view) {
	p := &submitPage{frame: c.framed(r, v, "orders", v.word("submit-order"))}
	file, err := orderFileIn(w, r)
	if err != nil {
		p.Text = v.word("refusal-file-large")
		c.render(w, r, v, problem.OfBody(err).Status, "submit", p)
		return
	}
	p.File = string(file)
	o, err := registry.ParseOrder(file)
	if err != nil {
		p.Text, p.Detail = v.explain(err)
		c.render(w, r, v, http.StatusUnprocessableEntity, "submit", p)
		return
	}
	ctx, cancel := reading(r)
	defer cancel()
	if p.Draft, err = c.draftPage(r, *o, v); err != nil {
		c.fault(w, r, err)
		return
	}
	status := http.StatusOK
	if err := c.cfg.Registry.Admissible(ctx, *o); isRefusal(err) {
		status = http.StatusUnprocessableEntity
		p.Text, p.Detail = v.explain(err)
	} else if err != nil {
		c.fault(w, r, err)
		return
	}
	c.render(w, r, v, status, "submit", p)
}

// draftPage shows an order as if it waited for a decision.
func (c *Console) draftPage(r *http.Request, o registry.Order, v view) (*orderPage, error) {
	ctx, cancel := reading(r)
	defer cancel()
	rec := registry.Record{Order: o, State: registry.Submitted, SubmittedBy: v.Actor.ID, SubmittedAt: c.cfg.Now()}
	world := c.read(ctx, o.Partner.ID, partTunnels, partKeys, partCertificates)
	if err := world.learn(ctx, c.cfg.Registry, o.Partner.ID); err != nil {
		return nil, err
	}
	if err := world.foresee(ctx, c.cfg.Registry, []registry.Record{rec}); err != nil {
		return nil, err
	}
	return &orderPage{Order: world.decorate(rec, v)}, nil
}

// submitOrder takes an order, by the same checks and with the same audit entry as the admin interface.
func (c *Console) submitOrder(w http.ResponseWriter, r *http.Request, v view) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrderForm)
	file := []byte(r.PostFormValue("file"))
	o, err := registry.ParseOrder(file)
	if err == nil {
		err = c.cfg.Registry.Submit(r.Context(), v.Actor, *o)
	}
	switch {
	case err == nil:
		c.tell(w, r, v, notice{Message: "notice-submitted", Order: o.ID, To: orderPath(o.ID)})
	case o == nil || isRefusal(err):
		p := &submitPage{frame: c.framed(r, v, "orders", v.word("submit-order")), File: string(file)}
		p.Text, p.Detail = v.explain(err)
		c.render(w, r, v, http.StatusUnprocessableEntity, "submit", p)
	default:
		c.fault(w, r, err)
	}
}

// orderFileIn reads the file of a form, or else the text that was written into its field.
func orderFileIn(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxOrderForm)
	form, err := problem.FormOf(r)
	if err != nil {
		return nil, err
	}
	var text []byte
	for {
		part, err := form.Next()
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return nil, err
		}
		got, err := readPart(part)
		if err != nil {
			return nil, err
		}
		if isField := part.FormName() == "file" || part.FormName() == "text"; isField && len(got) > 0 {
			text = got
		}
	}
}

// readPart reads one part of a form, a byte more than an order file may have.
func readPart(part *multipart.Part) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(part, maxOrderFile+1))
	if err == nil && len(data) > maxOrderFile {
		err = &http.MaxBytesError{Limit: maxOrderFile}
	}
	return data, err
}

package console

import (
	"context"
	"net/http"
)

// certificatePage is all of a certificate.
type certificatePage struct {
	frame
	Certificate certificateRow
	Key         *keyRow // of the HSM, that it is for
}

func (c *Console) showCertificate(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	p, err := c.certificatePage(ctx, r.URL.Query().Get("id"))
	if c.answered(w, r, v, err) {
		return
	}
	p.frame = c.framed(r, v, "certificates", v.word("certificate-title", "Subject", masked(p.Certificate.Subject)))
	c.render(w, r, v, http.StatusOK, "certificate", p)
}

// certificatePage reads a certificate. The error is errNotThere when there is none of that serial number.
func (c *Console) certificatePage(ctx context.Context, serial string) (*certificatePage, error) {
	if serial == "" {
		return nil, errNotThere
	}
	found, err := c.cfg.Certificates(ctx, Choice{ID: serial})
	if err != nil {
		return nil, err
	}
	found = keep(found, func(x Certificate) bool { return x.Serial == serial })
	if len(found) == 0 {
		return nil, errNotThere
	}
	names, err := c.names(ctx)
	if err != nil {
		return nil, err
	}
	p := &certificatePage{Certificate: certificateRows(found[:1], names, c.cfg.Now())[0]}
	if p.Certificate.PublicKey == "" || p.Certificate.Profile != "seal" {
		return p, nil
	}
	keys, err := c.cfg.Keys(ctx, Choice{Partner: p.Certificate.Partner})
	if err != nil {
		return nil, err
	}
	for _, k := range keyRows(keys, names) {
		if k.PublicKey == p.Certificate.PublicKey {
			p.Key = &k
		}
	}
	return p, nil
}

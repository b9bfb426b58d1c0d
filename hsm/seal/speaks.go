package seal

import (
	"bytes"
	"context"
	"crypto/x509"

	"golang.org/x/crypto/ocsp"
)

// speaksOf tells whether there is revocation information about a certificate. Whether it is right was looked at when
// it was gathered, and is a verifier's to judge.
func (e Evidence) speaksOf(certificate []byte) bool {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return false
	}
	for _, der := range e.OCSPs {
		if r, err := ocsp.ParseResponseForCert(der, c, nil); err == nil && r.SerialNumber.Cmp(c.SerialNumber) == 0 {
			return true
		}
	}
	for _, der := range e.CRLs {
		if l, err := x509.ParseRevocationList(der); err == nil && bytes.Equal(l.RawIssuer, c.RawIssuer) {
			return true
		}
	}
	return false
}

// collectAll gathers the evidence for several signers and for tokens.
func (w *work) collectAll(ctx context.Context, signers [][]byte, p present) (Evidence, error) {
	var all Evidence
	for _, c := range signers {
		e, err := w.collect(ctx, present{signer: c, known: p.known})
		if err != nil {
			return Evidence{}, err
		}
		all = all.with(e)
	}
	if len(p.tokens) > 0 {
		e, err := w.collect(ctx, p)
		if err != nil {
			return Evidence{}, err
		}
		all = all.with(e)
	}
	return all, nil
}

// with joins evidence, each object once.
func (e Evidence) with(more Evidence) Evidence {
	more = more.without(e.Certificates, e.CRLs, e.OCSPs)
	return Evidence{Certificates: append(e.Certificates, more.Certificates...), CRLs: append(e.CRLs, more.CRLs...),
		OCSPs: append(e.OCSPs, more.OCSPs...)}
}

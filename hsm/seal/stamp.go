package seal

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"trustcore/internal/cms"
)

// stamp has what is written time-stamped.
func (w *work) stamp(ctx context.Context, message ...[]byte) ([]byte, error) {
	h := w.opts.Hash.New()
	for _, part := range message {
		h.Write(part)
	}
	return w.stampDigest(ctx, h.Sum(nil))
}

func (w *work) stampDigest(ctx context.Context, digest []byte) ([]byte, error) {
	return w.opts.TSA(ctx, w.opts.Hash, digest)
}

// present is what a seal holds that evidence is wanted about.
type present struct {
	signer []byte   // certificate of the signer; nil where only tokens are asked about
	known  [][]byte // certificates beside it
	tokens [][]byte // time-stamp tokens
}

// collect gathers the evidence for the signer and for the units that made the tokens.
func (w *work) collect(ctx context.Context, p present) (Evidence, error) {
	var wanted [][]byte
	if p.signer != nil {
		wanted = append(wanted, p.signer)
	}
	known := slices.Clone(p.known)
	for _, token := range p.tokens {
		unit, beside, err := tokenCertificates(token)
		if err != nil {
			return Evidence{}, err
		}
		if !contains(wanted, unit) {
			wanted = append(wanted, unit)
		}
		known = append(known, beside...)
	}
	e, err := w.opts.Collect(ctx, wanted, known)
	if err != nil {
		return Evidence{}, fmt.Errorf("gathering evidence: %w", err)
	}
	if len(e.CRLs)+len(e.OCSPs) == 0 {
		return Evidence{}, errors.New("gathering evidence: there is no revocation information in it")
	}
	return e, nil
}

// tokenCertificates finds the certificate of the unit that made a token, and gives the others in it.
func tokenCertificates(token []byte) (unit []byte, beside [][]byte, err error) {
	sd, err := cms.Parse(token)
	if err != nil {
		return nil, nil, fmt.Errorf("a time-stamp: %w", err)
	}
	if len(sd.Signers) != 1 {
		return nil, nil, fmt.Errorf("a time-stamp with %d signers, not one", len(sd.Signers))
	}
	if unit = signerOf(sd.Signers[0], sd.Certificates); unit == nil {
		return nil, nil, errors.New("a time-stamp does not hold the certificate of the unit that made it")
	}
	return unit, sd.Certificates, nil
}

// signerOf is the certificate that a SignerInfo names, or nil.
func signerOf(si *cms.SignerInfo, certificates [][]byte) []byte {
	for _, der := range certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if si.SubjectKeyID != nil && bytes.Equal(si.SubjectKeyID, c.SubjectKeyId) ||
			si.SubjectKeyID == nil && bytes.Equal(si.Issuer, c.RawIssuer) && sameNumber(si.Serial, c) {
			return der
		}
	}
	return nil
}

// without leaves out what is there already.
func (e Evidence) without(certificates, crls, ocsps [][]byte) Evidence {
	return Evidence{Certificates: rest(e.Certificates, certificates), CRLs: rest(e.CRLs, crls),
		OCSPs: rest(e.OCSPs, ocsps)}
}

func (e Evidence) empty() bool { return len(e.Certificates)+len(e.CRLs)+len(e.OCSPs) == 0 }

// rest are the members of a list that another has not, each once.
func rest(list, known [][]byte) [][]byte {
	var out [][]byte
	for _, item := range list {
		if !contains(known, item) && !contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

func contains(list [][]byte, item []byte) bool {
	return slices.ContainsFunc(list, func(other []byte) bool { return bytes.Equal(other, item) })
}

func sameNumber(serial []byte, c *x509.Certificate) bool {
	return new(big.Int).SetBytes(serial).Cmp(c.SerialNumber) == 0
}

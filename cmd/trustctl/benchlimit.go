package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"trustcore/verify"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/revocation"
	"trustcore/verify/signature"
)

// keyOperation is one verification with a key that a document names. Its value is made up, with the size of a true one, where that
// costs the same; an outcome other than 'does not verify' would be a fault of the measurement then.
type keyOperation struct {
	scheme algorithm.Scheme
	key    *algorithm.PublicKey
	value  []byte
	true   bool // the value verifies
}

// limitMessage is what is verified.
var limitMessage = make([]byte, sha256.Size)

// bareWork is what a document needs of cryptography and nothing else.
type bareWork struct {
	own    []keyOperation // its signatures and time-stamps
	others []keyOperation // certificates, CRLs and OCSP answers, by their issuers, where these are known
	hashes []algorithm.Hash
	data   [][]byte // hashed once by each of hashes
}

// do does the work; cold includes what stands around the document.
func (w *bareWork) do(cold bool) error {
	w.hash()
	if err := w.verify(w.own); err != nil || !cold {
		return err
	}
	return w.verify(w.others)
}

func (w *bareWork) hash() {
	for _, h := range w.hashes {
		h.Sum(w.data...)
	}
}

func (w *bareWork) verify(operations []keyOperation) error {
	for i := range operations {
		if err := operations[i].do(); err != nil {
			return err
		}
	}
	return nil
}

func (o *keyOperation) do() error {
	_, err := o.scheme.Verify(o.key, limitMessage, o.value)
	if o.true && err == nil || !o.true && errors.Is(err, algorithm.ErrSignature) {
		return nil
	}
	return fmt.Errorf("the limit's %s with %s: %v", o.scheme.Name(), o.key.Name(), err)
}

// schemeURIs are the registry's names of schemes as XML Signature writes them.
var schemeURIs = map[string]string{
	"RSA-PKCS1-SHA1":   "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
	"RSA-PKCS1-SHA256": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
	"RSA-PKCS1-SHA384": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
	"RSA-PKCS1-SHA512": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
	"RSA-PSS-SHA256":   "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
	"RSA-PSS-SHA384":   "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
	"RSA-PSS-SHA512":   "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
	"ECDSA-SHA1":       "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1",
	"ECDSA-SHA256":     "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
	"ECDSA-SHA384":     "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
	"ECDSA-SHA512":     "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
}

// hashNames are the hashes of the registry by name.
func hashNames() map[string]algorithm.Hash {
	names := map[string]algorithm.Hash{}
	for h := algorithm.MD5; h <= algorithm.SHA3_512; h++ {
		names[h.Name()] = h
	}
	return names
}

// operation makes up the verification of a kind; false where the kind is too rare to be made up, which leaves the limit higher.
func operation(schemeName string, spki []byte) (keyOperation, bool) {
	scheme, err := algorithm.FromXML(schemeURIs[schemeName], nil)
	if err != nil {
		return keyOperation{}, false
	}
	key, err := algorithm.ParsePublicKey(spki)
	if err != nil {
		return keyOperation{}, false
	}
	if h := pkcs1Hashes[schemeName]; h != 0 && key.Bits() == refusedTwice {
		return ownOperation(scheme, h)
	}
	size := (key.Bits() + 7) / 8
	if key.Kind() == algorithm.KindEC {
		size *= 2
	}
	o := keyOperation{scheme: scheme, key: key, value: bytes.Repeat([]byte{1}, size)} // below every modulus and group order of the size
	if key.Bits()%8 != 0 {
		o.value[0] = 0
		o.value[size/2] = 0
	}
	return o, o.do() == nil
}

// refusedTwice is the size of RSA keys of which a false value costs twice what a true one does: what crypto/rsa refuses is looked at
// again. For these a key of the measurement's own makes a true one.
const refusedTwice = 2048

var pkcs1Hashes = map[string]crypto.Hash{
	"RSA-PKCS1-SHA1": crypto.SHA1, "RSA-PKCS1-SHA256": crypto.SHA256, "RSA-PKCS1-SHA384": crypto.SHA384, "RSA-PKCS1-SHA512": crypto.SHA512,
}

var limitKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, refusedTwice) })

// ownOperation makes a true value.
func ownOperation(scheme algorithm.Scheme, h crypto.Hash) (keyOperation, bool) {
	private, err := limitKey()
	if err != nil {
		return keyOperation{}, false
	}
	digest := h.New()
	digest.Write(limitMessage)
	o := keyOperation{scheme: scheme, true: true}
	o.value, err = rsa.SignPKCS1v15(nil, private, h, digest.Sum(nil))
	if err != nil {
		return keyOperation{}, false
	}
	o.key, err = algorithm.RSAPublicKey(private.N.Bytes(), big.NewInt(int64(private.E)).Bytes())
	return o, err == nil && o.do() == nil
}

// bare finds out what a document needs. Roots are further issuers, around is what was gathered beside the document.
func bare(doc *signature.Document, data []byte, detached []signature.Detached, roots [][]byte, around *verify.Evidence) *bareWork {
	w := &bareWork{data: [][]byte{data}}
	crls, ocsps := slices.Clone(around.CRLs), slices.Clone(around.OCSPs)
	for _, d := range detached {
		w.data = append(w.data, d.Content)
	}
	hashes, names := map[string]bool{}, hashNames()
	carried, stamps := slices.Clone(roots), slices.Clone(doc.Timestamps)
	for _, s := range doc.Signatures {
		w.add(s.Signer, s.Algorithms)
		carried = append(append(carried, s.Certificates...), s.Signer)
		crls, ocsps = append(crls, s.CRLs...), append(ocsps, s.OCSPs...)
		stamps = append(stamps, s.Timestamps...)
		for _, e := range s.EvidenceRecords {
			stamps = append(stamps, e.Timestamps...)
		}
		for _, use := range s.Algorithms {
			if (use.Purpose == "reference" || use.Purpose == "message-digest") && !hashes[use.Algorithm] && names[use.Algorithm].Valid() {
				hashes[use.Algorithm] = true
				w.hashes = append(w.hashes, names[use.Algorithm])
			}
		}
	}
	for _, e := range doc.EvidenceRecords {
		stamps = append(stamps, e.Timestamps...)
	}
	seen := map[*signature.Timestamp]bool{}
	for _, t := range stamps {
		if seen[t] {
			continue
		}
		seen[t] = true
		w.add(t.Signer, t.Algorithms)
		carried = append(append(carried, t.Certificates...), t.Signer)
		crls, ocsps = append(crls, t.CRLs...), append(ocsps, t.OCSPs...)
	}
	w.surroundings(carried, crls, ocsps)
	return w
}

// add takes the signature of one signer.
func (w *bareWork) add(signer []byte, uses []signature.AlgorithmUse) {
	c, err := certificate.Parse(signer)
	if err != nil {
		return
	}
	for _, use := range uses {
		if strings.HasSuffix(use.Purpose, "signature") {
			if o, ok := operation(use.Algorithm, c.RawSPKI); ok {
				w.own = append(w.own, o)
			}
			return
		}
	}
}

// surroundings takes the signature of each certificate and CRL whose issuer is among the certificates, and of each OCSP answer with its
// responder's certificate; repeats and self-signed certificates are left out.
func (w *bareWork) surroundings(certificates, crls, ocsps [][]byte) {
	seen := map[[sha256.Size]byte]bool{}
	fresh := func(der []byte) bool {
		digest := sha256.Sum256(der)
		again := seen[digest]
		seen[digest] = true
		return !again
	}
	for _, der := range ocsps {
		r, err := revocation.ParseOCSP(der)
		if err != nil || !fresh(der) || len(r.RawCertificates) == 0 {
			continue
		}
		if responder, err := certificate.Parse(r.RawCertificates[0]); err == nil {
			w.other(r.SignatureAlgorithm, responder)
			certificates = append(certificates, responder.Raw)
		}
	}
	issuers := map[string]*certificate.Certificate{}
	var all []*certificate.Certificate
	for _, der := range certificates {
		if c, err := certificate.Parse(der); err == nil && fresh(der) {
			all, issuers[c.Subject.Canonical()] = append(all, c), c
		}
	}
	for _, c := range all {
		if issuer := issuers[c.Issuer.Canonical()]; issuer != c {
			w.other(c.SignatureAlgorithm, issuer)
		}
	}
	for _, der := range crls {
		if l, err := revocation.ParseCRL(der); err == nil && fresh(der) {
			w.other(l.SignatureAlgorithm, issuers[l.Issuer.Canonical()])
		}
	}
}

// other takes one signature of an issuer, nil where that is not known.
func (w *bareWork) other(algorithmDER []byte, issuer *certificate.Certificate) {
	if issuer == nil {
		return
	}
	scheme, err := algorithm.FromCertificate(algorithmDER)
	if err != nil {
		return
	}
	if o, ok := operation(scheme.Name(), issuer.RawSPKI); ok {
		w.others = append(w.others, o)
	}
}

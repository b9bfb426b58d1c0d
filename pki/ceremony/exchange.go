package ceremony

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"trustcore/pki/profile"
)

// MaxExchange is how many octets a file on the stick has at most.
const MaxExchange = 1 << 20

// Request is what an issuing authority's machine asks of a root that is on another machine. It travels as a file; people carry the
// file's digest on paper.
type Request struct {
	Version int    `json:"version"`       // 1
	ID      string `json:"id"`            // 128 random bits, hex: no two requests are one
	Plan    string `json:"plan"`          // as it was written
	CSR     []byte `json:"csr"`           // PKCS #10, signed by the authority's key; none of a root, whose own certificate its key signed
	Own     []byte `json:"own,omitempty"` // of a cross-certificate: the authority's certificate by another root, a root's by itself

	plan      *Plan
	own       *x509.Certificate
	public    crypto.PublicKey
	spki      []byte // of public
	name      []byte // the subject, DER
	requested string // the subject, as it is compared with the plan's
}

// Answer is what the root's machine gives back.
type Answer struct {
	Version     int    `json:"version"`     // 1
	Request     string `json:"request"`     // SHA-256 of the request's file, hex
	Certificate []byte `json:"certificate"` // of the authority, DER
	Root        []byte `json:"root"`        // certificate, DER
	Name        string `json:"name"`        // of the root in URLs
	List        []byte `json:"list"`        // the root's newest CRL, DER
	Signature   []byte `json:"signature"`   // by the root's key over message
}

// Digest is that of a file, as people compare it.
func Digest(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// CheckDigest refuses a file that is not the one whose digest people carried on paper, beside the stick.
func CheckDigest(file []byte, onPaper string) error {
	onPaper = strings.ToLower(strings.ReplaceAll(onPaper, " ", ""))
	switch {
	case len(file) > MaxExchange:
		return fmt.Errorf("the file has %d octets, at most %d are read", len(file), MaxExchange)
	case onPaper == "":
		return errors.New("digest: write the SHA-256 that the other machine showed, as it stands on paper")
	case subtle.ConstantTimeCompare([]byte(Digest(file)), []byte(onPaper)) != 1:
		return fmt.Errorf("digest: the file's is %s, not the one on paper: it is another file, and nothing is done with it", Digest(file))
	}
	return nil
}

// Ask makes a request for an issuing authority of a plan, whose key is here. own is its certificate by another root where a
// cross-certificate is asked for, nil else.
func Ask(plan *Plan, key crypto.Signer, own *x509.Certificate) ([]byte, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: plan.subject(plan.Issuing)}, key)
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	r := Request{Version: 1, ID: hex.EncodeToString(id), Plan: string(plan.source), CSR: csr}
	if own != nil {
		r.Own = own.Raw
	}
	return encode(r)
}

// AskForRoot makes a request for a root's certificate by another root: clients that know that one alone find a path by way of it from
// whatever is below this one. It needs no key: the root's own certificate shows that its key agrees to the name.
func AskForRoot(plan *Plan, root *x509.Certificate) ([]byte, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	return encode(Request{Version: 1, ID: hex.EncodeToString(id), Plan: string(plan.source), Own: root.Raw})
}

func (p *Plan) subject(key Key) pkix.Name {
	return pkix.Name{CommonName: key.CommonName, Organization: []string{p.Organization}, Country: []string{p.Country}}
}

func encode(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	return append(text, '\n'), err
}

// decode reads what encode wrote, in one way.
func decode(data []byte, v any) error {
	if len(data) > MaxExchange {
		return fmt.Errorf("%d octets, at most %d are read", len(data), MaxExchange)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	again, err := encode(v)
	if err != nil || !bytes.Equal(again, data) {
		return errors.New("it is not written as this program writes it: a field is there twice, or something follows")
	}
	return nil
}

// ReadRequest reads a request and checks that it is whole: the plan can be read, and the key that it brings signed it for the plan's name.
func ReadRequest(data []byte) (*Request, error) {
	r := &Request{}
	err := decode(data, r)
	if err == nil && r.Version != 1 {
		err = fmt.Errorf("version is %d, not 1", r.Version)
	}
	if err == nil {
		r.plan, err = parse([]byte(r.Plan), modeOf([]byte(r.Plan)))
	}
	if err == nil && len(r.Own) > 0 {
		r.own, err = x509.ParseCertificate(r.Own)
	}
	if err == nil {
		err = r.proven()
	}
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	if r.made() == (Key{}) {
		return nil, errors.New("request: its plan is about another kind of authority")
	}
	if planned := r.plan.subject(r.made()); r.requested != planned.String() {
		return nil, errors.New("request: its key signed for another name than the plan's")
	}
	return r, nil
}

// ofRoot reports whether a root's certificate by another root is asked for.
func (r *Request) ofRoot() bool { return len(r.CSR) == 0 }

// made is the key of the plan that the request is about.
func (r *Request) made() Key {
	if r.ofRoot() {
		return r.plan.Root
	}
	return r.plan.Issuing
}

// proven takes the key and name that the key itself signed: of a root in its own certificate, else in the CSR.
func (r *Request) proven() error {
	if r.ofRoot() {
		if r.own == nil {
			return errors.New("neither csr nor own is there")
		}
		if !bytes.Equal(r.own.RawIssuer, r.own.RawSubject) {
			return errors.New("own: is no root's certificate")
		}
		r.public, r.spki, r.name, r.requested = r.own.PublicKey, r.own.RawSubjectPublicKeyInfo, r.own.RawSubject, r.own.Subject.String()
		return r.own.CheckSignatureFrom(r.own)
	}
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return err
	}
	r.public, r.spki, r.name, r.requested = csr.PublicKey, csr.RawSubjectPublicKeyInfo, csr.RawSubject, csr.Subject.String()
	return csr.CheckSignature()
}

// modeOf finds what a plan makes: each kind has fields that others have not.
func modeOf(planYAML []byte) mode {
	for _, m := range []mode{succession, below, rootAlone} {
		if _, err := parse(planYAML, m); err == nil {
			return m
		}
	}
	return whole
}

// Written is the plan that the request was made by.
func (r *Request) Written() *Plan { return r.plan }

// Crosses reports whether a further root's certificate is asked for, of an authority that has one.
func (r *Request) Crosses() bool { return r.own != nil }

// Subject is the common name of the authority that a certificate is asked for.
func (r *Request) Subject() string { return r.made().CommonName }

// template is the certificate that the root makes: by the plan, or, of a cross-certificate, with all that the authority's own says.
func (r *Request) template(root *x509.Certificate, name string, now time.Time) (*x509.Certificate, error) {
	places := profile.RootPlaces(r.plan.BaseURL, name)
	now = now.UTC().Truncate(time.Second)
	if r.own == nil {
		t, err := profile.Authority(profile.Issuing, now, earliest(r.plan.Issuing.Valid.After(now), root.NotAfter), places, r.plan.For())
		if err != nil {
			return nil, err
		}
		t.Subject = r.plan.subject(r.plan.Issuing)
		return t, nil
	}
	own := r.own
	if !bytes.Equal(own.RawSubjectPublicKeyInfo, r.spki) || !bytes.Equal(own.RawSubject, r.name) {
		return nil, errors.New("own: is for another name or key than the request")
	}
	kind := profile.Issuing
	if r.ofRoot() {
		kind = profile.Root
	}
	t, err := profile.Authority(kind, now, earliest(own.NotAfter, root.NotAfter), places, r.plan.For())
	if err != nil {
		return nil, err
	}
	t.RawSubject, t.SubjectKeyId = own.RawSubject, own.SubjectKeyId
	if r.ofRoot() { // one of an older version has a path length
		t.MaxPathLen, t.MaxPathLenZero = own.MaxPathLen, own.MaxPathLenZero
	}
	return t, nil
}

// mayCertify refuses what would give nobody a path: a root above itself, and one that lets only issuing authorities be below it.
func (r *Request) mayCertify(root *x509.Certificate) error {
	switch {
	case !r.ofRoot():
		return nil
	case bytes.Equal(r.spki, root.RawSubjectPublicKeyInfo):
		return errors.New("own: is the root that is here: have another root certify it")
	case root.MaxPathLen >= 0 && root.MaxPathLen < 2:
		return fmt.Errorf("the root here was made with path length %d: no path leads by way of another root below it; have that root's "+
			"people certify this one, and this root the issuing authorities (request --cross issuing)", root.MaxPathLen)
	}
	return nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Grant has a root answer a request. The plan is held against the rules of a ceremony first; a cross-certificate says nothing else than
// what the plan and the authority's own certificate say alike.
func Grant(request []byte, root Authority, name string, list []byte, now time.Time) ([]byte, *x509.Certificate, error) {
	r, err := ReadRequest(request)
	if err != nil {
		return nil, nil, err
	}
	if r.own == nil {
		if err := errors.Join(rules(r.plan, now.UTC())...); err != nil {
			return nil, nil, fmt.Errorf("plan:\n%w", err)
		}
	}
	if err := r.mayCertify(root.Certificate); err != nil {
		return nil, nil, fmt.Errorf("request: %w", err)
	}
	template, err := r.template(root.Certificate, name, now)
	if err != nil {
		return nil, nil, fmt.Errorf("request: %w", err)
	}
	if template.SerialNumber, err = profile.NewSerial(); err != nil {
		return nil, nil, err
	}
	if template.SubjectKeyId, err = profile.KeyID(r.public); err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.Certificate, r.public, root.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing the certificate: %w", err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	a := Answer{Version: 1, Request: Digest(request), Certificate: der, Root: root.Certificate.Raw, Name: name, List: list}
	if a.Signature, err = signBy(root, a.message()); err != nil {
		return nil, nil, err
	}
	text, err := encode(a)
	return text, made, err
}

// message can't be mistaken for a certificate, a list or a transcript.
func (a *Answer) message() []byte {
	return fmt.Appendf(nil, "trustcore ceremony answer v1\n%s\n%s\n%s\n%s\n%s\n", a.Request, Digest(a.Certificate), Digest(a.Root), a.Name, Digest(a.List))
}

// Granted is what an answer brings.
type Granted struct {
	Certificate, Root *x509.Certificate
	Name              string // of the root in URLs
	List              []byte // the root's, DER
}

// ReadAnswer reads the answer to a request that was made here, and checks all of it: it answers this very request, the root signed it, and
// the certificate is for the key that asked and lets it do what the plan says, or its own certificate, and no more.
func ReadAnswer(answer, request []byte) (*Granted, error) {
	a := &Answer{}
	if err := decode(answer, a); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	r, err := ReadRequest(request)
	if err != nil {
		return nil, err
	}
	if a.Version != 1 || a.Request != Digest(request) {
		return nil, errors.New("answer: it is to another request than the one that is open here")
	}
	g := &Granted{Name: a.Name, List: a.List}
	if g.Root, err = x509.ParseCertificate(a.Root); err != nil {
		return nil, fmt.Errorf("answer: root: %w", err)
	}
	if g.Certificate, err = x509.ParseCertificate(a.Certificate); err != nil {
		return nil, fmt.Errorf("answer: certificate: %w", err)
	}
	if !signedBy(g.Root, a.message(), a.Signature) {
		return nil, errors.New("answer: the signature is not the root's")
	}
	return g, g.check(r)
}

func (g *Granted) check(r *Request) error {
	if err := errors.Join(g.Root.CheckSignatureFrom(g.Root), g.Certificate.CheckSignatureFrom(g.Root)); err != nil {
		return fmt.Errorf("answer: the certificate is not from the root: %w", err)
	}
	list, err := x509.ParseRevocationList(g.List)
	if err == nil {
		err = list.CheckSignatureFrom(g.Root)
	}
	if err != nil {
		return fmt.Errorf("answer: the root's list: %w", err)
	}
	if !bytes.Equal(g.Certificate.RawSubjectPublicKeyInfo, r.spki) || !bytes.Equal(g.Certificate.RawSubject, r.name) {
		return errors.New("answer: the certificate is for another name or key than the request")
	}
	asked := r.own
	if asked == nil {
		if asked, err = r.rehearsed(g.Certificate, g.Name); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if name := profile.Wider(asked, g.Certificate); name != "" || g.Certificate.NotAfter.After(asked.NotAfter) {
		return fmt.Errorf("answer: the certificate says another than what was asked for: %s ends %s", name, g.Certificate.NotAfter.UTC().Format(time.DateOnly))
	}
	return nil
}

// rehearsed is what the plan asks for, by a root that nobody keeps.
func (r *Request) rehearsed(like *x509.Certificate, name string) (*x509.Certificate, error) {
	_, key, _, err := throwAway(context.Background(), "", "") // makes a key in memory, waits for nothing
	if err != nil {
		return nil, err
	}
	above := &x509.Certificate{Subject: pkix.Name{CommonName: name}, NotAfter: r.plan.Issuing.Valid.After(like.NotBefore)}
	template, err := r.template(above, name, like.NotBefore)
	if err != nil {
		return nil, err
	}
	template.SerialNumber = like.SerialNumber
	if template.SubjectKeyId, err = profile.KeyID(r.public); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, above, r.public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func signBy(root Authority, message []byte) ([]byte, error) {
	digest, hash, err := messageDigest(root.Key.Public(), message)
	if err != nil {
		return nil, err
	}
	return root.Key.Sign(rand.Reader, digest, hash)
}

// signedBy reports whether the root's key signed a message.
func signedBy(root *x509.Certificate, message, signature []byte) bool {
	return verifies(root.PublicKey, message, signature)
}

// verifies reports whether a key signed a message: ECDSA in DER or RSA PKCS #1 v1.5, over SHA-256, from P-384 on SHA-384.
func verifies(public crypto.PublicKey, message, signature []byte) bool {
	digest, hash, err := messageDigest(public, message)
	if err != nil {
		return false
	}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
	}
	return false
}

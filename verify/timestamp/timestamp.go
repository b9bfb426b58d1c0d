// Package timestamp opens RFC 3161 time-stamp tokens and compares their imprints. It says facts:
// whether the authority and its certificate are trusted at any time is judged elsewhere.
package timestamp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/verify/algorithm"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/certificate"
	"trustcore/verify/signature"
)

// Token is one opened token.
type Token struct {
	// Timestamp is filled but for Covers and CoversSignature, which its reader knows, and Found and
	// Imprint, which Compare fills.
	*signature.Timestamp
	// Info is what the authority signed, nil when it cannot be read.
	Info *cms.TSTInfo
	// SignedData is the token's CMS, nil when it cannot be read.
	SignedData *cms.SignedData

	certificate *certificate.Certificate // of the signer, nil when none was found

	budget *budget.Budget
	hash   algorithm.Hash // of the imprint; invalid when unknown
}

// ID names a token by its content: "T-" and the beginning of its SHA-256.
func ID(token []byte) string { return idOf(sha256.Sum256(token)) }

func idOf(digest [sha256.Size]byte) string { return "T-" + hex.EncodeToString(digest[:12]) }

// Open reads a token: DER or BER of a ContentInfo. It never fails: what is wrong stands in
// Structure, and Intact is true only when the token's signature verifies with the certificate that
// it names, over the TSTInfo that is returned. The certificate is looked for in the token, then in
// extra (DER); without any, Signer is nil and Intact false. An empty id is replaced by that of the token
// without what follows it. Where the budget ends nothing is intact: b.Err tells.
func Open(b *budget.Budget, id string, kind signature.TimestampType, token []byte, extra [][]byte) *Token {
	t := &Token{budget: b, Timestamp: &signature.Timestamp{ID: id, Type: kind, Token: token}}
	err := b.Work(cms.ParseWork(len(token)) + budget.Octet*int64(len(token)))
	var sd *cms.SignedData
	if err == nil {
		sd, err = cms.Parse(token)
	}
	if err == nil {
		t.Token = sd.Raw // without padding, such as a PDF has after it
	}
	if id == "" {
		t.ID = t.idOfToken()
	}
	if err != nil {
		t.illFormed("time-stamp token: %v", err)
		return t
	}
	t.SignedData = sd
	t.evidence()
	t.readInfo()
	t.check(extra)
	t.demands()
	return t
}

// idOfToken is ID, of octets whose digest is asked for again.
func (t *Token) idOfToken() string {
	if sum, err := t.budget.Digest(t.Token); err == nil {
		return idOf(sum)
	}
	return ID(t.Token)
}

func (t *Token) illFormed(format string, args ...any) {
	t.Structure = append(t.Structure, fmt.Sprintf(format, args...))
}

// evidence collects certificates and revocation data of the token.
func (t *Token) evidence() {
	sd := t.SignedData
	t.Carry(signature.Values{Origin: signature.SignedData, Certificates: sd.Certificates, CRLs: sd.CRLs, OCSPs: sd.OCSPs})
	for _, si := range sd.Signers {
		for i := range si.UnsignedAttributes {
			a := &si.UnsignedAttributes[i]
			switch a.Type {
			case cms.OIDCertificateValues:
				if certs, err := a.Certificates(); err == nil {
					t.Carry(signature.Values{Origin: signature.CertificateValues, Certificates: certs})
				}
			case cms.OIDRevocationValues, cms.OIDRevocationArchival:
				if crls, ocsps, err := a.Revocations(); err == nil {
					t.Carry(signature.Values{Origin: signature.RevocationValues, CRLs: crls, OCSPs: ocsps})
				}
			}
		}
	}
}

func (t *Token) readInfo() {
	content := &t.SignedData.Content
	if content.Type != cms.OIDTSTInfo {
		t.illFormed("the token's content is %s, not TSTInfo (RFC 3161, 2.4.2)", content.Type)
		return
	}
	if !content.Present {
		t.illFormed("the token has no TSTInfo")
		return
	}
	info, err := cms.ParseTSTInfo(content.Bytes())
	if err != nil {
		t.illFormed("%v", err)
		return
	}
	t.Info, t.Time, t.Digest = info, info.Time, signature.Digest{Value: info.Imprint}
	if info.Version != 1 {
		t.illFormed("TSTInfo of version %d", info.Version)
	}
	for _, e := range info.Extensions {
		if id, critical, err := cms.ReadExtension(e); err != nil || critical {
			t.illFormed("an extension of TSTInfo is critical and not known, or malformed: %s (RFC 5280, 4.2)", id)
		}
	}
	if t.hash, err = algorithm.HashByIdentifier(info.HashAlgorithm); err != nil {
		t.illFormed("imprint: %v", err)
		return
	}
	t.Digest.Algorithm = t.hash.Name()
	t.Algorithms = append(t.Algorithms, signature.AlgorithmUse{Purpose: "timestamp-imprint", Algorithm: t.hash.Name()})
}

// check verifies the token's one signature.
func (t *Token) check(extra [][]byte) {
	if len(t.SignedData.Signers) != 1 {
		t.illFormed("the token has %d signers, not one (RFC 3161, 2.4.2)", len(t.SignedData.Signers))
	}
	if len(t.SignedData.Signers) == 0 || t.Info == nil {
		return
	}
	content := t.SignedData.Content.Bytes()
	if t.budget.Octets(len(content)) != nil {
		return
	}
	facts := signerinfo.Check(signerinfo.Input{
		Budget:      t.budget,
		SignerInfo:  t.SignedData.Signers[0],
		ContentType: t.SignedData.Content.Type,
		Content:     signerinfo.Bytes(t.budget, content),
		Candidates:  []*signerinfo.Pool{signerinfo.NewPool(t.budget, t.Certificates), signerinfo.NewPool(t.budget, extra)},
	})
	t.Signer, t.Binding, t.certificate = facts.Signer, facts.Binding, facts.Certificate
	t.Intact = t.budget.Err() == nil && facts.Intact && facts.DigestFound && facts.DigestIntact && len(facts.Structure) == 0
	t.Unsupported, t.CertificateRefs = facts.Unsupported, facts.CertificateRefs
	t.Structure = append(t.Structure, facts.Structure...)
	for _, use := range facts.Algorithms {
		if use.Purpose == "signature" {
			use.Purpose = "timestamp-signature"
		}
		t.Algorithms = append(t.Algorithms, use)
	}
}

// demands compares the names: tsa must be one of the subject names of the certificate (RFC 3161, 2.4.2).
func (t *Token) demands() {
	if t.Info == nil || t.Info.TSA == nil || t.certificate == nil {
		return
	}
	if !names(t.certificate, t.Info.TSA) {
		t.Demands = append(t.Demands, "the token names another authority than its certificate does (RFC 3161, 2.4.2)")
	}
}

// names tells whether a GeneralName is the subject of the certificate or one of its subjectAltNames.
func names(cert *certificate.Certificate, der []byte) bool {
	input := cryptobyte.String(der)
	name, err := certificate.ReadGeneralName(&input)
	if err != nil || !input.Empty() || name.Malformed {
		return false
	}
	if name.Kind == certificate.DirectoryName && name.Directory.Equal(cert.Subject) {
		return true
	}
	return slices.ContainsFunc(cert.SAN, func(other certificate.GeneralName) bool {
		if name.Kind == certificate.DirectoryName {
			return other.Kind == name.Kind && other.Directory != nil && name.Directory.Equal(*other.Directory)
		}
		return bytes.Equal(other.Raw, name.Raw)
	})
}

// Hash is the algorithm of the imprint; false when it is unknown.
func (t *Token) Hash() (algorithm.Hash, bool) { return t.hash, t.Info != nil && t.hash.Valid() }

// Compare compares the imprint with the data that write writes, and fills Found and Imprint. An
// error of write means that the data could not be assembled: Found is false then.
func (t *Token) Compare(write func(w io.Writer) error) {
	t.Found, t.Imprint = false, false
	h, ok := t.Hash()
	if !ok || write == nil {
		return
	}
	state := h.New()
	if err := write(signerinfo.Spending(t.budget, state)); err != nil {
		return
	}
	t.CompareDigest(state.Sum(nil))
}

// MaxCovers bounds the objects that one token is said to prove; real ones have some hundreds.
const MaxCovers = 8192

// Proves fills Covers and CoversSignature, where the imprint matches: with the digests of the objects that the token is
// about, and whether that of the signature value is among them. What is beyond MaxCovers is left out, and told.
func (t *Token) Proves(objects [][32]byte, value [32]byte) (note string) {
	if !t.Found || !t.Imprint {
		return ""
	}
	if len(objects) > MaxCovers {
		note = fmt.Sprintf("%s covers more than %d objects", t.ID, MaxCovers)
		objects = objects[:MaxCovers]
	}
	t.Covers, t.CoversSignature = objects, slices.Contains(objects, value)
	return note
}

// CompareDigest is Compare for data that was digested already with Hash.
func (t *Token) CompareDigest(digest []byte) {
	t.Found = true
	t.Imprint = t.Info != nil && len(digest) > 0 && bytes.Equal(digest, t.Info.Imprint)
}

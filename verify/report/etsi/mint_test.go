package etsi_test

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

var day = mint.Day

const letter = `<pismo><tresc>Urząd Miasta Przykładowo zawiadamia.</tresc></pismo>`

// world is a small PKI with a trusted list: a qualified authority, an officer, and a listed time-stamping unit.
type world struct {
	ca, tsa, officer mint.Party
	lists            *trustlist.Snapshot
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{ca: mint.Root(t, "Kwalifikowany Urząd Testowy")}
	name := pkix.Name{CommonName: "Anna <Żółć> & \"Syn\"", Country: []string{"PL"}, SerialNumber: "PNOPL-00000000000"}
	w.officer = w.ca.Issue(t, mint.Request{Subject: name, Extensions: []pkix.Extension{mint.Qualified(t)}})
	w.tsa = mint.Root(t, "unused").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "Znakowanie czasem"}, TSU: true,
		From: day.AddDate(-10, 0, 0), To: day.AddDate(10, 0, 0)})
	since := day.AddDate(-5, 0, 0)
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca,
			Periods: []mint.Period{{Status: mint.Granted, From: since, Additional: []string{mint.ForSignatures}}}},
		{Name: "QTST", Type: mint.QTST, By: w.tsa, Periods: []mint.Period{{Status: mint.Granted, From: since}}},
	}}
	file := filepath.Join(t.TempDir(), "list.xml")
	if err := os.WriteFile(file, list.Sign(t, mint.Root(t, "Scheme operator")), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.lists, err = trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{file}}); err != nil {
		t.Fatal(err)
	}
	return w
}

func verifier(t testing.TB, lists *trustlist.Snapshot, cache *cache.Cache, at time.Time) *verify.Verifier {
	t.Helper()
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Cache: cache,
		Policy: verify.DefaultPolicy(),
		Now:    func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) judge(t testing.TB, document []byte, at time.Time, detached ...signature.Detached) *verify.Report {
	t.Helper()
	r, err := verifier(t, w.lists, nil, at).Verify(t.Context(),
		verify.Request{Document: document, Detached: detached, Trace: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// xades is a XAdES signature with a time-stamp and everything that a later judge needs.
func (w *world) xades(t testing.TB, revoked map[*x509.Certificate]time.Time) []byte {
	t.Helper()
	return mint.XML{Signer: w.officer, At: day, Role: "Kierownik", Stamps: []mint.Stamp{{By: w.tsa, At: day}},
		Certificates: [][]byte{w.ca.Cert.Raw}, CRLs: [][]byte{w.ca.CRL(t, day.Add(time.Hour), revoked)}}.Sign(t, letter)
}

func (w *world) pades(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	var offsets []int
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%sendobj\n", i+1, o)
	}
	start := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	p, err := pdf.Prepare(b.Bytes(), pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 8192, Time: day})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Sign(cms.SignConfig{Signer: w.officer.Key, Certificate: w.officer.Cert.Raw, Hash: crypto.SHA256,
		Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// jades is a compact JAdES signature.
func (w *world) jades(t testing.TB) []byte {
	t.Helper()
	url64, sum := base64.RawURLEncoding.EncodeToString, sha256.Sum256(w.officer.Cert.Raw)
	head := fmt.Sprintf(`{"alg":"ES256","iat":%d,"x5t#S256":"%s","x5c":["%s"]}`, day.Unix(), url64(sum[:]),
		base64.StdEncoding.EncodeToString(w.officer.Cert.Raw))
	input := url64([]byte(head)) + "." + url64([]byte(`{"umowa":7}`))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, w.officer.Key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return []byte(input + "." + url64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
}

func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// record is an evidence record about the letter (RFC 4998).
func (w *world) record(t testing.TB) []byte {
	t.Helper()
	type algorithm struct{ ID asn1.ObjectIdentifier }
	type stamp struct{ Token asn1.RawValue }
	der, err := asn1.Marshal(struct {
		Version    int
		Algorithms []algorithm
		Chains     [][]stamp
	}{1, []algorithm{{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}},
		[][]stamp{{{asn1.RawValue{FullBytes: w.tsa.Stamp(t, []byte(letter), day)}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// documents are good documents, of every format and container.
func (w *world) documents(t testing.TB) map[string][]byte {
	t.Helper()
	signed := w.xades(t, nil)
	return map[string][]byte{
		"XAdES": signed, "CAdES": w.officer.CMS(t, []byte(letter), day), "PAdES": w.pades(t), "JAdES": w.jades(t),
		"ASiC-S": pack(t, "mimetype", "application/vnd.etsi.asic-s+zip", "pismo.xml", letter, "META-INF/signatures.xml",
			string(signed)),
		"time-stamp": w.tsa.Stamp(t, []byte(letter), day), "evidence record": w.record(t), "no signature": []byte(letter),
	}
}

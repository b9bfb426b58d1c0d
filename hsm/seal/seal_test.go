package seal_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/hsm/seal"
	"trustcore/hsm/seal/sealtest"
	"trustcore/internal/pdf"
	"trustcore/internal/xmldsig"
)

// parties are a CA, sealing keys of several kinds, and a time-stamping authority run by openssl.
type parties struct {
	dir     string
	ca      *x509.Certificate
	caKey   crypto.Signer
	serial  int64
	caFile  string
	signers map[string]seal.Signer
	tsa     seal.TSA
}

func newParties(t testing.TB) *parties {
	t.Helper()
	p := &parties{dir: t.TempDir(), signers: map[string]seal.Signer{}}
	p.caKey = cachedRSA(1)
	p.ca = p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Seal test CA"}, IsCA: true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, p.caKey.Public())
	p.caFile = p.write(t, "ca.pem", "CERTIFICATE", p.ca.Raw)
	for name, key := range map[string]crypto.Signer{
		"RSA":   cachedRSA(2),
		"P-256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t),
		"P-384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t),
		"PSS":   pssOnly{cachedRSA(3)},
	} {
		c := p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Urząd Miasta Przykładowo",
			SerialNumber: name},
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment}, key.Public())
		p.signers[name] = seal.Signer{Key: key, Certificate: c, Chain: []*x509.Certificate{p.ca}}
	}
	p.startTSA(t)
	return p
}

// cachedRSA are keys of RSA that all tests share: to make one takes half a second.
func cachedRSA(number int) *rsa.PrivateKey {
	keysMu.Lock()
	defer keysMu.Unlock()
	for len(keys) <= number {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys[number]
}

var (
	keysMu sync.Mutex
	keys   []*rsa.PrivateKey
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// pssOnly is a key whose authorisation allows PSS alone.
type pssOnly struct{ *rsa.PrivateKey }

func (pssOnly) Mechanisms() []mechanism.Mechanism {
	return []mechanism.Mechanism{mechanism.RSAPSSSHA256}
}

func (k pssOnly) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if m, err := mechanism.Of(k.Public(), opts); err != nil || m != mechanism.RSAPSSSHA256 {
		return nil, errors.New("not allowed")
	}
	return k.PrivateKey.Sign(random, digest, opts)
}

func (p *parties) issue(t testing.TB, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	p.serial++
	template.SerialNumber = big.NewInt(p.serial)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent := p.ca
	if parent == nil {
		parent = template
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, parent, public,
		p.caKey))(t)))(t)
}

func (p *parties) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startTSA answers time-stamp requests with openssl ts.
func (p *parties) startTSA(t testing.TB) {
	t.Helper()
	key := cachedRSA(4)
	oid := pkix.Extension{Id: []int{2, 5, 29, 37}, Critical: true,
		Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8}}
	c := p.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Seal test TSA"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{oid}}, key.Public())
	p.write(t, "tsa.pem", "CERTIFICATE", c.Raw)
	p.write(t, "tsa.key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))(t))
	config := fmt.Sprintf("[tsa]\ndefault_tsa = t\n[t]\nserial = %[1]s/serial\nsigner_cert = %[1]s/tsa.pem\ncerts = %[1]s/ca.pem\nsigner_key = %[1]s/tsa.key\n"+
		"signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256, sha384, sha512\naccuracy = secs:1\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n", p.dir)
	if err := os.WriteFile(filepath.Join(p.dir, "tsa.cnf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := filepath.Join(p.dir, "query.tsq")
		body, _ := io.ReadAll(r.Body)
		if err := os.WriteFile(query, body, 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		out, err := exec.Command("openssl", "ts", "-reply", "-config", filepath.Join(p.dir, "tsa.cnf"), "-queryfile",
			query).Output()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(out)
	}))
	t.Cleanup(server.Close)
	p.tsa = must(seal.NewTSA(server.URL, server.Client()))(t)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (apt-get install openssl poppler-utils xmlsec1)", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func save(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const xmlDocument = `<?xml version="1.0" encoding="UTF-8"?>
<!-- przed -->
<?xml-stylesheet href="upo.xsl"?>
<pis:Dokument xmlns:pis="http://crd.gov.pl/wzor/2026/" xmlns="urn:domyslna" wersja='1'>
  <Tresc a="2"   b="&lt;1&gt;">Zażółć gęślą jaźń <![CDATA[<&>]]></Tresc>
  <pis:Pusty/>
</pis:Dokument>
<!-- po -->
`

func TestXAdESIsAcceptedByXmlsec(t *testing.T) {
	p := newParties(t)
	for name, signer := range p.signers {
		for _, tsa := range []seal.TSA{nil, p.tsa} {
			sealed, err := seal.XAdES(t.Context(), []byte(xmlDocument), signer,
				seal.XMLOptions{Time: time.Now(), TSA: tsa})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if tsa != nil != bytes.Contains(sealed, []byte("EncapsulatedTimeStamp")) {
				t.Errorf("%s: time-stamp is %v", name, tsa == nil)
			}
			if name == "PSS" { // which xmlsec1 of Debian 12 does not know
				verifyPSS(t, sealed, signer)
				continue
			}
			verifyXML(t, p, sealed, true)
			verifyXML(t, p, bytes.Replace(sealed, []byte("gęślą"), []byte("gęśla"), 1), false)
		}
	}
}

// verifyPSS checks the signature value with the standard library.
func verifyPSS(t *testing.T, sealed []byte, signer seal.Signer) {
	t.Helper()
	d := must(xmldsig.Parse(sealed, xmldsig.DefaultLimits))(t)
	s := must(xmldsig.ReadSignature(d.Signatures()[0]))(t)
	digest := sha256.Sum256(must(s.CanonicalSignedInfo())(t))
	if err := rsa.VerifyPSS(signer.Key.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], s.Value,
		&rsa.PSSOptions{SaltLength: 32}); err != nil {
		t.Error(err)
	}
}

func verifyXML(t *testing.T, p *parties, sealed []byte, want bool) {
	t.Helper()
	if _, err := exec.LookPath("xmlsec1"); err != nil {
		t.Skip("xmlsec1 is not installed (apt-get install xmlsec1)")
	}
	out, err := exec.Command("xmlsec1", "--verify", "--trusted-pem", p.caFile, "--id-attr:Id",
		"http://uri.etsi.org/01903/v1.3.2#:SignedProperties",
		save(t, "sealed.xml", sealed)).CombinedOutput()
	if want != (err == nil) {
		t.Errorf("xmlsec1: %v\n%s", err, out)
	}
}

// Documents as they come: without a declaration, with one element, in another encoding, with a default namespace and
// xml: attributes.
func TestXAdESOfManyShapes(t *testing.T) {
	p := newParties(t)
	for name, document := range map[string]string{
		"empty root":    `<a/>`,
		"spaced root":   `<a   xmlns="urn:x"  />`,
		"no content":    "<a></a >",
		"one line":      `<a xmlns:ds="urn:other" ds:x="1"><ds:Signature/></a>`,
		"xml attribute": `<a xml:lang="pl" xml:space="preserve" xml:base="http://example/"> <b/> </a>`,
		"BOM":           "\xef\xbb\xbf<?xml version=\"1.0\"?><a>ą</a>",
		"ISO-8859-2":    "<?xml version=\"1.0\" encoding=\"ISO-8859-2\"?>\n<a>\xb1\xe6\xea</a>",
		"UTF-16":        "\xff\xfe<\x00a\x00>\x00\x05\x01<\x00/\x00a\x00>\x00",
		"CRLF":          "<a>\r\n<b>x</b>\r\n</a>\r\n",
		"end in text":   "<a>x<!-- </a> --><![CDATA[</a>]]></a><!-- </a> -->",
	} {
		sealed, err := seal.XAdES(t.Context(), []byte(document), p.signers["P-256"], seal.XMLOptions{Time: time.Now()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		verifyXML(t, p, sealed, true)
	}
}

func TestXAdESRefuses(t *testing.T) {
	p := newParties(t)
	signer := p.signers["P-256"]
	once, err := seal.XAdES(t.Context(), []byte(xmlDocument), signer, seal.XMLOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]string{
		"empty":         "",
		"no XML":        "%PDF-1.7",
		"two roots":     "<a/><b/>",
		"DTD":           `<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`,
		"sealed before": string(once),
		"deep":          strings.Repeat("<a>", 100_000),
	} {
		if _, err := seal.XAdES(t.Context(), []byte(document), signer, seal.XMLOptions{Time: time.Now()}); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func TestSignerIsChecked(t *testing.T) {
	p := newParties(t)
	good := p.signers["RSA"]
	for name, c := range map[string]struct {
		signer seal.Signer
		at     time.Time
	}{
		"no key":            {seal.Signer{Certificate: good.Certificate}, time.Now()},
		"no certificate":    {seal.Signer{Key: good.Key}, time.Now()},
		"another's":         {seal.Signer{Key: good.Key, Certificate: p.signers["P-256"].Certificate}, time.Now()},
		"no time":           {good, time.Time{}},
		"expired":           {good, time.Now().Add(48 * time.Hour)},
		"not yet":           {good, time.Now().Add(-48 * time.Hour)},
		"nothing it may do": {seal.Signer{Key: mute{good.Key}, Certificate: good.Certificate}, time.Now()},
	} {
		if _, err := seal.XAdES(t.Context(), []byte("<a/>"), c.signer, seal.XMLOptions{Time: c.at}); err == nil {
			t.Errorf("%s: XML sealed", name)
		}
		if _, err := seal.PAdES(t.Context(), pdfDocument(), c.signer, seal.PDFOptions{Time: c.at}); err == nil {
			t.Errorf("%s: PDF sealed", name)
		}
	}
}

type mute struct{ crypto.Signer }

func (mute) Mechanisms() []mechanism.Mechanism { return nil }

func TestCancelledSealIsNotMade(t *testing.T) {
	p := newParties(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := seal.XAdES(ctx, []byte("<a/>"), p.signers["RSA"], seal.XMLOptions{Time: time.Now()}); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
	if _, err := seal.PAdES(ctx, pdfDocument(), p.signers["RSA"], seal.PDFOptions{Time: time.Now()}); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
}

// pdfDocument is a one-page document with a classic cross-reference table.
func pdfDocument() []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R /Resources << >> >>",
		"<< /Length 0 >>\nstream\n\nendstream",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	var offsets []int
	for i, o := range objects {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	at := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, at)
	return b.Bytes()
}

func TestPAdESIsAcceptedByOpenSSLAndPoppler(t *testing.T) {
	p := newParties(t)
	for name, signer := range p.signers {
		for _, tsa := range []seal.TSA{nil, p.tsa} {
			sealed, err := seal.PAdES(t.Context(), pdfDocument(), signer,
				seal.PDFOptions{Time: time.Now(), Reason: "Urzędowe poświadczenie odbioru", TSA: tsa})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !bytes.HasPrefix(sealed, pdfDocument()) {
				t.Errorf("%s: the document's own bytes changed", name)
			}
			signed, signedData := split(t, sealed)
			cmsFile, contentFile := save(t, "seal.p7s", signedData), save(t, "content", signed)
			run(t, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", cmsFile, "-content", contentFile,
				"-CAfile", p.caFile, "-purpose", "any", "-cades", "-out", os.DevNull)
			if tsa != nil && !strings.Contains(run(t, "openssl", "cms", "-cmsout", "-print", "-noout", "-inform",
				"DER", "-in", cmsFile), "id-smime-aa-timeStampToken") {
				t.Errorf("%s: no time-stamp in the CMS", name)
			}
			report := run(t, "pdfsig", "-nocert", save(t, "sealed.pdf", sealed))
			if name != "PSS" && !strings.Contains(report, "Signature is Valid") ||
				!strings.Contains(report, "ETSI.CAdES.detached") {
				t.Errorf("%s: pdfsig says\n%s", name, report)
			}
		}
	}
}

// gather gives a fresh CRL of the CA.
func (p *parties) gather(t *testing.T) seal.Gather {
	return func(context.Context) (seal.Evidence, error) {
		crl := must(x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1),
			ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, p.ca, p.caKey))(t)
		return seal.Evidence{Certificates: [][]byte{p.ca.Raw}, CRLs: [][]byte{crl}}, nil
	}
}

// Evidence is outside of what is signed: what verified without it verifies with it.
func TestEvidenceIsKept(t *testing.T) {
	p := newParties(t)
	signer := p.signers["RSA"]
	sealed, err := seal.XAdES(t.Context(), []byte(xmlDocument), signer,
		seal.XMLOptions{Time: time.Now(), TSA: p.tsa, Evidence: p.gather(t)})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(sealed, []byte("<xades:EncapsulatedCRLValue>")) {
		t.Error("no evidence in the XML")
	}
	verifyXML(t, p, sealed, true)
	if sealed, err = seal.PAdES(t.Context(), pdfDocument(), signer,
		seal.PDFOptions{Time: time.Now(), TSA: p.tsa, Evidence: p.gather(t)}); err != nil {
		t.Fatal(err)
	}
	if store := must(pdf.Open(sealed))(t).SecurityStore(); store == nil || len(store.CRLs) != 1 {
		t.Errorf("the security store holds %v, not one CRL", store)
	}
	if report := run(t, "pdfsig", "-nocert", save(t, "sealed.pdf", sealed)); !strings.Contains(report,
		"Signature is Valid") {
		t.Errorf("pdfsig says\n%s", report)
	}
	if _, err := seal.XAdES(t.Context(), []byte("<a/>"), signer,
		seal.XMLOptions{Time: time.Now(), Evidence: p.gather(t)}); err == nil {
		t.Error("XML: evidence without a time-stamp")
	}
	if _, err := seal.PAdES(t.Context(), pdfDocument(), signer,
		seal.PDFOptions{Time: time.Now(), Evidence: p.gather(t)}); err == nil {
		t.Error("PDF: evidence without a time-stamp")
	}
}

func TestPAdESTwice(t *testing.T) {
	p := newParties(t)
	once, err := seal.PAdES(t.Context(), pdfDocument(), p.signers["RSA"], seal.PDFOptions{Time: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := seal.PAdES(t.Context(), once, p.signers["P-256"], seal.PDFOptions{Time: time.Now(), TSA: p.tsa})
	if err != nil {
		t.Fatal(err)
	}
	report := run(t, "pdfsig", "-nocert", save(t, "twice.pdf", twice))
	if strings.Count(report, "Signature is Valid") != 2 {
		t.Errorf("pdfsig says\n%s", report)
	}
}

func TestPAdESRefuses(t *testing.T) {
	p := newParties(t)
	for name, document := range map[string][]byte{
		"empty": nil, "XML": []byte(xmlDocument), "cut": pdfDocument()[:200], "no pages": []byte("%PDF-1.7\ntrailer\n<< >>\n%%EOF"),
	} {
		if _, err := seal.PAdES(t.Context(), document, p.signers["RSA"],
			seal.PDFOptions{Time: time.Now()}); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

// split takes the newest signature out of a PDF by its ByteRange, knowing nothing else of the format.
func split(t *testing.T, document []byte) (signed, signedData []byte) {
	t.Helper()
	at := bytes.LastIndex(document, []byte("/ByteRange"))
	numbers, _, _ := strings.Cut(strings.TrimPrefix(string(document[at:]), "/ByteRange ["), "]")
	var a, b, c, d int
	if _, err := fmt.Sscan(numbers, &a, &b, &c, &d); err != nil {
		t.Fatal(err)
	}
	var der []byte
	if _, err := fmt.Sscanf(string(document[b+1:c-1]), "%x", &der); err != nil {
		t.Fatal(err)
	}
	if c+d != len(document) {
		t.Errorf("%d bytes of %d are covered", c+d, len(document))
	}
	return append(bytes.Clone(document[a:a+b]), document[c:c+d]...), der
}

// A TSA that answers with something else is found out.
func TestTSAIsChecked(t *testing.T) {
	p := newParties(t)
	other, err := p.tsa(t.Context(), crypto.SHA256, make([]byte, 32))
	if err != nil || len(other) == 0 {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) },
		"empty": func(http.ResponseWriter, *http.Request) {},
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			_,
				_ = w.Write(bytes.Repeat([]byte{0x30, 0x80}, 1000))
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"another's token": func(w http.ResponseWriter, _ *http.Request) {
			n := len(other) + 5
			_, _ = w.Write(append([]byte{0x30, 0x82, byte(n >> 8), byte(n), 0x30, 0x03, 0x02, 0x01, 0x00}, other...))
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(answer))
		tsa := must(seal.NewTSA(server.URL, server.Client()))(t)
		if token, err := tsa(t.Context(), crypto.SHA256, make([]byte, 32)); err == nil {
			t.Errorf("%s: token of %d bytes", name, len(token))
		}
		server.Close()
	}
}

// Whatever is sealed reads back as sealed: XAdES checks it itself, so no error other than a refusal of the input may
// come.
func FuzzXAdES(f *testing.F) {
	p := newParties(f)
	signer := p.signers["P-256"]
	for _, seed := range []string{xmlDocument, "<a/>", "<a></a >",
		"<?xml version='1.0' encoding='ISO-8859-2'?><a>\xb1</a>", "<a><!-- </a> --></a>\n<!-- x -->",
		"\xff\xfe<\x00a\x00/\x00>\x00", `<a xmlns="urn:a"><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/></a>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		sealed, err := seal.XAdES(t.Context(), document, signer, seal.XMLOptions{Time: time.Now()})
		if err != nil && strings.Contains(err.Error(), "the sealed document") {
			t.Fatalf("%v", err)
		}
		if err == nil && !bytes.Contains(sealed, []byte("SignatureValue")) {
			t.Fatal("no signature inside")
		}
	})
}

// FuzzExtend: whatever comes as sealed is extended, or refused with an error; nothing of it makes the program stop.
func FuzzExtend(f *testing.F) {
	a, end := sealtest.Start()
	f.Cleanup(end)
	signer, tsa := a.Sealer(a.Officer), a.TSA(f)
	for _, o := range []seal.Options{
		{Format: seal.FormatPAdES}, {Format: seal.FormatXAdES, Packaging: seal.Enveloping}, {Format: seal.FormatCAdES},
		{Format: seal.FormatJAdES}, {Format: seal.FormatJAdES, Packaging: seal.Compact},
		{Format: seal.FormatCAdES, Packaging: seal.ASiCE}, {Format: seal.FormatXAdES, Packaging: seal.ASiCS},
	} {
		o.Level, o.Time = seal.LevelB, time.Now()
		content := []byte("a")
		if o.Format == seal.FormatPAdES {
			content = pdfDocument()
		}
		sealed, err := seal.Seal(f.Context(), []seal.Document{{Name: "a", Content: content}}, signer, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sealed)
	}
	nothing := func(context.Context, [][]byte, [][]byte) (seal.Evidence, error) {
		return seal.Evidence{}, errors.New("nobody is asked")
	}
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if len(sealed) > 1<<20 {
			t.Skip("larger inputs take their time and show nothing new")
		}
		for _, level := range []seal.Level{seal.LevelT, seal.LevelLTA} {
			out, err := seal.Extend(t.Context(), sealed, []seal.Document{{Name: "a", Content: []byte("a")}},
				seal.Options{Level: level, TSA: tsa, Collect: nothing})
			if err == nil && bytes.Equal(out, sealed) {
				t.Fatal("extended, and the same")
			}
		}
	})
}

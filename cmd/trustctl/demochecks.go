package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm/remote"
	"trustcore/internal/audit"
	"trustcore/verify"
	"trustcore/verify/trustlist"
)

// program runs a stock program and returns what it says.
func program(ctx context.Context, name string, args ...string) (string, error) {
	return programAt(ctx, (*exec.Cmd).Start, name, args...)
}

func programAt(ctx context.Context, start func(*exec.Cmd) error, name string, args ...string) (string, error) {
	out, err := output(exec.CommandContext(ctx, name, args...), start)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is not installed: apt-get install %s", name, name)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

func (d *demonstration) pki(name string) string { return d.state.path("trustd", "pki", name) }

func (d *demonstration) certificate(ctx context.Context) (string, error) {
	client := d.file("office/certificate.pem")
	if err := d.keepIssuer(client); err != nil {
		return "", err
	}
	if _, err := program(ctx, "openssl", "verify", "-CAfile", d.pki("root.pem"), "-untrusted", d.issuer(), client); err != nil {
		return "", err
	}
	return "", d.ocsp(ctx, client, ": good")
}

// issuer is the certificate of the authority that issues now: the one of the first ceremony, or a successor.
func (d *demonstration) issuer() string { return d.file("issuer.pem") }

// keepIssuer takes the issuer out of the chain that the office was given.
func (d *demonstration) keepIssuer(chain string) error {
	text, err := os.ReadFile(chain)
	if err != nil {
		return err
	}
	_, rest := pem.Decode(text)
	issuer, _ := pem.Decode(rest)
	if issuer == nil {
		return fmt.Errorf("%s holds no certificate of the issuer", chain)
	}
	return os.WriteFile(d.issuer(), pem.EncodeToMemory(issuer), 0o600)
}

// ocsp asks the responder that the certificate names with openssl and expects an answer.
func (d *demonstration) ocsp(ctx context.Context, file, want string) error {
	certificate, err := custody.ReadCertificate(file)
	if err != nil {
		return err
	}
	if len(certificate.OCSPServer) == 0 {
		return fmt.Errorf("%s names no OCSP responder", file)
	}
	out, err := programAt(ctx, d.spawn, "openssl", "ocsp", "-issuer", d.issuer(), "-cert", file, "-url", certificate.OCSPServer[0],
		"-CAfile", d.pki("root.pem"), "-verify_other", d.issuer())
	if err != nil {
		return err
	}
	if !strings.Contains(out, "Response verify OK") || !strings.Contains(out, want) {
		return fmt.Errorf("openssl ocsp says: %s", out)
	}
	return nil
}

func (d *demonstration) revoked(ctx context.Context) (string, error) {
	return "", d.ocsp(ctx, d.file("office/certificate.pem"), ": revoked")
}

// seal writes a document and seals it where the office is.
func (d *demonstration) seal(ctx context.Context, name string, content []byte) error {
	if err := os.WriteFile(d.file(name), content, 0o600); err != nil {
		return err
	}
	cmd, err := d.trustlink(ctx, "seal", "--key", "seal", d.file(name))
	if err != nil {
		return err
	}
	_, err = output(cmd, d.start)
	return err
}

func (d *demonstration) sealPDF(ctx context.Context) (string, error) {
	return "", d.seal(ctx, "document.pdf", demoPDF())
}

func (d *demonstration) sealXML(ctx context.Context) (string, error) {
	return "", d.seal(ctx, "document.xml", []byte(`<?xml version="1.0" encoding="UTF-8"?>
<Potwierdzenie xmlns="urn:trustcore:demonstration">
  <Nadawca>Urząd Miasta Przykładowo</Nadawca>
  <Treść>Dokument przyjęto. Zażółć gęślą jaźń.</Treść>
</Potwierdzenie>
`))
}

// demoPDF is a page with one line of text.
func demoPDF() []byte { return pdfOf(demoObjects()) }

func demoObjects() []string {
	const text = "BT /F1 18 Tf 72 770 Td (Demonstration document) Tj ET"
	return []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(text), text),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
}

// pdfOf is a PDF of objects, the catalog first.
func pdfOf(objects []string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

// validate asks verifyd.
func (d *demonstration) validate(ctx context.Context, document []byte) (*verify.Report, error) {
	data, err := d.askVerifyd(ctx, "", document)
	if err != nil {
		return nil, err
	}
	var r verify.Report
	return &r, json.Unmarshal(data, &r)
}

// askVerifyd has a document validated and returns the answer; query is what is asked for beside the verdict.
func (d *demonstration) askVerifyd(ctx context.Context, query string, document []byte) ([]byte, error) {
	id := d.state.officer(officers[0])
	settings, err := id.Client()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.layout.Verifyd+"/v1/validations"+query, bytes.NewReader(document))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, problemIn("verifyd", response, data)
	}
	return data, nil
}

func (d *demonstration) judge(name, format string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		document, err := os.ReadFile(d.file(name))
		if err != nil {
			return "", err
		}
		r, err := d.validate(ctx, document)
		if err != nil {
			return "", err
		}
		if len(r.Signatures) != 1 {
			return "", fmt.Errorf("%d signatures", len(r.Signatures))
		}
		s := r.Signatures[0]
		if s.Indication != verify.TotalPassed || s.Format != format || len(s.Timestamps) != 1 || s.Timestamps[0].Indication != verify.Passed {
			return "", fmt.Errorf("%s %s %s: %v %+v", s.Format, s.Indication, s.SubIndication, s.Reasons, s.Timestamps)
		}
		return ": " + s.Sentence["en"], nil
	}
}

func (d *demonstration) tampered(ctx context.Context) (string, error) {
	for name, change := range map[string][2]string{
		"document-sealed.pdf": {"Demonstration document", "Demonstration d0cument"},
		"document-sealed.xml": {"przyjęto", "odrzucono"},
	} {
		document, err := os.ReadFile(d.file(name))
		if err != nil {
			return "", err
		}
		changed := bytes.Replace(document, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, document) {
			return "", fmt.Errorf("%s does not hold %q", name, change[0])
		}
		r, err := d.validate(ctx, changed)
		if err != nil {
			return "", err
		}
		if len(r.Signatures) != 1 || r.Signatures[0].Indication != verify.TotalFailed {
			return "", fmt.Errorf("%s: %+v", name, r.Signatures)
		}
	}
	return "", nil
}

var (
	byteRange = regexp.MustCompile(`/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]`)
	contents  = regexp.MustCompile(`/Contents\s*<([0-9A-Fa-f]+)>`)
)

// opensslPDF takes the CMS and the covered bytes, a revision to its end, out of the PDF with plain tools and has openssl verify
// them. Behind it the evidence follows, a revision of its own.
func (d *demonstration) opensslPDF(ctx context.Context) (string, error) {
	pdf, err := os.ReadFile(d.file("document-sealed.pdf"))
	if err != nil {
		return "", err
	}
	r, c := byteRange.FindSubmatch(pdf), contents.FindSubmatch(pdf)
	if r == nil || c == nil {
		return "", errors.New("ByteRange or Contents is missing")
	}
	var at [4]int
	for i := range at {
		if at[i], err = strconv.Atoi(string(r[i+1])); err != nil {
			return "", err
		}
	}
	end := at[2] + at[3]
	if at[0] < 0 || at[0]+at[1] > at[2] || end > len(pdf) || !bytes.HasSuffix(bytes.TrimSpace(pdf[:end]), []byte("%%EOF")) {
		return "", fmt.Errorf("ByteRange %v in a file of %d bytes", at, len(pdf))
	}
	cms, err := hex.DecodeString(string(c[1]))
	if err != nil {
		return "", err
	}
	covered := append(bytes.Clone(pdf[at[0]:at[0]+at[1]]), pdf[at[2]:end]...)
	err = errors.Join(os.WriteFile(d.file("document.cms"), cms, 0o600), os.WriteFile(d.file("document.covered"), covered, 0o600))
	if err != nil {
		return "", err
	}
	_, err = program(ctx, "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", d.file("document.cms"), "-content", d.file("document.covered"),
		"-CAfile", d.pki("root.pem"), "-purpose", "any", "-out", os.DevNull)
	return "", err
}

func (d *demonstration) xmlsec(ctx context.Context) (string, error) {
	_, err := program(ctx, "xmlsec1", "--verify", "--id-attr:Id", "http://uri.etsi.org/01903/v1.3.2#:SignedProperties",
		"--trusted-pem", d.pki("root.pem"), "--untrusted-pem", d.issuer(), "--enabled-key-data", "x509", d.file("document-sealed.xml"))
	return "", err
}

// publicSample judges an Estonian container of the corpus as of 2023-11-01.
func (d *demonstration) publicSample(ctx context.Context) (string, error) {
	found, err := filepath.Glob(filepath.Join(d.corpus, "signatures", "files", "*", "singleValidSignatureTS.asice"))
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s holds no singleValidSignatureTS.asice", d.corpus)
	}
	lists, err := trustlist.Load(ctx, trustlist.Sources{
		Dir: filepath.Join(d.corpus, "trustlists", "eu-2023-10"), LOTLSigners: filepath.Join(d.corpus, "trustlists", "lotl-signers"),
		Extra: []string{filepath.Join(d.corpus, "trustlists", "test", "EE_T.xml.gz")},
	})
	if err != nil {
		return "", err
	}
	judge, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now})
	if err != nil {
		return "", err
	}
	o := (&verifier{Verifier: judge}).one(ctx, job{File: found[0], At: time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC)})
	if o.Error != nil {
		return "", errors.New(*o.Error)
	}
	s := o.Signatures[0]
	if s.Indication != verify.TotalPassed || s.Qualification != "QESig" {
		return "", fmt.Errorf("%s %s %s: %v", s.Indication, s.SubIndication, s.Qualification, s.Reasons)
	}
	return fmt.Sprintf(": %s, %s (%d services of %d lists)", s.Indication, s.Qualification, lists.Services(), len(lists.Status())), nil
}

// refusedAfter is how long the office's program may wait for a tunnel that is gone; one that is there answers
// within milliseconds.
const refusedAfter = 2 * time.Second

func (d *demonstration) tunnelRefused(ctx context.Context) (string, error) {
	if d.office != nil {
		_, err := refusal(d.dial(ctx, tunnelGateway))
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, refusedAfter)
	defer cancel()
	cmd, err := d.trustlink(limited, "keys")
	if err != nil {
		return "", err
	}
	_, err = output(cmd, d.start)
	_, err = refusal(err)
	return "", err
}

// keyRefused goes around the tunnel, to the gateway itself, with the office's certificate and key.
func (d *demonstration) keyRefused(ctx context.Context) (string, error) {
	certificate, err := tls.LoadX509KeyPair(d.file("office/certificate.pem"), d.file("office/tls.key"))
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(d.state.ca())
	if err != nil {
		return "", err
	}
	anchors := x509.NewCertPool()
	anchors.AppendCertsFromPEM(text)
	settings := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, RootCAs: anchors}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DialContext: d.dialHub}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	gateway, err := remote.NewClient("https://"+d.layout.Gateway, client)
	if err != nil {
		return "", err
	}
	_, err = gateway.Keys(ctx)
	var no *remote.Refusal
	if !errors.As(err, &no) {
		return "", fmt.Errorf("the gateway did not refuse: %w", err)
	}
	return ": " + no.Detail, nil
}

// dialHub connects from where the daemons are.
func (d *demonstration) dialHub(ctx context.Context, network, address string) (c net.Conn, err error) {
	dial := func() error {
		c, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	}
	if d.space != nil {
		err = d.space.Do(dial)
	} else {
		err = dial()
	}
	return c, err
}

// audit verifies the whole log and reads the order's story in it.
func (d *demonstration) audit(ctx context.Context) (string, error) {
	r, err := audit.OpenReader(d.layout.AuditLog)
	if err != nil {
		return "", err
	}
	want := []string{"order.submit", "order.approve", "enrolment.use", "hsm.sign", "tunnel.grant", "tunnel.remove", "certificate.revoke"}
	for {
		missing, err := missingActions(ctx, r, d.number, want)
		if err != nil {
			return "", err
		}
		if missing == "" {
			break
		}
		select { // the newest checkpoint is at most a second behind
		case <-ctx.Done():
			return "", fmt.Errorf("the log tells nothing of %s", missing)
		case <-time.After(pollInterval):
		}
	}
	story, err := r.Verify(ctx, audit.Against{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(": %d entries, none changed, none removed", story.Entries), nil
}

func missingActions(ctx context.Context, r *audit.Reader, number string, want []string) (string, error) {
	entries, err := r.List(ctx, audit.Filter{Partner: demoPartner})
	if err != nil {
		return "", err
	}
	have := map[string]bool{}
	for _, e := range entries {
		if strings.HasSuffix(e.Order, number) {
			have[e.Action] = true
		}
	}
	for _, w := range want {
		if !have[w] {
			return w, nil
		}
	}
	return "", nil
}

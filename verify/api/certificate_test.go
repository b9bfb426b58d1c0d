package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/certificate"
	"trustcore/verify/chain"
	"trustcore/verify/client"
	"trustcore/verify/path"
)

// authority is a root that counts as anchor, an issuing CA and a leaf; it judges without evidence.
type authority struct {
	root, issuing, leaf *x509.Certificate
	key                 *ecdsa.PrivateKey // of all three
	anchors             *path.Anchors
	last                CertificateQuestion
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	now := time.Now()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mint := func(parent *x509.Certificate, name string, serial int64, ca bool) *x509.Certificate {
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{"Urząd Miasta Przykładowo"}},
			NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), IsCA: ca, BasicConstraintsValid: ca}
		if ca {
			template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
		} else {
			template.KeyUsage, template.OCSPServer, template.CRLDistributionPoints = x509.KeyUsageContentCommitment, []string{"http://ocsp.invalid/"}, []string{"http://crl.invalid/"}
			template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a := &authority{key: key}
	a.root = mint(nil, "Office Root", 1, true)
	a.issuing = mint(a.root, "Office CA", 2, true)
	a.leaf = mint(a.issuing, "officer-1", 3, false)
	root, err := certificate.Parse(a.root.Raw)
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := path.AnchorFrom(root)
	if err != nil {
		t.Fatal(err)
	}
	if a.anchors, err = path.NewAnchors(anchor); err != nil {
		t.Fatal(err)
	}
	return a
}

// judge is a JudgeCertificate.
func (a *authority) judge(ctx context.Context, q CertificateQuestion) (*chain.Report, error) {
	a.last = q
	at := q.At
	if at.IsZero() {
		at = time.Now()
	}
	return chain.Judge(ctx, chain.Question{Target: q.Target, Further: q.Further, Anchors: a.anchors, Time: at, Mode: q.Mode,
		CRLs: q.CRLs, OCSPs: q.OCSPs, Policies: q.Policies, Purposes: q.Purposes, Policy: cmp.Or(q.Policy, verify.DefaultPolicy())})
}

func (a *authority) pem(list ...*x509.Certificate) string {
	var text strings.Builder
	for _, c := range list {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

// crl is an empty list of an issuer, base64.
func (a *authority) crl(t *testing.T, by *x509.Certificate) string {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	der, err := x509.CreateRevocationList(rand.Reader, template, by, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func b64(c *x509.Certificate) string { return base64.StdEncoding.EncodeToString(c.Raw) }

const certificates = "/v1/certificates"

func TestCertificateValidations(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	asJSON := func(v client.CertificateQuestion) string {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, test := range map[string]struct {
		query, media, body string
		valid              bool
		sub                any
	}{
		"PEM":        {"?revocation=none", "application/x-pem-file", a.pem(a.leaf, a.issuing), true, nil},
		"DER":        {"?revocation=none", "application/pkix-cert", string(a.issuing.Raw), true, nil},
		"no issuer":  {"?revocation=none", "application/pkix-cert", string(a.leaf.Raw), false, "NO_CERTIFICATE_CHAIN_FOUND"},
		"JSON":       {"", "application/json; charset=utf-8", asJSON(client.CertificateQuestion{Certificate: b64(a.leaf), Certificates: []string{a.pem(a.issuing)}, Revocation: "none"}), true, nil},
		"revocation": {"", "application/json", asJSON(client.CertificateQuestion{Certificate: b64(a.leaf), Certificates: []string{b64(a.issuing)}}), false, "TRY_LATER"},
		"available":  {"", "application/json", asJSON(client.CertificateQuestion{Certificate: b64(a.leaf), Certificates: []string{b64(a.issuing)}, Revocation: "if-available"}), true, nil},
		"at":         {"?revocation=none&at=2001-01-01T00:00:00Z", "", a.pem(a.leaf, a.issuing), false, "OUT_OF_BOUNDS_NO_POE"},
		"policy":     {"?revocation=none&certificate_policy=1.2.3", "", a.pem(a.leaf, a.issuing), false, "CHAIN_CONSTRAINTS_FAILURE"},
		"purpose":    {"?revocation=none&purpose=clientAuth", "", a.pem(a.leaf, a.issuing), true, nil},
		"another":    {"?revocation=none&purpose=serverAuth", "", a.pem(a.leaf, a.issuing), false, "CHAIN_CONSTRAINTS_FAILURE"},
		"given CRLs": {"", "application/json", asJSON(client.CertificateQuestion{Certificate: b64(a.leaf), Certificates: []string{b64(a.issuing)},
			CRLs: []string{a.crl(t, a.root), a.crl(t, a.issuing)}}), true, nil},
		"anchor": {"", "", a.pem(a.root), true, nil},
	} {
		status, answer, _ := s.post(certificates+test.query, test.media, strings.NewReader(test.body))
		if status != http.StatusOK || answer["valid"] != test.valid || answer["sub_indication"] != test.sub {
			t.Errorf("%s: %d %v %v", name, status, answer["valid"], answer["sub_indication"])
			continue
		}
		links := answer["chain"].([]any)
		if reasons := answer["reasons"].([]any); (len(reasons) == 0) != test.valid || len(links) == 0 {
			t.Errorf("%s: reasons %v", name, reasons)
		}
		if q := answer["qualification_at_issuance"].(map[string]any); q["level"] != "N/A" {
			t.Errorf("%s: qualification %v", name, q)
		}
	}
}

// TestCertificateTrace: every step, and the certificates of the path, come when they are asked for.
func TestCertificateTrace(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	for query, want := range map[string]bool{"": false, "&trace=false": false, "&trace=true": true} {
		_, answer, _ := s.post(certificates+"?revocation=none"+query, "", strings.NewReader(a.pem(a.leaf, a.issuing)))
		trace, there := answer["trace"].(map[string]any)
		if there != want {
			t.Errorf("%q: %v", query, answer["trace"])
		}
		if want && (len(trace["certificates"].([]any)) != 3 || dig(t, trace, "certificates", 0, "common_name") != "officer-1" ||
			dig(t, trace, "path", "conclusion", "indication") != "PASSED") {
			t.Errorf("%v", trace)
		}
	}
}

// lines sends a batch, and returns the lines of its answer.
func (s *service) lines(t *testing.T, language, body string) (int, []client.CertificateLine) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+certificates, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	request.Header.Set("Accept-Language", language)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list []client.CertificateLine
	for d := json.NewDecoder(response.Body); response.StatusCode == http.StatusOK; {
		var line client.CertificateLine
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, line)
	}
	return response.StatusCode, list
}

// TestCertificateBatch: each line has its answer in its place, and one that is wrong harms no other.
func TestCertificateBatch(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	good := `{"revocation":"none","certificate":"` + b64(a.issuing) + `"}`
	bad := `{"certificate":"` + b64(a.leaf) + `","at":"never"}`
	status, lines := s.lines(t, "pl", good+"\n\n"+bad+"\r\n{\n"+`{"revocation":"none","certificate":"`+b64(a.leaf)+`"}`+"\n"+good)
	if status != http.StatusOK || len(lines) != 5 {
		t.Fatalf("%d %+v", status, lines)
	}
	for i, line := range lines {
		if line.Line != i+1 || (line.Answer == nil) == (line.Problem == nil) {
			t.Errorf("%d: %+v", i, line)
		}
	}
	if !lines[0].Answer.Valid || lines[1].Problem.Field != "at" || lines[2].Problem.Status != 400 || lines[3].Answer.Valid || !lines[4].Answer.Valid {
		t.Errorf("%+v", lines)
	}
	if p := lines[1].Problem; p.Title != "Błędne żądanie" || !strings.Contains(p.Detail, "nie jest czasem") {
		t.Errorf("%+v", p)
	}
	for body, want := range map[string]int{"": 400, "\n\n": 400, strings.Repeat("{}\n", maxBatch+1): 413, strings.Repeat(" ", maxBatchLine+1): 413,
		strings.Repeat("{}\n", maxBatch): 200} {
		if status, _ := s.lines(t, "", body); status != want {
			t.Errorf("%.10q: %d, want %d", body, status, want)
		}
	}
	s.wantProblem(certificates+"?at=2026-03-03T12:00:00Z", "application/x-ndjson", "{}", 400, "at")
}

// TestCertificatesHideNumbers: no answer about a certificate holds the personal number of its holder, who stands in it.
func TestCertificatesHideNumbers(t *testing.T) {
	const number = "44051401359"
	a := newAuthority(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: a.leaf.NotBefore, NotAfter: a.leaf.NotAfter,
		KeyUsage: x509.KeyUsageContentCommitment,
		Subject:  pkix.Name{CommonName: "ANNA " + number, SerialNumber: "PNOPL-" + number, Country: []string{"PL"}}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.issuing, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	leaf := base64.StdEncoding.EncodeToString(der)
	question := `{"certificate":"` + leaf + `","certificates":["` + b64(a.issuing) + `"],"revocation":"require","trace":true}`
	dss := `{"certificate":{"encodedCertificate":"` + leaf + `"},"certificateChain":[{"encodedCertificate":"` + b64(a.issuing) + `"}]}`
	for _, ask := range []struct{ path, media, body string }{
		{certificates, "application/json", question},
		{certificates, "application/x-ndjson", question},
		{dssCertificatePath, "application/json", dss},
	} {
		status, body := s.send(http.MethodPost, ask.path, ask.media, ask.body)
		shown := string(body)
		if at := strings.Index(shown, number); status != http.StatusOK || at >= 0 {
			t.Errorf("%s %s: %d ...%s", ask.path, ask.media, status, shown[max(0, at-80):max(at, 0)+20])
		}
		if !strings.Contains(shown, "*******1359") {
			t.Errorf("%s %s: the holder is not there", ask.path, ask.media)
		}
	}
}

// TestBatchOutOfTime: what the request has no time left for is a problem of its line.
func TestBatchOutOfTime(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	text := `{"certificate":"` + b64(a.leaf) + `"}`
	out, err := s.api.judgeBatch(ctx, &call{body: &body{size: int64(len(text)), memory: []byte(text)}})
	if err != nil || !strings.Contains(string(out.(*reply).data), `"status":503`) {
		t.Errorf("%v %v", out, err)
	}
}

// TestEvidenceIsBounded: a request brings no revocation data without number.
func TestEvidenceIsBounded(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	list := a.crl(t, a.issuing)
	for n, want := range map[int]int{maxEvidence: 200, maxEvidence + 1: 400} {
		data, err := json.Marshal(client.CertificateQuestion{Certificate: b64(a.leaf), CRLs: slices.Repeat([]string{list}, n)})
		if err != nil {
			t.Fatal(err)
		}
		if status, answer, _ := s.post(certificates, "application/json", bytes.NewReader(data)); status != want {
			t.Errorf("%d lists: %d %v", n, status, answer["detail"])
		}
	}
}

func TestCertificateValidationsRefused(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	leaf := `"certificate":"` + b64(a.leaf) + `"`
	for body, want := range map[string]struct {
		status int
		field  string
	}{
		``: {400, ""}, `{`: {400, ""}, `[]`: {400, ""}, `{}`: {400, "certificate"}, `{"certificate":" "}`: {400, "certificate"},
		`{` + leaf + `,"colour":1}`: {400, "colour"}, `{` + leaf + `} x`: {400, ""},
		`{"certificate":"bm8="}`: {422, "certificate"}, `{"certificate":"***"}`: {422, "certificate"},
		`{` + leaf + `,"certificates":["MA=="]}`: {422, "certificates[0]"},
		`{` + leaf + `,"at":"never"}`:            {400, "at"},
		`{` + leaf + `,"revocation":"maybe"}`:    {400, "revocation"},
		`{` + leaf + `,"policy":"lax"}`:          {400, "policy"},
		`{` + leaf + `,"purposes":["joy"]}`:      {400, "purposes"},
		`{` + leaf + `,"crls":["MAA="]}`:         {422, "crls[0]"},
		`{` + leaf + `,"ocsps":["*"]}`:           {422, "ocsps[0]"},
		`{` + leaf + `,"ocsps":["MAA="]}`:        {422, "ocsps[0]"},
		`{` + leaf + `,"trace":"yes"}`:           {400, "trace"},

		`{` + leaf + `,"certificate_policies":["1.2","x"]}`:    {400, "certificate_policies"},
		`{` + leaf + `,"certificate_policies":["1.2.3.4.5"] }`: {200, ""},
	} {
		status, answer, _ := s.post(certificates, "application/json", strings.NewReader(body))
		if field, _ := answer["field"].(string); status != want.status || field != want.field {
			t.Errorf("%.70q: %d %q %v", body, status, field, answer["detail"])
		}
	}
	s.wantProblem(certificates+"?trace=1", "", a.pem(a.leaf), 400, "trace")
	s.wantProblem(certificates, "", "", 400, "certificate")
	s.wantProblem(certificates, "", "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n", 422, "certificate")
	s.wantProblem(certificates, "", strings.Repeat(a.pem(a.leaf), chain.MaxCertificates+1), 422, "certificate")
}

func TestDSSCertificate(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	body := fmt.Sprintf(`{"certificate":{"encodedCertificate":%q},"certificateChain":[{"encodedCertificate":%q}],"validationTime":null,"policy":null,"cryptographicSuite":null,"tokenExtractionStrategy":"NONE"}`, b64(a.leaf), b64(a.issuing))
	status, answer, _ := s.post(dssCertificatePath, "application/json", strings.NewReader(body))
	if status != http.StatusOK || a.last.Mode != chain.Require || !a.last.At.IsZero() {
		t.Fatalf("%d %v", status, answer)
	}
	target := answer["simpleCertificateReport"].(map[string]any)["Certificate"].(map[string]any)
	subject := target["subject"].(map[string]any)
	above := target["ChainItem"].([]any)
	if subject["commonName"] != "officer-1" || subject["organizationName"] != "Urząd Miasta Przykładowo" || subject["surname"] != nil || target["Indication"] != "INDETERMINATE" ||
		target["SubIndication"] != "TRY_LATER" || len(above) != 2 || target["issuerId"] == nil || fmt.Sprint(target["ocspUrl"]) != "[http://ocsp.invalid/]" ||
		fmt.Sprint(target["keyUsage"]) != "[nonRepudiation]" || target["qualificationAtIssuance"] != "N/A" {
		t.Errorf("%v", target)
	}
	if root := above[1].(map[string]any); root["Indication"] != "PASSED" || root["issuerId"] != nil {
		t.Errorf("the anchor: %v", root)
	}
	id, issuer := target["Id"], target["issuerId"]
	blocks := dig(t, answer, "detailedReport", "BasicBuildingBlocks", 0)
	token := dig(t, answer, "detailedReport", "signatureOrTimestampOrEvidenceRecord", 0, "Certificate")
	data := dig(t, answer, "diagnosticData", "Certificate", 0)
	for _, c := range []struct{ got, want any }{
		{dig(t, blocks, "Type"), "CERTIFICATE"}, {dig(t, blocks, "Id"), id}, {dig(t, token, "Id"), id}, {dig(t, data, "Id"), id},
		{dig(t, blocks, "XCV", "Conclusion", "Indication"), "INDETERMINATE"},
		{dig(t, blocks, "XCV", "Conclusion", "SubIndication"), "TRY_LATER"},
		{dig(t, blocks, "XCV", "SubXCV", 0, "Id"), id}, {dig(t, blocks, "XCV", "SubXCV", 0, "Conclusion", "Indication"), "PASSED"},
		{dig(t, blocks, "XCV", "SubXCV", 1, "Conclusion", "Indication"), "INDETERMINATE"},
		{dig(t, blocks, "XCV", "SubXCV", 2, "TrustAnchor"), true},
		{dig(t, token, "CertificateQualificationProcess", "Conclusion", "Indication"), "FAILED"},
		{dig(t, data, "SigningCertificate", "Certificate"), issuer}, {dig(t, data, "CommonName"), "officer-1"},
		{dig(t, data, "BasicSignature", "SignatureIntact"), true}, {dig(t, data, "Base64Encoded"), nil},
		{len(dig(t, answer, "diagnosticData", "Certificate").([]any)), 3},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	s.wantProblem(dssCertificatePath, "application/json", `{}`, 400, "certificate.encodedCertificate")
	s.wantProblem(dssCertificatePath, "application/json", `{"certificate":{"encodedCertificate":"MA=="}}`, 422, "certificate.encodedCertificate")
	s.wantProblem(dssCertificatePath, "application/json", fmt.Sprintf(`{"certificate":{"encodedCertificate":%q},"certificateChain":[{}]}`, b64(a.leaf)), 422, "certificateChain[0].encodedCertificate")
}

// TestDSSQualifications: the words for a qualification are DSS's in all reports.
func TestDSSQualifications(t *testing.T) {
	for _, c := range []struct {
		of   chain.Qualification
		want string
	}{
		{chain.Qualification{Level: "QCert for ESig with QSCD", Qualified: true, Device: true}, "QC for eSig with QSCD"},
		{chain.Qualification{Level: "QCert for ESeal", Qualified: true}, "QC for eSeal"},
		{chain.Qualification{Level: "QCert for WSA", Qualified: true}, "QC for WSA"},
		{chain.Qualification{Level: "Cert for ESig"}, "Cert for eSig"},
		{chain.Qualification{Level: "QCert for unknown", Qualified: true}, "QC for unknown type"},
		{chain.Qualification{Level: "N/A"}, "N/A"},
	} {
		r := &chain.Report{Indication: "PASSED", Chain: []chain.Link{{SHA256: "aa"}}, AtIssuance: c.of, AtValidation: c.of}
		simple := simpleCertificateReport(r).Certificate
		if *simple.QualificationAtIssuance != c.want || *simple.QualificationAtValidation != c.want {
			t.Errorf("%s: %s and %s, want %s", c.of.Level, *simple.QualificationAtIssuance, *simple.QualificationAtValidation, c.want)
		}
	}
}

// TestDSSCertificateHonoursTheRequest: what has no effect is refused by its name.
func TestDSSCertificateHonoursTheRequest(t *testing.T) {
	a := newAuthority(t)
	s := newService(t, func(c *Config) { c.Certificate = a.judge })
	for field, value := range map[string]string{"policy": `{"bytes":"eA=="}`, "cryptographicSuite": `{"bytes":"eA=="}`, "tokenExtractionStrategy": `"EXTRACT_WHATEVER"`} {
		s.wantProblem(dssCertificatePath, "application/json", fmt.Sprintf(`{"certificate":{"encodedCertificate":%q},%q:%s}`, b64(a.leaf), field, value), 400, field)
	}
}

// TestDSSSamples answers the samples of DSS's own documentation and compares the shape of the answers: every key of ours
// is one of theirs, spelt alike, and what theirs always has is there.
func TestDSSSamples(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the public samples are not compared")
	}
	folder := filepath.Join(corpus, "..", "schemas", "dss-rest-samples")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the REST samples of DSS do not lie beside the corpus")
	}
	s := newService(t, func(c *Config) { c.MaxDocument = 1 << 20; c.Judge = judgeForReal })
	for name, at := range map[string]string{"validate-doc": dssSignaturePath, "validate-digest-doc": dssSignaturePath, "validate-cert": dssCertificatePath} {
		body, err := os.ReadFile(filepath.Join(folder, name+".request-body.txt"))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(folder, name+".response-body.txt"))
		if err != nil {
			t.Fatal(err)
		}
		var theirs map[string]any
		if err := json.Unmarshal(want, &theirs); err != nil {
			t.Fatal(err)
		}
		status, ours, _ := s.post(at, "application/json", strings.NewReader(string(body)))
		if status != http.StatusOK {
			t.Errorf("%s: %d %v", name, status, ours["detail"])
			continue
		}
		compareKeys(t, name, ours, theirs)
		if name == "validate-cert" {
			indication := func(m map[string]any) any {
				c := m["simpleCertificateReport"].(map[string]any)["Certificate"].(map[string]any)
				return fmt.Sprint(c["Indication"], c["SubIndication"], c["Id"])
			}
			if indication(ours) != indication(theirs) {
				t.Errorf("%v, want %v", indication(ours), indication(theirs))
			}
		}
	}
}

// compareKeys compares objects key by key, and the first elements of arrays.
func compareKeys(t *testing.T, where string, ours, theirs any) {
	t.Helper()
	switch a := ours.(type) {
	case map[string]any:
		b, ok := theirs.(map[string]any)
		if !ok {
			return // null there
		}
		for key := range a {
			if _, ok := b[key]; !ok {
				t.Errorf("%s.%s is not a key of DSS", where, key)
			}
			compareKeys(t, where+"."+key, a[key], b[key])
		}
		for key := range b {
			if _, ok := a[key]; !ok {
				t.Errorf("%s.%s is missing", where, key)
			}
		}
	case []any:
		if b, ok := theirs.([]any); ok && len(a) > 0 && len(b) > 0 {
			compareKeys(t, where+"[0]", a[0], b[0])
		}
	}
}

package api

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/internal/cms"
	"trustcore/verify"
	"trustcore/verify/internal/mint"
	"trustcore/verify/policy"
	"trustcore/verify/trustlist"
)

// court is the API over the product's own judge, at the times that requests name.
func court(t *testing.T, sources trustlist.Sources, p *verify.Policy) *service {
	t.Helper()
	lists, err := trustlist.Load(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: p, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	shipped := []*verify.Policy{p, verify.DefaultPolicy()}
	return newService(t, func(c *Config) {
		c.MaxDocument = 32 << 20
		c.Policies = func() []*verify.Policy { return shipped }
		c.Judge = func(ctx context.Context, r verify.Request) (*verify.Report, error) { return v.Verify(ctx, r) }
	})
}

// town is a CA, a time-stamping unit and an officer, on a trusted list.
type town struct {
	*service
	ca, tsu, officer mint.Party
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{ca: mint.Root(t, "Kwalifikowany Urząd Testowy")}
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer-1", Country: []string{"PL"}},
		Extensions: []pkix.Extension{mint.Qualified(t)}})
	w.tsu = mint.Root(t, "Urząd Znakowania Czasem").Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit-1"},
		TSU:  true,
		From: mint.Day.AddDate(-10, 0, 0), To: mint.Day.AddDate(10, 0, 0)})
	granted := []mint.Period{{Status: mint.Granted, From: mint.Day.AddDate(-5, 0, 0),
		Additional: []string{mint.ForSignatures}}}
	list := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{
		{Name: "CA/QC", Type: mint.CAQC, By: w.ca, Periods: granted}, {Name: "QTST", Type: mint.QTST, By: w.tsu,
			Periods: granted}}}
	file := filepath.Join(t.TempDir(), "list.xml")
	if err := os.WriteFile(file, list.Sign(t, mint.Root(t, "Scheme operator")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.service = court(t, trustlist.Sources{Extra: []string{file}}, verify.DefaultPolicy())
	return w
}

const letter = `<letter xmlns="urn:letter"><p>Zażalenie</p></letter>`

func (w *town) letter(t *testing.T) []byte {
	t.Helper()
	return mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsu, At: mint.Day}},
		CRLs: [][]byte{w.ca.CRL(t, mint.Day, nil)}}.Sign(t, letter)
}

// validate asks for the reports of a document; more are further members of the request.
func (s *service) validate(document []byte, at time.Time, more string) (int, map[string]any) {
	s.t.Helper()
	body := fmt.Sprintf(`{"signedDocument":{"bytes":%q,"name":"letter.xml"},"validationTime":%q%s}`,
		base64.StdEncoding.EncodeToString(document),
		at.Format(time.RFC3339), more)
	status, answer, _ := s.post(dssSignaturePath, "application/json", strings.NewReader(body))
	return status, answer
}

// dig follows keys and indexes.
func dig(t *testing.T, from any, path ...any) any {
	t.Helper()
	for i, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := from.(map[string]any)
			if from = object[key]; !ok {
				t.Fatalf("%v: no object at %d", path, i)
			}
		case int:
			list, ok := from.([]any)
			if !ok || key >= len(list) {
				t.Fatalf("%v: no element at %d", path, i)
			}
			from = list[key]
		}
	}
	return from
}

// TestReports: the four reports of one signature with a time-stamp agree, and say what the compact report does.
func TestReports(t *testing.T) {
	w := newTown(t)
	status, answer := w.validate(w.letter(t), mint.Day.Add(time.Hour), "")
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	coherent(t, "letter", answer)
	simple := dig(t, answer, "SimpleReport", "signatureOrTimestampOrEvidenceRecord", 0, "Signature")
	detailed := dig(t, answer, "DetailedReport", "signatureOrTimestampOrEvidenceRecord", 0, "Signature")
	data := dig(t, answer, "DiagnosticData", "Signature", 0)
	for _, c := range []struct{ got, want any }{
		{dig(t, simple, "Indication"), "TOTAL_PASSED"},
		{dig(t, simple, "SignatureFormat"), dig(t, data, "SignatureFormat")},
		{dig(t, simple, "SignatureLevel", "value"), dig(t, detailed, "ValidationSignatureQualification",
			"SignatureQualification")},
		{dig(t, simple, "Timestamps", "Timestamp", 0, "Indication"), "PASSED"},
		{dig(t, simple, "Timestamps", "Timestamp", 0, "Id"), dig(t, detailed, "Timestamp", 0, "Id")},
		{dig(t, detailed, "ValidationProcessBasicSignature", "Conclusion", "Indication"), "PASSED"},
		{dig(t, detailed, "ValidationProcessLongTermData", "ProofOfExistence", "TimestampId"), dig(t, data,
			"FoundTimestamp", 0, "Timestamp")},
		{dig(t, data, "DigestMatcher", 0, "DataIntact"), true},
		{dig(t, data, "BasicSignature", "EncryptionAlgoUsedToSignThisToken"), "ECDSA"},
		{dig(t, data, "SignatureFilename"), "letter.xml"},
		{dig(t, answer, "DiagnosticData", "TrustedList", 0, "CountryCode"), "PL"},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}

// TestReportsOfAForgedLetter: what is wrong stands under DSS's key in both reports.
func TestReportsOfAForgedLetter(t *testing.T) {
	w := newTown(t)
	status, answer := w.validate(bytes.Replace(w.letter(t), []byte("Zażalenie"), []byte("Uchwałami"), 1),
		mint.Day.Add(time.Hour), "")
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	coherent(t, "forged", answer)
	simple := dig(t, answer, "SimpleReport", "signatureOrTimestampOrEvidenceRecord", 0, "Signature")
	cv := dig(t, answer, "DetailedReport", "BasicBuildingBlocks", 0, "CV")
	if dig(t, simple, "Indication") != "TOTAL_FAILED" || dig(t, simple, "SubIndication") != "HASH_FAILURE" ||
		dig(t, simple, "AdESValidationDetails", "Error", 0, "Key") != "BBB_CV_IRDOI_ANS" ||
		dig(t, cv, "Conclusion", "Errors", 0, "Key") != "BBB_CV_IRDOI_ANS" || dig(t, cv, "Conclusion",
		"Indication") != "FAILED" {
		t.Errorf("%v %v", simple, cv)
	}
}

// TestReportsHonourTheRequest: every field of the request has its effect, or is refused by its name.
func TestReportsHonourTheRequest(t *testing.T) {
	w := newTown(t)
	document, at := w.letter(t), mint.Day.Add(time.Hour)
	encoded := func(d []byte) string { return base64.StdEncoding.EncodeToString(d) }

	_, answer := w.validate(document, at, `,"tokenExtractionStrategy":"EXTRACT_CERTIFICATES_AND_TIMESTAMPS"`)
	data := dig(t, answer, "DiagnosticData")
	if der, _ := dig(t, data, "Certificate", 0, "Base64Encoded").(string); der != encoded(w.officer.Cert.Raw) ||
		dig(t, data, "Certificate", 0, "DigestAlgoAndValue") != nil || dig(t, data, "Timestamp", 0,
		"Base64Encoded") == nil ||
		dig(t, data, "Revocation", 0, "Base64Encoded") != nil {
		t.Errorf("the octets that were asked for, and no others: %v", data)
	}
	id := dig(t, data, "Signature", 0, "Id").(string)
	for _, name := range []string{id, "sig"} {
		if status, one := w.validate(document, at, fmt.Sprintf(`,"signatureId":%q`, name)); status != http.StatusOK ||
			dig(t, one, "SimpleReport", "SignaturesCount") != 1.0 {
			t.Errorf("%s: %d", name, status)
		}
	}
	_, strict := w.validate(document, at, fmt.Sprintf(`,"policy":{"bytes":%q,"name":"p"}`,
		encoded(policy.ShippedSource(policy.DSSDefault))))
	if name := dig(t, strict, "SimpleReport", "ValidationPolicy", "PolicyName"); name != policy.DSSDefault {
		t.Errorf("judged by %v", name)
	}
	for field, more := range map[string]string{
		"signatureId":                          `"signatureId":"another"`,
		"policy":                               `"policy":{"bytes":"eA=="}`,
		"cryptographicSuite":                   `"cryptographicSuite":{"bytes":"eA=="}`,
		"tokenExtractionStrategy":              `"tokenExtractionStrategy":"EXTRACT_EVIDENCE_RECORDS_ONLY"`,
		"evidenceRecords[0]":                   `"evidenceRecords":[{"bytes":"eA=="}]`,
		"originalDocuments[0].digestAlgorithm": `"originalDocuments":[{"bytes":"eA==","digestAlgorithm":"CRC32"}]`,
		"originalDocuments[0].bytes":           `"originalDocuments":[{"bytes":"eA==","digestAlgorithm":"SHA256"}]`,
	} {
		if status, answer := w.validate(document, at, ","+more); status != http.StatusBadRequest ||
			answer["field"] != field {
			t.Errorf("%s: %d about %v, want 400 about %s", more, status, answer["field"], field)
		}
	}
	weak := fmt.Sprintf(`,"originalDocuments":[{"bytes":%q,"digestAlgorithm":"SHA1"}]`, encoded(make([]byte, 20)))
	if status, answer := w.validate(document, at, weak); status != http.StatusBadRequest {
		t.Errorf("a digest that two files may share: %d %v", status, answer["detail"])
	}
	weaker := bytes.Replace(policy.ShippedSource(policy.Strict), []byte("UnsignedContent: FAIL"),
		[]byte("UnsignedContent: IGNORE"), 1)
	if status, answer := w.validate(document, at,
		fmt.Sprintf(`,"policy":{"bytes":%q}`, encoded(weaker))); status != http.StatusBadRequest {
		t.Errorf("a weaker policy by the name of the shipped one: %d %v", status, answer["detail"])
	}
}

// TestNoChoiceOfPolicies: where callers may choose none by its name, they can bring none either; the one that is judged
// by anyway is no choice.
func TestNoChoiceOfPolicies(t *testing.T) {
	strict, err := policy.Named(policy.Strict)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(policy.ShippedSource(policy.Strict), []byte("Name: strict"), []byte("Name: office"), 1)
	for name, c := range map[string]struct {
		offered []*verify.Policy
		brought []byte
		status  int
	}{
		"another":       {[]*verify.Policy{strict}, policy.ShippedSource(policy.DSSDefault), http.StatusBadRequest},
		"the same":      {[]*verify.Policy{strict}, policy.ShippedSource(policy.Strict), http.StatusOK},
		"of other name": {[]*verify.Policy{strict}, other, http.StatusBadRequest},
		"none at all":   {nil, policy.ShippedSource(policy.Strict), http.StatusBadRequest},
		"nothing":       {[]*verify.Policy{strict}, nil, http.StatusOK},
	} {
		s := newService(t, func(cfg *Config) {
			cfg.MaxDocument, cfg.Policies = 1<<20, func() []*verify.Policy { return c.offered }
		})
		body := fmt.Sprintf(`{"signedDocument":{"bytes":"YQ=="},"policy":{"bytes":%q}}`,
			base64.StdEncoding.EncodeToString(c.brought))
		status, answer, _ := s.post(dssSignaturePath, "application/json", strings.NewReader(body))
		if status != c.status || status == http.StatusBadRequest && answer["field"] != "policy" {
			t.Errorf("%s: %d about %v: %v, want %d", name, status, answer["field"], answer["detail"], c.status)
		}
	}
}

// TestReportsOfDigests: digests stand in for the document that a detached signature is about, and for one that an
// evidence record is about. Of another document nothing passes.
func TestReportsOfDigests(t *testing.T) {
	w := newTown(t)
	content, at := []byte("treść"), mint.Day.Add(time.Hour)
	good, bad := sha256.Sum256(content), sha256.Sum256(nil)
	detached, err := cms.Sign(cms.SignConfig{Signer: w.officer.Key, Certificate: w.officer.Cert.Raw,
		Hash: crypto.SHA256, Digest: good[:], SigningTime: mint.Day})
	if err != nil {
		t.Fatal(err)
	}
	digested := func(sum [32]byte) string {
		return fmt.Sprintf(`{"bytes":%q,"digestAlgorithm":"SHA256","name":"a"}`, base64.StdEncoding.EncodeToString(sum[:]))
	}
	for sum, want := range map[[32]byte]any{good: "NO", bad: "HASH_FAILURE"} {
		status, answer := w.validate(detached, at, `,"originalDocuments":[`+digested(sum)+`]`)
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
		coherent(t, "digest", answer)
		sub := dig(t, answer, "SimpleReport", "signatureOrTimestampOrEvidenceRecord", 0, "Signature", "SubIndication")
		intact := dig(t, answer, "DiagnosticData", "Signature", 0, "DigestMatcher", 0, "DataIntact")
		if (sub == "HASH_FAILURE") != (want == "HASH_FAILURE") || intact != (want == "NO") {
			t.Errorf("%v, intact %v", sub, intact)
		}
	}
	record := base64.StdEncoding.EncodeToString(evidenceRecord(t, w.tsu.Stamp(t, content, mint.Day)))
	for sum, want := range map[[32]byte]any{good: "PASSED", bad: "INDETERMINATE"} {
		body := fmt.Sprintf(`{"signedDocument":%s,"evidenceRecords":[{"bytes":%q,"name":"er"}],"validationTime":%q}`,
			digested(sum), record, at.Format(time.RFC3339))
		status, answer, _ := w.post(dssSignaturePath, "application/json", strings.NewReader(body))
		if status != http.StatusOK {
			t.Fatalf("%d %v", status, answer)
		}
		coherent(t, "record", answer)
		if got := dig(t, answer, "SimpleReport", "signatureOrTimestampOrEvidenceRecord", 0, "EvidenceRecord",
			"Indication"); got != want {
			t.Errorf("%v, want %v: %v", got, want, dig(t, answer, "SimpleReport"))
		}
	}
	w.wantProblem(dssSignaturePath, "application/json", `{"signedDocument":`+digested(good)+`}`, 400,
		"signedDocument.digestAlgorithm")
}

// evidenceRecord is the smallest of RFC 4998: one time-stamp of one data object.
func evidenceRecord(t *testing.T, token []byte) []byte {
	t.Helper()
	var b cryptobyte.Builder
	sequence := func(b *cryptobyte.Builder, fill cryptobyte.BuilderContinuation) { b.AddASN1(cbasn1.SEQUENCE, fill) }
	sequence(&b, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		sequence(b, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1})
			})
		})
		sequence(b, func(b *cryptobyte.Builder) { // chains
			sequence(b, func(b *cryptobyte.Builder) { // archive time-stamps
				sequence(b, func(b *cryptobyte.Builder) { b.AddBytes(token) })
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// references are the members of DiagnosticData that hold ids of other objects there.
var references = []string{"Certificate", "Revocation", "Timestamp", "EvidenceRecord", "Token", "SignerData", "TL",
	"LOTL", "parent", "Parent",
	"ServiceDigitalIdentifier"}

// coherent checks that the reports name no object that is not there, and that they agree about each.
func coherent(t *testing.T, name string, answer map[string]any) {
	t.Helper()
	ids := map[string]bool{}
	data := dig(t, answer, "DiagnosticData").(map[string]any)
	orphans, _ := data["OrphanTokens"].(map[string]any)
	for _, list := range []any{data["Signature"], data["EvidenceRecord"], data["Certificate"], data["Revocation"],
		data["Timestamp"], data["SignerData"], data["TrustedList"], orphans["OrphanCertificate"],
		orphans["OrphanRevocation"]} {
		objects, _ := list.([]any)
		for _, o := range objects {
			id := dig(t, o, "Id").(string)
			if ids[id] {
				t.Errorf("%s: two objects with the id %s", name, id)
			}
			ids[id] = true
		}
	}
	walk(data, func(key string, value any) {
		if id, is := value.(string); is && slices.Contains(references, key) && !ids[id] {
			t.Errorf("%s: DiagnosticData has no %q, which %s names", name, id, key)
		}
	})
	for _, report := range []string{"SimpleReport", "DetailedReport"} {
		walk(answer[report], func(key string, value any) {
			id, is := value.(string)
			if object, _, _ := strings.Cut(id, "-"); is && key == "Id" && len(object) == 1 && !ids[id] &&
				!within(ids, id) {
				t.Errorf("%s: %s names %q, which DiagnosticData does not have", name, report, id)
			}
		})
	}
}

// within tells the id of a block: an object's and more.
func within(ids map[string]bool, id string) bool {
	for known := range ids {
		if strings.HasPrefix(id, known+"-") {
			return true
		}
	}
	return false
}

// walk visits every member of an object and of those in it.
func walk(value any, visit func(key string, value any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			visit(key, member)
			walk(member, visit)
		}
	case []any:
		for _, element := range v {
			walk(element, visit)
		}
	}
}

// realCourt judges with the lists of the public samples.
func realCourt(t *testing.T) (s *service, corpus string, at time.Time) {
	t.Helper()
	if corpus = os.Getenv("TRUSTCORE_CORPUS"); corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the public samples are not reported on")
	}
	p, err := policy.Named(policy.DSSDefault)
	if err != nil {
		t.Fatal(err)
	}
	return court(t, trustlist.Sources{Dir: filepath.Join(corpus, "trustlists", "eu-2023-10"),
			LOTLSigners: filepath.Join(corpus, "trustlists", "lotl-signers"),
			Extra:       []string{filepath.Join(corpus, "trustlists", "test", "EE_T.xml.gz")}}, p), corpus,
		time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC)
}

// realDocuments are all files of the public samples.
func realDocuments(t *testing.T, corpus string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus, "signatures", "files", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Skip("no public samples")
	}
	return files
}

// TestReportsOfRealDocuments holds the reports of the public samples against the compact report.
func TestReportsOfRealDocuments(t *testing.T) {
	s, corpus, at := realCourt(t)
	for _, file := range realDocuments(t, corpus) {
		document, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		status, answer := s.validate(document, at, "")
		if status != http.StatusOK {
			continue // of no format that is read, as the compact report says, too
		}
		coherent(t, name, answer)
		_, compact, _ := s.post(validations+"?at="+at.Format(time.RFC3339), "application/octet-stream",
			bytes.NewReader(document))
		agree(t, name, answer, compact)
	}
}

// TestStockClient has the Commission's own client read the reports and write them as XML, valid by its schemas.
func TestStockClient(t *testing.T) {
	s, corpus, at := realCourt(t)
	peer := filepath.Join(corpus, "..", "peers", "dss")
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("there is no java to run DSS's client")
	}
	built := cmp.Or(os.Getenv("DSS_PEER_BUILD"), filepath.Join(os.TempDir(), "dss-peer"))
	if _, err := os.Stat(filepath.Join(built, ".built")); err != nil {
		t.Skip("DSS's client is not built: run.sh of peers/dss beside the public samples builds it")
	}
	list, err := os.ReadFile(filepath.Join(peer, "bench-files.txt"))
	if err != nil {
		t.Skip("peers/dss does not lie beside the public samples")
	}
	args := []string{"client", s.url, "--at", at.Format(time.RFC3339)}
	for line := range strings.Lines(string(list)) {
		if name := strings.TrimSpace(line); name != "" && name[0] != '#' {
			args = append(args, filepath.Join(corpus, "signatures", name))
		}
	}
	if more := os.Getenv("TRUSTCORE_DSS_CLIENT"); more == "all" {
		args = append(args[:4:4], realDocuments(t, corpus)...)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(peer, "run.sh"), args...).CombinedOutput()
	if file := os.Getenv("TRUSTCORE_DSS_CLIENT_OUT"); file != "" {
		_ = os.WriteFile(file, out, 0o600)
	}
	if err != nil {
		t.Errorf("%v\n%.4000s", err, out)
	}
}

// scopes are what is covered, by name and words; these stand under a key.
func scopes(t *testing.T, list any, words string) map[string]bool {
	t.Helper()
	set := map[string]bool{}
	for _, s := range list.([]any) {
		set[fmt.Sprint(dig(t, s, "name"), ": ", dig(t, s, words))] = true
	}
	return set
}

// agree compares the simple report with the compact one.
func agree(t *testing.T, name string, answer, compact map[string]any) {
	t.Helper()
	tokens := dig(t, answer, "SimpleReport", "signatureOrTimestampOrEvidenceRecord").([]any)
	signatures := compact["signatures"].([]any)
	for i, c := range signatures {
		simple := dig(t, tokens, i, "Signature").(map[string]any)
		sub, _ := dig(t, c, "sub_indication").(string)
		if sub == "GENERIC" {
			sub = "UNEXPECTED_ERROR"
		}
		theirs, _ := simple["SubIndication"].(string)
		if strings.ReplaceAll(dig(t, c, "indication").(string), "-", "_") != simple["Indication"] || sub != theirs ||
			dig(t, c, "qualification") != dig(t, simple, "SignatureLevel", "value") ||
			!maps.Equal(scopes(t, dig(t, c, "scopes"), "scope"), scopes(t, simple["SignatureScope"], "value")) {
			t.Errorf("%s %d: %v; %v", name, i, c, simple)
		}
		stamps, _ := simple["Timestamps"].(map[string]any)
		list, _ := stamps["Timestamp"].([]any)
		for j, stamp := range dig(t, c, "timestamps").([]any) {
			if got := dig(t, list, j, "Indication"); got != dig(t, stamp, "indication") {
				t.Errorf("%s %d, time-stamp %d: %v", name, i, j, got)
			}
		}
	}
	alone := slices.DeleteFunc(slices.Clone(compact["evidence_records"].([]any)), func(record any) bool {
		return record.(map[string]any)["signatures"] != nil // it stands with them
	})
	if len(tokens) != len(signatures)+len(compact["timestamps"].([]any))+len(alone) {
		t.Errorf("%s: %d tokens", name, len(tokens))
	}
}

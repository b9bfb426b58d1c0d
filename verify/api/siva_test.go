package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/original"
)

// siva asks as SiVa's clients do. The answer is JSON whatever becomes of it.
func (s *service) siva(path, body string) (int, map[string]any) {
	s.t.Helper()
	status, answer, header := s.ask(http.MethodPost, path, strings.NewReader(body), "Content-Type: application/json")
	if media := header.Get("Content-Type"); media != "application/json" {
		s.t.Errorf("%s: %d, %s", path, status, media)
	}
	return status, answer
}

// TestSivaValidate: a letter with a qualified certificate, in SiVa's words.
func TestSivaValidate(t *testing.T) {
	w := newTown(t)
	document := base64.StdEncoding.EncodeToString(w.letter(t))
	for policy, want := range map[string]string{"": "TOTAL-PASSED 1", "POLv3": "TOTAL-PASSED 1", "POLv4": "TOTAL-PASSED 1"} {
		status, answer := w.siva("/validate", fmt.Sprintf(`{"document":%q,"filename":"letter.xml","signaturePolicy":%q}`, document, policy))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v", policy, status, answer)
		}
		c := dig(t, answer, "validationReport", "validationConclusion")
		if got := fmt.Sprint(dig(t, c, "signatures", 0, "indication"), " ", dig(t, c, "validSignaturesCount")); got != want {
			t.Errorf("%s: %s, want %s: %v", policy, got, want, c)
		}
		if dig(t, c, "signatures", 0, "signatureFormat") != "XAdES_BASELINE_LT" || dig(t, c, "signatures", 0, "signatureLevel") != "QESIG" ||
			dig(t, c, "signatures", 0, "signedBy") != "officer-1" || dig(t, c, "validatedDocument", "filename") != "letter.xml" || dig(t, c, "signaturesCount") != 1.0 {
			t.Errorf("%v", c)
		}
		if _, err := time.Parse("2006-01-02T15:04:05Z", fmt.Sprint(dig(t, c, "signatures", 0, "info", "bestSignatureTime"))); err != nil {
			t.Error(err)
		}
	}
	for kind, part := range map[string]string{"Simple": "", "Detailed": "validationProcess", "Diagnostic": "diagnosticData"} {
		_, answer := w.siva("/validate", fmt.Sprintf(`{"document":%q,"filename":"letter.xml","reportType":%q}`, document, kind))
		report := answer["validationReport"].(map[string]any)
		for _, name := range []string{"validationProcess", "diagnosticData"} {
			if (report[name] != nil) != (name == part) {
				t.Errorf("%s: %s is there: %v", kind, name, report[name] != nil)
			}
		}
	}
}

func TestSivaLevels(t *testing.T) {
	for ours, theirs := range map[string]string{"QESig": "QESIG", "Indeterminate AdESeal-QC": "INDETERMINATE_ADESEAL_QC", "N/A": "NA",
		"Indeterminate what": "NA", "Not AdES": "NOT_ADES", "Unknown-QC-QSCD": "QES"} {
		if got := sivaLevel(ours); got != theirs {
			t.Errorf("%s: %s, want %s", ours, got, theirs)
		}
	}
	r := &verify.Report{Timestamps: []verify.TimestampReport{{Indication: verify.Passed}, {Indication: verify.Failed}, {Indication: verify.Indeterminate}}}
	var got []string
	for _, s := range sivaConclusionOf("", r).TimeStampTokens {
		got = append(got, s.Indication)
	}
	if strings.Join(got, " ") != "TOTAL-PASSED TOTAL-FAILED INDETERMINATE" {
		t.Error(got)
	}
	for level, want := range map[string]string{"QESig": "TOTAL-PASSED", "QESeal": "TOTAL-PASSED", "AdESeal-QC": "TOTAL-PASSED", "Unknown-QC-QSCD": "TOTAL-PASSED",
		"AdESig-QC": "TOTAL-FAILED", "AdESig": "TOTAL-FAILED", "N/A": "TOTAL-FAILED"} {
		r := &verify.Report{Signatures: []verify.SignatureReport{{Indication: verify.TotalPassed, Qualification: level}}}
		if got := sivaConclusionOf(sivaQualifiedLevel, r).Signatures[0].Indication; got != want {
			t.Errorf("%s under POLv4: %s, want %s", level, got, want)
		}
	}
}

// TestSivaHashcode: each signature is about the digests beside it alone.
func TestSivaHashcode(t *testing.T) {
	var asked []verify.Request
	s := newService(t, func(c *Config) { c.MaxDocument = 100_000 })
	judge := s.judge
	s.api.cfg.Judge = func(ctx context.Context, r verify.Request) (*verify.Report, error) {
		asked = append(asked, r)
		return judge(ctx, r)
	}
	sum := sha256.Sum256([]byte("a"))
	digest := base64.StdEncoding.EncodeToString(sum[:])
	status, answer := s.siva("/validateHashcode", fmt.Sprintf(`{"signatureFiles":[{"signature":"eA==","dataFiles":[{"filename":"a.pdf","hashAlgo":"SHA256","hash":%q}]},{"signature":"eQ=="}]}`, digest))
	c := dig(t, answer, "validationReport", "validationConclusion").(map[string]any)
	if status != http.StatusOK || c["signaturesCount"] != 2.0 || len(c["signatures"].([]any)) != 2 || c["validatedDocument"] != nil {
		t.Errorf("%d %v", status, c)
	}
	if len(asked) != 2 || string(asked[0].Document) != "x" || string(asked[1].Document) != "y" || len(asked[1].Detached) != 0 ||
		len(asked[0].Detached) != 1 || asked[0].Detached[0].Name != "a.pdf" || string(asked[0].Detached[0].Digests["SHA-256"]) != string(sum[:]) {
		t.Errorf("%+v", asked)
	}
}

// TestSivaDataFiles gives what was signed, each file once.
func TestSivaDataFiles(t *testing.T) {
	w := newTown(t)
	status, answer := w.siva("/getDataFiles", fmt.Sprintf(`{"document":%q,"filename":"letter.xml"}`, base64.StdEncoding.EncodeToString(w.letter(t))))
	files, _ := answer["dataFiles"].([]any)
	if status != http.StatusOK || len(files) != 1 {
		t.Fatalf("%d %v", status, answer)
	}
	content, err := base64.StdEncoding.DecodeString(fmt.Sprint(dig(t, files, 0, "base64")))
	if err != nil || dig(t, files, 0, "size") != float64(len(content)) || !strings.Contains(string(content), "Zażalenie") || strings.Contains(string(content), "Signature") {
		t.Errorf("%s %v", content, err)
	}
	status, answer = w.siva("/getDataFiles", `{"document":"eA==","filename":"plain.txt"}`)
	if status != http.StatusBadRequest || dig(t, answer, "requestErrors", 0, "key") != "document" {
		t.Errorf("a file that holds no signature: %d %v", status, answer)
	}
	status, answer = w.siva("/getDataFiles", `{"document":"PGEvPg==","filename":"plain.xml"}`)
	if list, _ := answer["dataFiles"].([]any); status != http.StatusOK || list == nil || len(list) != 0 {
		t.Errorf("a file without one: %d %v", status, answer)
	}
}

// TestSivaDataFilesOnce: what two signatures are about is given once, and no more than fits into an answer.
func TestSivaDataFilesOnce(t *testing.T) {
	var answer sivaFiles
	a, b, other := original.Document{Name: "a.txt", Content: []byte("a")}, original.Document{Name: "b.pdf", Content: []byte("a")},
		original.Document{Name: "a.txt", Content: []byte("other")}
	digest := original.Document{Name: "c", Digests: map[string][]byte{"SHA-256": nil}}
	if err := answer.add([]original.Document{a, digest}); err != nil {
		t.Error(err)
	}
	if err := answer.add([]original.Document{a, b, other}); err != nil || len(answer.DataFiles) != 3 {
		t.Errorf("%d files are given: %+v %v", len(answer.DataFiles), answer, err)
	}
	if answer.DataFiles[1].MimeType != "application/pdf" || answer.DataFiles[2].Size != 5 {
		t.Errorf("%+v", answer)
	}
	if err := answer.add([]original.Document{{Name: "d", Content: make([]byte, maxOriginals)}}); err == nil {
		t.Error("an answer without end")
	}
}

// TestSivaRefuses in SiVa's form: status 400 with the key.
func TestSivaRefuses(t *testing.T) {
	s := newService(t, nil)
	hash := `{"signatureFiles":[{"signature":"eA==","datafiles":[{"filename":"a","hashAlgo":%q,"hash":%q}]}]%s}`
	for _, test := range []struct{ path, body, key string }{
		{"/validate", `{"filename":"a"}`, "document"}, {"/validate", `{"document":"eA=="}`, "filename"},
		{"/validate", `{"document":"eA==","filename":"` + strings.Repeat("a", 256) + `"}`, "filename"},
		{"/validate", `{"document":"***","filename":"a"}`, "document"}, {"/validate", `{`, "document"},
		{"/validate", `{"document":"eA==","filename":"a","documentType":"XROAD"}`, "documentType"},
		{"/validate", `{"document":"eA==","filename":"a","signaturePolicy":"POLv9"}`, "signaturePolicy"},
		{"/validate", `{"document":"eA==","filename":"a","reportType":"Long"}`, "reportType"},
		{"/validate", `{"document":"` + strings.Repeat("A", 2000) + `"}`, "document"},
		{"/validateHashcode", `{"signatureFiles":[]}`, "signatureFiles"}, {"/validateHashcode", `{"signatureFiles":[{}]}`, "signatureFiles[0].signature"},
		{"/validateHashcode", `{"signatureFiles":[{"signature":"eA=="}` + strings.Repeat(`,{}`, maxSignatureFiles) + `]}`, "signatureFiles"},
		{"/validateHashcode", fmt.Sprintf(hash, "SHA9", "eA==", ""), "signatureFiles[0].datafiles[0].hashAlgo"},
		{"/validateHashcode", fmt.Sprintf(hash, "SHA256", "eA==", ""), "signatureFiles[0].datafiles[0].hash"},
		{"/validateHashcode", fmt.Sprintf(hash, "SHA1", "eA==", ""), "signatureFiles[0].datafiles[0].hash"},
		{"/validateHashcode", fmt.Sprintf(hash, "SHA256", "eA==", `,"reportType":"x"`), "reportType"},
		{"/getDataFiles", `{"document":"eA=="}`, "filename"},
	} {
		status, answer := s.siva(test.path, test.body)
		var got sivaErrors
		data, err := json.Marshal(answer)
		if err == nil {
			err = json.Unmarshal(data, &got)
		}
		if err != nil || status != http.StatusBadRequest || len(got.RequestErrors) != 1 || got.RequestErrors[0].Key != test.key || got.RequestErrors[0].Message == "" {
			t.Errorf("%s %.80s: %d %v", test.path, test.body, status, answer)
		}
	}
	// What is no fault of the request is told as everywhere.
	s.do = func(context.Context) (*verify.Report, error) { return nil, &verify.Fault{Reason: "secret"} }
	if status, answer, _ := s.post("/validate", "application/json", strings.NewReader(`{"document":"eA==","filename":"a"}`)); status != http.StatusInternalServerError ||
		strings.Contains(fmt.Sprint(answer), "secret") {
		t.Errorf("a fault: %d %v", status, answer)
	}
}

package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
	"trustcore/verify/original"
)

const dssOriginalsPath = "/services/rest/validation/getOriginalDocuments"

// originals asks for what a signature is about; more are further members of the request.
func (s *service) originals(document []byte, more string) (status int, list []remoteDocument, problem map[string]any) {
	s.t.Helper()
	body := fmt.Sprintf(`{"signedDocument":{"bytes":%q,"name":"a"}%s}`, base64.StdEncoding.EncodeToString(document), more)
	answer, err := http.Post(s.url+dssOriginalsPath, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode == http.StatusOK {
		err = json.Unmarshal(data, &list)
	} else if err == nil {
		err = json.Unmarshal(data, &problem)
	}
	if err != nil {
		s.t.Fatalf("%v: %.200s", err, data)
	}
	return answer.StatusCode, list, problem
}

// TestOriginals: what a signature is about is given back by its id or name, what was changed is not; a document without
// signatures has nothing, another id is refused by the name of the field.
func TestOriginals(t *testing.T) {
	w := newTown(t)
	letter := w.letter(t)
	_, reports := w.validate(letter, mint.Day.Add(time.Hour), "")
	id := dig(t, reports, "DiagnosticData", "Signature", 0, "Id").(string)
	for _, more := range []string{"", `,"signatureId":null`, `,"signatureId":"sig"`,
		fmt.Sprintf(`,"signatureId":%q`, id)} {
		status, list, problem := w.originals(letter, more)
		if status != http.StatusOK || len(list) != 1 || !bytes.Contains(list[0].Bytes, []byte("Zażalenie")) ||
			bytes.Contains(list[0].Bytes, []byte("SignatureValue")) || list[0].DigestAlgorithm != nil {
			t.Errorf("%s: %d %v %v", more, status, list, problem)
		}
	}
	forged := bytes.Replace(letter, []byte("Zażalenie"), []byte("Uchwałami"), 1)
	if status, list, _ := w.originals(forged, ""); status != http.StatusOK || list == nil || len(list) != 0 {
		t.Errorf("what was changed after signing is given as what was signed: %d %v", status, list)
	}
	if status, list, _ := w.originals([]byte("<a/>"), ""); status != http.StatusOK || list == nil || len(list) != 0 {
		t.Errorf("a document without signatures: %d %v", status, list)
	}
	if status, _, problem := w.originals(letter, `,"signatureId":"another"`); status != http.StatusBadRequest ||
		problem["field"] != "signatureId" {
		t.Errorf("another id: %d %v", status, problem)
	}
}

// TestOriginalsAreBounded: what would never fit into the answers is refused, not put off for ever; a digest takes the
// place of a file that was not given.
func TestOriginalsAreBounded(t *testing.T) {
	half := make([]byte, maxOriginals/2+1)
	if _, err := remotes([]original.Document{{Content: half}, {Content: half}}); err == nil {
		t.Error("more than fits is answered")
	}
	digests := map[string][]byte{"SHA-256": make([]byte, 32), "SHA-512": make([]byte, 64)}
	list, err := remotes([]original.Document{{Content: half}, {Name: "a", Digests: digests}})
	if err != nil || len(list) != 2 || len(list[1].Bytes) != 64 || *list[1].DigestAlgorithm != "SHA512" {
		t.Errorf("%v %v", list, err)
	}
}

// TestOriginalsOfRealDocuments: of the public samples those of DSS come back, by their names and sizes.
func TestOriginalsOfRealDocuments(t *testing.T) {
	s, corpus, _ := realCourt(t)
	for name, want := range map[string]string{
		"files/8a9f0b455e0d/11068_signed.xml": "#xmldsig-dbb9111d-f435-4ec3-834d-3d718e6807e1-keyinfo 3011, " +
			"xmldsig-dbb9111d-f435-4ec3-834d-3d718e6807e1-object0 209407",
		"files/02762bbae0ab/xades-with-multiple-alldatatimestamps.xml": "o-id-3a55849b930778fb31ee476f66a0dac7-1 165",
		"files/a2a9326f2e5a/document.signed.t.epes.xml":                "#root 1010",
		"files/501a3b78a947/Signature-X-CZ_SEF-5.xml":                  "SignedObjectsManifest 1954, #SignatureProperties 685, #KeyInfo 2085",
		"files/40b7017c6d87/X-E-ERS-MANIFEST.xml":                      "manifest 903",
		"files/b4ed6bcfb923/ASiC-E-CAdES-BpLTA-copied-arctst.sce":      "TEST-DOC.txt 20",
		"files/12aead842c18/C-E-ERS-two-er-mixed.p7m":                  " 11",
		"files/88e811b0aa9c/jades-two-sigs-copied-tst.json":            " 27",
		"files/20ad7870bed4/EE_T-no_QCStatement.xml":                   "#TEST-EE 129607",
		"files/0a805c920603/ValidLiveSignature.asice":                  "Tresting.txt 11",
		"files/70bba7599583/cades-lt-with-er.sce":                      "test.zip 154, empty.zip 146, test.txt 4",
		"files/146682823224/AsicsContainerNoMimetype.asics":            "junit7367983906776566041.tmp 10",
		"files/9c4c6a32e810/Signature-C-BES-4.p7m":                     " 10",
		"files/1222ac6dd25d/test-with-vri.pdf":                         " 66788",
		"files/04c78e261550/reason_and_location_Test.pdf":              " 1622",
		"files/c46934703bb8/pades_lt_two_valid_sig.pdf":                " 84246",
		"files/96ad809c4a13/pades-baseline-lta-live-aj.pdf":            " 8381",
		"files/9ea382dc406e/jades-with-spUserNotice.json":              " 27",
	} {
		document, err := os.ReadFile(filepath.Join(corpus, "signatures", name))
		if err != nil {
			t.Fatal(err)
		}
		status, list, problem := s.originals(document, "")
		var got []string
		for _, d := range list {
			title := ""
			if d.Name != nil {
				title = *d.Name
			}
			got = append(got, fmt.Sprint(title, " ", len(d.Bytes)))
		}
		if text := strings.Join(got, ", "); status != http.StatusOK || text != want {
			t.Errorf("%s: %d %q %v, want %q", filepath.Base(name), status, text, problem["detail"], want)
		}
	}
}

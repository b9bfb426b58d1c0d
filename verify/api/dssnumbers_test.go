package api

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
)

// TestReportsHideNumbers: no text of DSS's reports and of the ETSI report holds the personal number of the signer,
// whose certificate does.
func TestReportsHideNumbers(t *testing.T) {
	const number = "44051401359"
	w := newTown(t)
	w.officer = w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "ANNA " + number,
		SerialNumber: "PNOPL-" + number,
		Country:      []string{"PL"}}})
	status, answer := w.validate(w.letter(t), mint.Day.Add(time.Hour), "")
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, answer)
	}
	etsi, err := base64.StdEncoding.DecodeString(dig(t, answer, "validationReportDataHandler").(string))
	if err != nil {
		t.Fatal(err)
	}
	delete(answer, "validationReportDataHandler")
	reports, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"DSS": string(reports), "ETSI": string(etsi)} {
		if strings.Contains(text, number) {
			at := strings.Index(text, number)
			t.Errorf("%s: ...%s", name, text[max(0, at-80):at+20])
		}
		if !strings.Contains(text, "*******1359") {
			t.Errorf("%s: the signer is not there", name)
		}
	}
}

package verify

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/certificate"
	"trustcore/verify/internal/mint"
	"trustcore/verify/trace"
)

// TestNumbersOfOtherStates: neither the report nor its trace shows the number of a signer whom another state knows, in
// whichever attribute or file name it stands; whoever asks gets it.
func TestNumbersOfOtherStates(t *testing.T) {
	p := newPolish(t, nil)
	surname := pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 4}, Value: "KIVISILD"}
	for number, name := range map[string]pkix.Name{
		"37910015225":   {CommonName: "KIVISILD,KEIT,37910015225", SerialNumber: "37910015225", Country: []string{"EE"}},
		"1212121212121": {CommonName: "KEIT 1212121212121", SerialNumber: "PNOXX-1212121212121"}, // says nothing by itself
		"131052-308T":   {CommonName: "Keit 131052-308T", Country: []string{"FI"}},
	} {
		name.ExtraNames = []pkix.AttributeTypeAndValue{surname}
		signer := p.office.Issue(t, mint.Request{Subject: name})
		document := mint.XML{Signer: signer, At: mint.Day, Role: "I, " + number}.Sign(t, letter)
		for _, asked := range []bool{false, true} {
			b := budget.New(t.Context(), len(document))
			doc, err := Open(b, document)
			if err != nil {
				t.Fatal(err)
			}
			doc.Signatures[0].References[0].Name = "pismo_" + number + ".txt"
			r, err := conclude(b, doc, &Evidence{Lists: p.lists, Pins: p.pins}, DefaultPolicy(), mint.Day.Add(time.Hour),
				form{trace: true, numbers: asked})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(text), number); got != asked {
				at := strings.Index(string(text), number)
				t.Errorf("asked for: %v, %s is there: %v: %s", asked, number, got, text[max(0, at-80):max(0, at)])
			}
		}
	}
}

// TestNumbersCorpus: no report of a public sample shows what its certificates have for numbers of people.
func TestNumbersCorpus(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	run := trials[1]
	ev := corpusEvidence(t, corpus, run.lists)
	people := 0
	for _, s := range samples(t, corpus, run.oracle) {
		doc := openSample(t, corpus, s)
		if doc == nil {
			continue
		}
		r := judgeTraced(t, doc, ev, DefaultPolicy(), run.at)
		numbers := serialsOf(t, r.Trace)
		people += len(numbers)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range numbers {
			if strings.Contains(string(text), number) {
				at := strings.Index(string(text), number)
				t.Errorf("%s shows %s: %s", s.File, number, text[max(0, at-80):at])
			}
		}
	}
	if people < 100 {
		t.Errorf("%d certificates with a person's number, want a hundred", people)
	}
}

// serialsOf are the numbers in serialNumber of a trace's certificates that have a surname, without their semantics.
func serialsOf(t *testing.T, all *trace.Trace) (numbers []string) {
	t.Helper()
	for _, c := range all.Certificates {
		parsed, err := certificate.Parse(c.DER)
		if err != nil {
			t.Fatal(err)
		}
		number := parsed.Subject.SerialNumber()
		if at := strings.LastIndexAny(number, "-:"); at >= 0 {
			number = number[at+1:]
		}
		if parsed.Subject.Surname() != "" && len(number) > 6 {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

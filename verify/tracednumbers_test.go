package verify

import (
	"crypto/x509/pkix"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
)

// TestTraceHidesNumbers: no text of a trace holds a personal number, wherever the document brought it in; whoever asks
// gets it whole.
func TestTraceHidesNumbers(t *testing.T) {
	p := newPolish(t, nil)
	citizen := mint.Request{Subject: pkix.Name{CommonName: "ANNA PRZYKŁADOWA", Country: []string{"PL"},
		SerialNumber: "PNOPL-" + goodPESEL}}
	issuer := p.cohort.Issue(t, mint.Request{CA: true, Subject: pkix.Name{CommonName: "Urząd " + goodPESEL}})
	for name, document := range map[string][]byte{
		"subject":      mint.XML{Signer: p.cohort.Issue(t, citizen), At: mint.Day}.Sign(t, letter),
		"issuer":       mint.XML{Signer: issuer.Issue(t, citizen), At: mint.Day}.Sign(t, letter),
		"claimed role": p.seal(t, epSignature(goodPESEL)),
		"reason":       paper(t, p.minister, sheet(), reasonOf(goodPESEL)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, asked := range []bool{false, true} {
				b := budget.New(t.Context(), len(document))
				doc, err := Open(b, document)
				if err != nil {
					t.Fatal(err)
				}
				doc.Signatures[0].References[0].Name = "pismo " + goodPESEL + ".txt"
				r, err := conclude(b, doc, &Evidence{Lists: p.lists, Pins: p.pins}, DefaultPolicy(), mint.Day.Add(time.Hour),
					form{trace: true, numbers: asked})
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.Marshal(r.Trace)
				if err != nil {
					t.Fatal(err)
				}
				if got := strings.Contains(string(text), goodPESEL); got != asked || r.Trace.Numbers != asked {
					t.Errorf("asked for: %v, the number is there: %v, said: %v", asked, got, r.Trace.Numbers)
				}
				refersToKnown(t, r.Trace)
			}
		})
	}
}

package judge_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// told writes the blocks of past signature validation: what each came to for which day, and its constraints.
func told(t *testing.T, w *world, doc *signature.Document, at time.Time, crls ...[]byte) string {
	t.Helper()
	found, err := judge.Traced(budget.New(t.Context(), 0), doc, &judge.Evidence{Lists: w.lists, CRLs: crls}, w.policy, at)
	if err != nil {
		t.Fatal(err)
	}
	blocks := found.Steps.Blocks[found.Steps.IDs[doc.Signatures[0]]]
	var list []string
	for _, kind := range []trace.Kind{trace.PastSignatureValidation, trace.PastCertificateValidation, trace.ValidationTimeSliding} {
		i := slices.IndexFunc(blocks, func(b *trace.Block) bool { return b.Kind == kind })
		if i < 0 {
			continue
		}
		b := blocks[i]
		text := fmt.Sprintf("%s of day %d %s:", kind, int(b.Time.Sub(mint.Day).Hours()/24), b.Conclusion.Indication)
		for _, c := range b.Constraints {
			if kind == trace.PastCertificateValidation && c.Name != trace.Conclusive {
				continue
			}
			text += " " + c.Name + "=" + string(c.Status)
			if c.Block != "" {
				text += "(" + c.Block[strings.LastIndex(c.Block, "-")+1:] + ")"
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

// TestPastSignatureValidation: where something was concluded by a time before the validation, the trace has the blocks of
// 5.6.2, with what they rest on, and where nothing was, it has none.
func TestPastSignatureValidation(t *testing.T) {
	w := newWorld(t)
	later := dayOf(200)
	crl := w.ca.CRL(t, dayOf(150), nil)
	revoked := w.ca.CRL(t, dayOf(150), map[*x509.Certificate]time.Time{w.officer.Cert: dayOf(-1)})
	const slid = "VTS of day 200 PASSED: SatisfyingRevocation=OK ControlTime=OK"
	for _, c := range []struct {
		name   string
		stamps []time.Time
		crl    []byte
		want   string
	}{
		{"no proof", nil, crl, ""},
		{"in time", []time.Time{dayOf(0)}, crl, "PSV of day 0 PASSED: Conclusive=OK(XCV) ProofOfValue=OK; " + slid},
		{"after the revocation", []time.Time{dayOf(0)}, revoked,
			"PSV of day 0 INDETERMINATE: Conclusive=NOT OK(PCV) ProofOfValue=OK; PCV of day 0 INDETERMINATE: "},
		{"after the end", []time.Time{dayOf(190)}, crl,
			"PSV of day 190 INDETERMINATE: Conclusive=NOT OK(PCV) ProofOfValue=OK; PCV of day 190 INDETERMINATE: "},
	} {
		if got := told(t, w, w.signed(t, c.stamps...), later, c.crl); strings.TrimSpace(got) != strings.TrimSpace(c.want) &&
			!strings.HasPrefix(got, strings.TrimSpace(c.want)+" ") {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestValidationTimeSliding: the control time slides to the revocation of an authority, and what is not proven to be older
// says so of the certificate.
func TestValidationTimeSliding(t *testing.T) {
	for proven, want := range map[bool]string{
		true:  "VTS of day 20 PASSED: SatisfyingRevocation=OK SatisfyingRevocation=OK ControlTime=OK",
		false: "VTS of day 20 INDETERMINATE: SatisfyingRevocation=OK SatisfyingRevocation=NOT OK",
	} {
		w := newWorld(t)
		issuer := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "issuer"}, CA: true})
		w.officer = issuer.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "officer"}, From: dayOf(-100), To: dayOf(300)})
		upper := listOf(t, w.ca, dayOf(28), issuer.Cert, dayOf(20), keyCompromise)
		lower := issuer.CRL(t, dayOf(2), nil)
		doc := w.signed(t, dayOf(0), dayOf(3))
		s := doc.Signatures[0]
		s.Certificates, s.CRLs = append(s.Certificates, issuer.Cert.Raw), append(s.CRLs, lower)
		if archived(s); proven {
			archived(s, w.officer.Cert.Raw, issuer.Cert.Raw, lower)
			s.Timestamps[len(s.Timestamps)-1].Covers = append(s.Timestamps[len(s.Timestamps)-1].Covers, s.Value)
		}
		got := told(t, w, doc, dayOf(30), upper)
		if !strings.Contains(got, want) {
			t.Errorf("proven %t: %s, want %s", proven, got, want)
		}
	}
}

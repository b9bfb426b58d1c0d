package verify

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/verify/internal/mint"
)

// jargon is what a clerk need not know. The Polish kinds are the words of the law and stay.
var jargon = regexp.MustCompile(`(?i)\b(TOTAL-|INDETERMINATE|sub-?indication|ETSI|EN 319|CRL|OCSP|XAdES|CAdES|PAdES|ASiC|POE|proof of existence|TSA|TSU|hash|digest|skrót|SHA-?\d|X\.509|DER|ASN|revocation data|trust anchor|kotwic|LOTL|TSL|QSCD|Bool|nil|null)`)

func readMessages(t *testing.T, lang string) map[string]string {
	t.Helper()
	data, err := messages.ReadFile("messages/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// sentenceParts are the messages that stand within a sentence.
var sentenceParts = map[string]bool{"reason": true, "next": true, "covers": true, "why": true, "reference": true, "accepts": true}

// TestMessages compares the languages: the same keys and places to fill in, and no words of the trade.
func TestMessages(t *testing.T) {
	field := regexp.MustCompile(`{{[^}]*}}`)
	first := readMessages(t, Languages[0])
	for _, lang := range Languages {
		m := readMessages(t, lang)
		for key, text := range m {
			if word := jargon.FindString(field.ReplaceAllString(text, "")); word != "" {
				t.Errorf("%s: %s: %q is jargon: %s", lang, key, word, text)
			}
			if part := strings.SplitN(key, ".", 2)[0]; sentenceParts[part] && (strings.HasSuffix(text, ".") || text == capital(text)) {
				t.Errorf("%s: %s is no part of a sentence: %s", lang, key, text)
			}
			other, ok := first[key]
			if !ok {
				t.Errorf("%s: %s is not in %s", lang, key, Languages[0])
				continue
			}
			for _, f := range field.FindAllString(text, -1) {
				if !strings.Contains(other, f) {
					t.Errorf("%s: %s: %s is not in %s", lang, key, f, Languages[0])
				}
			}
		}
		if len(m) != len(first) {
			t.Errorf("%s has %d messages, %s %d", lang, len(m), Languages[0], len(first))
		}
		for sub := range reasons {
			if m["reason."+string(sub)] == "" || m["next."+string(sub)] == "" {
				t.Errorf("%s: nothing is said about %s", lang, sub)
			}
		}
	}
}

// TestSentences makes a sentence of every outcome: nothing stays unfilled, and the times are those of Warsaw.
func TestSentences(t *testing.T) {
	outcomes := []SignatureReport{{Indication: TotalPassed, Kind: KindQualified}}
	for sub := range reasons {
		outcomes = append(outcomes, SignatureReport{Indication: Indeterminate, SubIndication: sub, Kind: KindOther}, SignatureReport{Indication: TotalFailed, SubIndication: sub, Kind: KindSeal})
	}
	outcomes = append(outcomes, SignatureReport{Indication: Indeterminate, SubIndication: "NEW", Kind: KindTrusted})
	for _, kind := range []Kind{KindTrusted, KindPersonal, KindSeal, KindOther} {
		for _, qualification := range []string{"N/A", "QESeal", "AdESeal-QC", "AdESig-QC"} {
			outcomes = append(outcomes, SignatureReport{Indication: TotalPassed, Kind: kind, Qualification: qualification})
		}
	}
	for _, r := range outcomes {
		r.BestSignatureTime = mint.Day.Add(time.Minute)
		for _, signer := range []Signer{{}, {GivenName: "Anna", Surname: "Przykładowa"}, {Organization: "Urząd Miasta Przykładowo"}} {
			r.Signer = signer
			r.explain(told{})
			for lang, text := range r.Sentence {
				rows := r.Rows[lang]
				for _, text := range []string{text, rows.Integrity, rows.Signatory, rows.Kind, rows.Time, rows.Trust} {
					if strings.ContainsAny(text, "[{<") || text == "" || jargon.MatchString(text) {
						t.Errorf("%s, %s %s: %s", lang, r.Indication, r.SubIndication, text)
					}
				}
				if strings.Count(text, ". ") > strings.Count(text, "r., ") || !strings.HasSuffix(text, ".") {
					t.Errorf("%s: more than one sentence: %s", lang, text)
				}
				want := map[string]string{"pl": "1 marca 2026 r., godz. 13:01", "en": "1 March 2026, 13:01"}[lang]
				if r.Indication == TotalPassed && !strings.Contains(text, want) || !strings.Contains(rows.Time, want) {
					t.Errorf("%s: no time of Warsaw: %s", lang, text)
				}
				if next := r.Next[lang]; (next == "") != (r.Indication == TotalPassed) || strings.Contains(next, "[") {
					t.Errorf("%s, %s %s: to do is %q", lang, r.Indication, r.SubIndication, next)
				}
			}
		}
	}
}

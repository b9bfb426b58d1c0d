package poland

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"trustcore/internal/pesel"
	"trustcore/verify/person"
)

func TestMask(t *testing.T) {
	for text, want := range map[string]string{
		"CN=ANNA,serialNumber=PNOPL-44051401359,C=PL": "CN=ANNA,serialNumber=PNOPL-*******1359,C=PL",
		"serialNumber=PNOEE-38001085718":              "serialNumber=PNOEE-*******5718",
		"serialNumber=TINPL-0007315126":               "serialNumber=TINPL-*******5126",
		"serialNumber=PESEL: 44051401359":             "serialNumber=PESEL: *******1359",
		"serialNumber=IDCPL-ABC123456":                "serialNumber=IDCPL-*******3456",
		"w imieniu: ANNA, PESEL: 44051401359, PZ ID":  "w imieniu: ANNA, PESEL: *******1359, PZ ID",
		"PESEL 44051401358":                           "PESEL *******1358",
		"NIP: 0007315126":                             "NIP: *******5126",
		"ANNA 44051401359":                            "ANNA *******1359",
		"KIVISILD,KEIT,37910015225":                   "KIVISILD,KEIT,*******5225",
		"serialNumber=TINIT-SGSBCB99C08L781X":         "serialNumber=TINIT-*******781X",
		"serialNumber=PNOFI-131052-308T":              "serialNumber=PNOFI-*******308T",
		"OU=EGN:8205301708":                           "OU=EGN:*******1708",
		"wniosek_44051401359.xml":                     "wniosek_*******1359.xml",
		"number 44051401358, which is none":           "number 44051401358, which is none",
		"a part of 1440514013591":                     "a part of 1440514013591",
		"organizationIdentifier=VATPL-5252955037":     "organizationIdentifier=VATPL-5252955037",
		"2026-03-01 12:00 1.2.616.1.113791.1.2.3":     "2026-03-01 12:00 1.2.616.1.113791.1.2.3",
		"": "",
	} {
		if got := Mask(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// searched is what Mask does, by a search of the whole text.
var searched = regexp.MustCompile(`(?i)((?:PNO|TIN|IDC|PAS|TAX)[A-Z]{2}[-: ]+|PESEL[A-Z]{0,2}\W{1,3}|\bNIP\W{1,3}|` +
	`(?:EGNT?|CNP|OIB|JMBG|EMSO): ?)([0-9]{6}[-+/][0-9]{3,5}[A-Z]?|[0-9A-Z]*[0-9][0-9A-Z]*)|[0-9]{11,}`)

func maskBySearch(text string) string {
	if digitCount(text) < leastDigits {
		return text
	}
	out, last := "", 0
	for _, m := range searched.FindAllStringSubmatchIndex(text, -1) {
		from, to := m[0], m[1]
		if m[2] >= 0 {
			from = m[4]
		} else if !pesel.Valid(text[from:to]) && !person.Evident(text[from:to]) {
			continue
		}
		out, last = out+text[last:from]+Masked(text[from:to]), to
	}
	return out + text[last:]
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{"PNOPL-44051401359 44051401359", "ſPEſELſſ\u2028\u2028\u202812345ſ", "paſPL:  A1 12345",
		"_NIP-12345 1NIP-12345 -nip: 12345\u212a", "44051401359PESEL44051401359", "PESEL----12345 tinplPESEL-12345",
		"00000NIP\xff\xfe1 IDCPL-PNOPL-1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked := Mask(text)
		if want := maskBySearch(text); masked != want {
			t.Errorf("%q: %q, a search of the whole finds %q", text, masked, want)
		}
		if len(masked) > 8*len(text)+16 || Mask(masked) != masked {
			t.Errorf("%q: %q, then %q", text, masked, Mask(masked))
		}
	})
}

// TestShipped: the list that comes with the program has the minister's seal and the root of the cards, and no cohorts.
func TestShipped(t *testing.T) {
	p := Shipped()
	if !p.Shipped || p.Date == "" || len(p.Digest) != 64 || len(p.Seals) != 1 || p.root == nil || len(p.Cohorts) != 0 || len(p.Anchors()) != 1 {
		t.Errorf("%+v", p)
	}
	if again, err := Parse(ShippedSource()); err != nil || again.Digest != p.Digest || !again.Shipped {
		t.Errorf("%+v %v", again, err)
	}
}

// TestPinsNeedTheirFields: what a pin needs must be there.
func TestPinsNeedTheirFields(t *testing.T) {
	change := func(path string, value any) []byte {
		var all map[string]any
		if err := json.Unmarshal(shipped, &all); err != nil {
			t.Fatal(err)
		}
		var at any = all
		steps := strings.Split(path, ".")
		for i, step := range steps {
			m := at.(map[string]any)
			if i < len(steps)-1 {
				if at = m[step]; at == nil {
					t.Fatal(path)
				}
				if list, ok := at.([]any); ok {
					at = list[0]
				}
			} else if value == nil {
				delete(m, step)
			} else {
				m[step] = value
			}
		}
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	archive := map[string]any{"name": "a", "pem": "", "signed_from": "2009-01-01", "signed_until": "2010-01-01"}
	for _, c := range []struct {
		data []byte
		says string
	}{
		{change("version", 2), "version"}, {change("version", nil), "version"},
		{change("trusted_profile_seals.certificate_sha256", nil), "certificate_sha256"},
		{change("trusted_profile_seals.spki_sha256", nil), "spki_sha256"},
		{change("trusted_profile_seals.issuer_spki_sha256", nil), "issuer_spki_sha256"},
		{change("trusted_profile_seals.spki_sha256", "d4518e"), "SHA-256"},
		{change("trusted_profile_seals.signed_from", nil), "signed_from"},
		{change("trusted_profile_seals.signed_until", nil), "signed_until"},
		{change("trusted_profile_seals.signed_until", "2020-01-01"), "before signed_from"},
		{change("trusted_profile_seals.formats", nil), "formats"},
		{change("trusted_profile_seals.formats", []string{"xades"}), "formats"},
		{change("listed_seals.common_name", nil), "common_name"},
		{change("listed_seals.signed_until", nil), "signed_until"},
		{change("personal_signature.root", nil), "root"},
		{change("personal_signature.root.sha256", nil), "sha256"},
		{change("personal_signature.root.sha256", strings.Repeat("0", 64)), "sha256"},
		{change("personal_signature.root.pem", "x"), "pem"},
		{change("personal_signature.issuers", []any{map[string]any{"issued_from": "2019-01-01"}}), "spki_sha256"},
		{change("personal_signature.issuers", []any{map[string]any{"issued_from": "2019-01-01", "spki_sha256": strings.Repeat("1", 64),
			"root_spki_sha256": strings.Repeat("1", 64)}}), "root_spki_sha256"},
		{change("archive", []any{archive}), "archive[0]"},
		{change("receipt_issuers", []any{map[string]any{"signed_from": "2009-01-01", "signed_until": "2010-01-01"}}), "receipt_issuers[0]"},
		{change("documents", []any{map[string]any{"type": "upo"}}), "documents[0]"},
		{[]byte("{"), "not as it must be"}, {bytes.Repeat([]byte(" "), MaxPins+1), "at most"},
	} {
		if _, err := Parse(c.data); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("want an error about %q, got %v", c.says, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"archive":[{"pem":"","signed_from":"2009-01-01"}]}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if p, err := Parse(data); err == nil {
			p.Anchors()
		}
	})
}

func TestCards(t *testing.T) {
	cards, err := ParseCards([]byte("version: 1\ncards:\n- id: a\n  name: {pl: Podatki}\n  accepts: [qualified, seal]\n- {id: b, accepts: [trusted], days: 30}\n"))
	if err != nil || len(cards) != 2 || cards["a"].Days != 7 || cards["b"].Days != 30 || cards["a"].NameIn("pl") != "Podatki" || cards["a"].NameIn("en") != "a" {
		t.Errorf("%+v %v", cards, err)
	}
	if _, err := ParseCards([]byte(`{"version": 1, "cards": [{"id": "a", "accepts": ["personal"]}]}`)); err != nil {
		t.Error(err)
	}
	for text, says := range map[string]string{
		"version: 2\ncards: [{id: a, accepts: [seal]}]": "version",
		"version: 1": "1 to",
		"version: 1\ncards: [{id: a, accepts: []}]":                               "accepts",
		"version: 1\ncards: [{id: a, accepts: [other]}]":                          "accepts",
		"version: 1\ncards: [{id: a, accepts: [seal, seal]}]":                     "accepts",
		"version: 1\ncards: [{id: 'a b', accepts: [seal]}]":                       "id",
		"version: 1\ncards: [{id: a, accepts: [seal], days: 6}]":                  "at least 7",
		"version: 1\ncards: [{id: a, accepts: [seal], days: 366}]":                "at most",
		"version: 1\ncards: [{id: a, accept: [seal]}]":                            "accept",
		"version: 1\ncards: [{id: a, accepts: [seal]}]\n---\na: b\n":              "more than one",
		"version: 1\ncards: [{id: a, accepts: [seal]}, {id: a, accepts: [seal]}]": "twice",
	} {
		if _, err := ParseCards([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
		}
	}
}

func FuzzParseCards(f *testing.F) {
	f.Add([]byte("version: 1\ncards:\n- id: a\n  accepts: [qualified]\n"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = ParseCards(data) })
}

func TestDecide(t *testing.T) {
	card := &Card{ID: "a", Accepts: []Kind{Qualified, Trusted, Seal}, Days: LeastDays}
	good := Filed{Kind: Qualified, Qualified: true, Standing: Confirmed, Whole: true}
	with := func(edit func(*Filed)) Filed { f := good; edit(&f); return f }
	open := with(func(f *Filed) { f.Standing = Open })
	part := with(func(f *Filed) { f.Whole = false })
	other := with(func(f *Filed) { f.Kind = Other })
	personal := with(func(f *Filed) { f.Kind = Personal })
	seal := with(func(f *Filed) { f.Kind = Seal })
	plainSeal := with(func(f *Filed) { f.Kind, f.Qualified = Seal, false })
	unproven := with(func(f *Filed) { f.Standing = Unproven })
	lacking := with(func(f *Filed) { f.Standing, f.Lacking = Unproven, true })
	failed := with(func(f *Filed) { f.Standing, f.Failed = Unproven, true })
	for _, c := range []struct {
		name    string
		filing  Filing
		outcome Outcome
		why     Why
	}{
		{"none", Filing{}, FormalDefect, WhyUnsigned}, {"cut", Filing{Cut: true}, Undecided, WhyCut},
		{"good", Filing{Signatures: []Filed{good}}, Accepted, ""}, {"seal", Filing{Signatures: []Filed{seal}}, Accepted, ""},
		{"plain seal", Filing{Signatures: []Filed{plainSeal}}, FormalDefect, WhyKind},
		{"other", Filing{Signatures: []Filed{other}}, FormalDefect, WhyKind}, {"not on the card", Filing{Signatures: []Filed{personal}}, FormalDefect, WhyKind},
		{"open", Filing{Signatures: []Filed{open}}, Undecided, WhyUnconfirmed}, {"part", Filing{Signatures: []Filed{part}}, Undecided, WhyPart},
		{"unproven", Filing{Signatures: []Filed{unproven}}, FormalDefect, WhyUnproven}, {"lacking", Filing{Signatures: []Filed{lacking}}, Undecided, WhyUnconfirmed},
		{"failed", Filing{Signatures: []Filed{failed}}, FormalDefect, WhyFailed}, {"receipt", Filing{Signatures: []Filed{good}, Receipt: true}, FormalDefect, WhyReceipt},
		{"good and other", Filing{Signatures: []Filed{other, good}}, Accepted, ""}, {"good and unproven", Filing{Signatures: []Filed{good, unproven}}, Accepted, ""},
		{"good and failed", Filing{Signatures: []Filed{good, failed}}, Undecided, WhyOneFailed}, {"failed and good", Filing{Signatures: []Filed{failed, good}}, Undecided, WhyOneFailed},
		{"open and other", Filing{Signatures: []Filed{other, open}}, Undecided, WhyUnconfirmed},
	} {
		if d := card.Decide(c.filing); d.Outcome != c.outcome || d.Why != c.why {
			t.Errorf("%s: %+v, want %s %s", c.name, d, c.outcome, c.why)
		}
	}
}

package poland_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"

	"trustcore/verify/certificate"
	"trustcore/verify/poland"
)

var (
	surname   = asn1.ObjectIdentifier{2, 5, 4, 4}
	givenName = asn1.ObjectIdentifier{2, 5, 4, 42}
	pseudonym = asn1.ObjectIdentifier{2, 5, 4, 65}
	qualifier = asn1.ObjectIdentifier{2, 5, 4, 46}
	orgID     = asn1.ObjectIdentifier{2, 5, 4, 97}
)

func attribute(t asn1.ObjectIdentifier, value string) pkix.AttributeTypeAndValue {
	return pkix.AttributeTypeAndValue{Type: t, Value: value}
}

// subject is a name as a certificate holds it.
func subject(t *testing.T, n pkix.Name, more ...pkix.AttributeTypeAndValue) certificate.Name {
	t.Helper()
	n.ExtraNames = more
	der, err := asn1.Marshal(n.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	name, err := certificate.ParseName(der)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestNumbersOfPersons: what a person's certificate has for a number is hidden wherever it stands, whatever state gave
// it; the rest of the names stays.
func TestNumbersOfPersons(t *testing.T) {
	person := func(serial, common string) (pkix.Name, pkix.AttributeTypeAndValue) {
		return pkix.Name{SerialNumber: serial, CommonName: common}, attribute(surname, "X")
	}
	for _, c := range []struct{ serial, common, shown string }{
		{"37910015225", "KIVISILD,KEIT,37910015225", "KIVISILD,KEIT,*******5225"},
		{"PNOEE-11404176860", "ŽÕRINÜWŠKY,MÄRÜ-LÖÖZ,11404176860", "ŽÕRINÜWŠKY,MÄRÜ-LÖÖZ,*******6860"}, // checks nothing
		{"PNOFI-131052-308T", "Testi 131052-308T", "Testi *******308T"},
		{"131052-308T", "Testi 131052-308T", "Testi *******308T"},
		{"IT:SGSBCB99C08L781X", "SGSBCB99C08L781X 2019", "*******781X 2019"},
		{"IDCES-99999990S", "CIUDADANO FICTICIO - 99999990S", "CIUDADANO FICTICIO - *******990S"},
		{"BI128383275", "ANDRÉ bi128383275", "ANDRÉ *******3275"},
		{"PASSK-P3000180", "Jana P3000180", "Jana *******0180"},
		{"TINIT-SGSBCB99C08L781X", "BANCOBPM SGSBCB99C08L781X", "BANCOBPM *******781X"},
		{"FI:DE:1234567-A", "Aaa 1234567-A", "Aaa *******67-A"},
		{"", "ANNA 811228-9874", "ANNA *******9874"},
		{"", "NOVÁK 710319/2745", "NOVÁK *******2745"},
		{"", "Horvat 69435151530", "Horvat *******1530"},
		{"", "GARCIA JUAN - NIF 12345678Z", "GARCIA JUAN - NIF *******678Z"},
		{"7", "Office 7 of 7", "Office 7 of 7"},
		{"20250811", "Jan Kowalski", "Jan Kowalski"},
	} {
		var n poland.Numbers
		name, sn := person(c.serial, c.common)
		n.Add(subject(t, name, sn))
		if got := n.Hide(c.common); got != c.shown {
			t.Errorf("%q of a person %q: %q, want %q", c.common, c.serial, got, c.shown)
		}
		if text := n.Hide("serialNumber=" + c.serial + ",SN=X"); len(c.serial) > 7 && strings.Contains(text, c.serial) {
			t.Errorf("the subject says %q", text)
		}
	}
	for _, more := range []pkix.AttributeTypeAndValue{attribute(givenName, "X"), attribute(pseudonym, "X")} {
		var n poland.Numbers
		n.Add(subject(t, pkix.Name{SerialNumber: "ABC123456"}, more, attribute(qualifier, "-dni 12345678Z")))
		if got := n.Hide("ABC123456, pismo_12345678z.pdf"); got != "*******3456, pismo_*******678z.pdf" {
			t.Errorf("by %v: %q", more.Type, got)
		}
	}
}

// TestNumbersOfOthersStay: numbers of organizations, of authorities' certificates, and what looks like a number beside
// a person's stay.
func TestNumbersOfOthersStay(t *testing.T) {
	var n poland.Numbers
	n.Add(subject(t, pkix.Name{CommonName: "AS Sertifitseerimiskeskus 10747013", SerialNumber: "10747013"},
		attribute(orgID, "NTREE-10747013")))
	n.Add(subject(t, pkix.Name{CommonName: "Bank", Organization: []string{"BANCO/09722490969"},
		SerialNumber: "VATIT-09722490969"}, attribute(surname, "X")))
	n.Add(subject(t, pkix.Name{CommonName: "Anna 123", SerialNumber: "PNOPL-44051401359",
		Organization: []string{"Gmina 000000018"}}, attribute(surname, "X"), attribute(orgID, "VATPL-5252955037")))
	for _, text := range []string{
		"AS Sertifitseerimiskeskus 10747013", "organizationIdentifier=NTREE-10747013", "O=BANCO BPM/09722490969",
		"VATPL-5252955037",
		"CIF Q2811001C", "REGON 000000018", "KRS 0000028098", "IČ 47114983", "CPJ-4-000-004017",
		"2026-11-28T18:17:37.277571593Z", "scan-20250811-1234.pdf", "IMG_1701231234567.jpg", "et10_0123456789!#$%.bdoc",
		"1.2.616.1.113791.1.2.3", "000521281b0e/DIGIDOC-XML1.3_hashcode.ddoc", "T-004600e78a200508097c1270",
		"SHA-256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"Signature-P-LT-ef971596-8f2e-407d-a413-aae9cb9b8e4a.pdf",
		"serial 340282366920938463463374607431768211455", "Telefon +359 2 9 215 100", "7 dni 2026", "Anna 123",
	} {
		if got := n.Hide(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := n.Hide("Anna 44051401359"); got != "Anna *******1359" {
		t.Errorf("%q", got)
	}
}

// TestHideIsBounded: what a hostile document makes of names and texts costs no more than their length.
func TestHideIsBounded(t *testing.T) {
	var n poland.Numbers
	n.Add(subject(t, pkix.Name{CommonName: strings.Repeat("131052-308T ", 5000)}, attribute(surname, "X")))
	text := strings.Repeat("1-", 50_000) + "131052-308T"
	if got := n.Hide(text); !strings.HasSuffix(got, "1-1-*******308T") {
		t.Errorf("...%q", got[len(got)-40:])
	}
}

package signerinfo

import "testing"

func TestPassedOff(t *testing.T) {
	for text, want := range map[string]bool{
		`<ds:SignedInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`: true, "<SignedInfo>": true, "<SignedInformation>": false, "<pismo>SignedInfo</pismo>": false,
		"eyJhbGciOiJSUzI1NiJ9.dW1vd2E": true, "umowa.pdf": false, "v1.2": false, "": false,
	} {
		if got := passedOff([]byte(text)) != ""; got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

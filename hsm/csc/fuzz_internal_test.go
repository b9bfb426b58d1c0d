package csc

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest demands of every body that it is refused, or read as what can be signed.
func FuzzRequest(f *testing.F) {
	const hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, seed := range []string{
		`{}`, `{"credentialID":"x","hash":["` + hash + `"],"numSignatures":1}`,
		`{"credentialID":"x","hashes":["` + hash + `"],"hashAlgorithmOID":"2.16.840.1.101.3.4.2.1","numSignatures":1}`,
		`{"credentialID":"x","hash":["` + hash + `","` + hash + `"],"signAlgo":"1.2.840.10045.4.3.2","numSignatures":2}`,
		`{"hash":["` + hash + `"],"signAlgo":"1.2.840.113549.1.1.10","signAlgoParams":"MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg"}`,
		`{"hash":["` + hash + `"],"signAlgo":"1.2.840.113549.1.1.10","signAlgoParams":"MAA="}`,
		`{"hash":[],"hash":[]}`, `{"numSignatures":1e0}`, "\xef\xbb\xbf{}", `[[[[`, `{"hash":["` + hash + `"],"hashes":null}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/csc/v1/credentials/authorize", strings.NewReader(text))
		in, err := readBody(r)
		if err != nil {
			return
		}
		if m, err := in.mechanism(); (err == nil) != (m.Code() != 0) {
			t.Errorf("%q is signed by %q, %v", text, m, err)
		}
		c := &call{Request: r, version: v1, in: in}
		a, err := c.activation()
		if err != nil {
			return
		}
		for _, h := range a.hashes {
			if hashOf(len(h)) == 0 || len(h) != len(a.hashes[0]) || a.hash != 0 && a.hash.Size() != len(h) || a.credential == "" {
				t.Errorf("%q is authorized as %+v", text, a)
			}
		}
	})
}

package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
)

// FuzzDecrypt demands of every body that it is refused with a status of the client's and a reason, or read as what may
// be decrypted and nothing else: a ciphertext as long as a modulus, by a mechanism that decrypts, once.
func FuzzDecrypt(f *testing.F) {
	whole := base64.StdEncoding.EncodeToString(make([]byte, 256))
	for _, seed := range []string{
		`{"mechanism":"RSA-OAEP-SHA1","ciphertext":"` + whole + `"}`,
		`{"mechanism":"RSA-OAEP-SHA256","ciphertext":"` + whole + `","document":"upo"}`,
		`{"mechanism":"RSA-PKCS1-SHA256","ciphertext":"` + whole + `"}`,
		`{"mechanism":"RSA-OAEP-SHA1","ciphertext":"` + whole + `","digest":"` + whole[:44] + `"}`,
		`{"mechanism":"RSA-OAEP-SHA1","ciphertext":"` + whole + `"}{}`,
		`{"mechanism":"RSA-OAEP-SHA1","ciphertext":"` + strings.Repeat("A", 4<<10) + `"}`,
		`{"mechanism":"RSA-OAEP-SHA1","mechanism":"RSA-PKCS1-SHA256","ciphertext":[0,1,2]}`,
		`{"MECHANISM":"RSA-OAEP-SHA1","ciphertext":null}`, `{"mechanism":"RSA-OAEP-SHA1","ciphertext":"AAAA"}`, `[[[[`, `{}`, "\xef\xbb\xbf{}", `{"document":"` + "\u202e" + `"}`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		limit := budgettest.Limit{Time: time.Second, TimeAnOctet: 100 * time.Microsecond, Alloc: 1 << 20, AllocAnOctet: 256}
		budgettest.Check(t, len(body), limit, func() {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/keys/x/decrypt", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			u, in := &use{keyID: strings.Repeat("0", 32), decrypts: true}, decryptRequest{}
			p := u.read(r, maxBody, &in)
			if p == nil {
				p = u.takeCiphertext(in)
			}
			if p != nil {
				if p.Status < 400 || p.Status > 499 || u.ciphertext != nil || len(u.digests) > 0 {
					t.Errorf("%q is refused as %+v, with %+v", body, p, u)
				}
				return
			}
			digest := sha256.Sum256(u.ciphertext)
			if !u.mechanism.Decrypts() || len(u.ciphertext) < 256 || len(u.ciphertext) > 512 || len(u.digests) != 1 || !bytes.Equal(u.digests[0], digest[:]) ||
				!json.Valid(body) {
				t.Errorf("%q is decrypted as %+v", body, u)
			}
		})
	})
}

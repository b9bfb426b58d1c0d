package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/internal/cms"
)

// remote is an office's application at the API of the Cloud Signature Consortium.
type remote struct {
	*outside
	holder string
	token  string
}

// call calls a method of version 1 and returns the answer's status and fields.
func (r *remote) call(method string, fields map[string]any) (int, map[string]any) {
	r.t.Helper()
	text, err := json.Marshal(fields)
	r.must(err)
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url("gateway")+"/csc/v1/"+method, bytes.NewReader(text))
	r.must(err)
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	return r.send(request)
}

func (r *remote) send(request *http.Request) (int, map[string]any) {
	r.t.Helper()
	response, err := r.client(r.holder).Do(request)
	r.must(err)
	defer response.Body.Close()
	var said map[string]any
	r.must(json.NewDecoder(response.Body).Decode(&said))
	return response.StatusCode, said
}

// authenticate gets a token.
func (r *remote) authenticate() {
	r.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"ezd"}}
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url("gateway")+"/csc/v1/oauth2/token", strings.NewReader(form.Encode()))
	r.must(err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, said := r.send(request)
	if status != http.StatusOK {
		r.t.Fatalf("token: %d %v", status, said)
	}
	r.token = said["access_token"].(string)
}

// remoteOffice is an enrolled office with a key.
func remoteOffice(t *testing.T, keys string) *remote {
	t.Helper()
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, ezd, keys, inYears(1)), ezd)
	return &remote{outside: o, holder: ezd}
}

// Signatures and time-stamps by the API, until a change order takes the authorisation back: then neither the token nor SAD
// that were given before open anything.
func TestRemoteSigning(t *testing.T) {
	r := remoteOffice(t, key("seal", ""))
	r.authenticate()
	_, said := r.call("credentials/list", map[string]any{})
	ids, _ := said["credentialIDs"].([]any)
	if len(ids) != 1 {
		t.Fatalf("credentials: %v", said)
	}
	digest := sha256.Sum256([]byte("pismo"))
	hash := base64.StdEncoding.EncodeToString(digest[:])
	authorize := map[string]any{"credentialID": ids[0], "hash": []string{hash}, "numSignatures": 1}
	sign := func() (int, map[string]any) {
		_, said := r.call("credentials/authorize", authorize)
		return r.call("signatures/signHash", map[string]any{"credentialID": ids[0], "hash": []string{hash}, "SAD": said["SAD"], "signAlgo": "1.2.840.10045.4.3.2"})
	}
	if status, said := sign(); status != http.StatusOK {
		t.Fatalf("%d %v", status, said)
	}
	status, said := r.call("signatures/timestamp", map[string]any{"hash": hash, "hashAlgo": "2.16.840.1.101.3.4.2.1", "nonce": "4711"})
	if status != http.StatusOK {
		t.Fatalf("time-stamp: %d %v", status, said)
	}
	der, err := base64.StdEncoding.DecodeString(said["timestamp"].(string))
	r.must(err)
	token, err := cms.Parse(der)
	r.must(err)
	info, err := cms.ParseTSTInfo(token.Content.Bytes())
	if err != nil || !bytes.Equal(info.Imprint, digest[:]) || info.Nonce.Int64() != 4711 {
		t.Errorf("time-stamp: %+v, %v", info, err)
	}

	_, given := r.call("credentials/authorize", authorize)
	r.off("ZZ-1", "components: [B_HSM]\n")
	for method, fields := range map[string]map[string]any{
		"credentials/list":    {},
		"signatures/signHash": {"credentialID": ids[0], "hash": []string{hash}, "SAD": given["SAD"], "signAlgo": "1.2.840.10045.4.3.2"},
	} {
		if status, said := r.call(method, fields); status != http.StatusForbidden || said["error"] != "access_denied" || said["signatures"] != nil {
			t.Errorf("%s after the change order: %d %v", method, status, said)
		}
	}
}

// The lines that docs/programs.md says to type for remote signing do what it says.
func TestRemoteSigningByTheManual(t *testing.T) {
	for _, program := range []string{"curl", "jq", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	manual, err := os.ReadFile("../../docs/programs.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```bash\n(.*?)```").FindAllStringSubmatch(string(manual), -1)
	if len(blocks) != 1 {
		t.Fatalf("%d blocks", len(blocks))
	}
	r := remoteOffice(t, key("seal", ""))
	c := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", blocks[0][1])
	c.Dir = r.folder()
	c.Env = append(os.Environ(), "CSC="+r.url("gateway")+"/csc/v1")
	if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "Verified OK") {
		t.Errorf("%v\n%s", err, out)
	}
}

// folder is one as trustlink's state folder is, of the office.
func (r *remote) folder() string {
	r.t.Helper()
	dir, id := r.t.TempDir(), r.identity(r.holder)
	for from, to := range map[string]string{id.Certificate: "certificate.pem", id.Key: "tls.key", id.CA: "ca.pem"} {
		data, err := os.ReadFile(from)
		r.must(err)
		r.must(os.WriteFile(filepath.Join(dir, to), data, 0o600))
	}
	return dir
}

const rsaKey = "    - {name: seal, algorithm: RSA-3072, mechanisms: [RSA-PKCS1-SHA256]}\n"

// TestPyHanko has pyHanko's own client, unmodified, seal a PDF by both versions of the API. pyHanko finds the seals valid and
// trusted, and so do trustctl and, where TRUSTCORE_DSS names a command that takes FILE --anchors PEM, the Commission's DSS.
func TestPyHanko(t *testing.T) {
	python := os.Getenv("TRUSTCORE_PYHANKO")
	if python == "" {
		t.Skip("TRUSTCORE_PYHANKO does not name a python that has pyHanko: make conformance does")
	}
	for name, keys := range map[string]string{"P-256": key("seal", ""), "RSA-3072": rsaKey} {
		t.Run(name, func(t *testing.T) {
			r := remoteOffice(t, keys)
			dir := r.folder()
			in := filepath.Join(dir, "pismo.pdf")
			r.must(os.WriteFile(in, []byte(smallPDF), 0o600))
			file := func(name string) string { return filepath.Join(dir, name) }
			args := []string{"testdata/pyhanko_csc.py", r.url("gateway"), r.uses(ezd)["seal"].ID, file("certificate.pem"), file("tls.key"),
				file("ca.pem"), "ezd", in, file("sealed.pdf")}
			for _, list := range []string{"root.crl", "issuing.crl"} {
				a := r.ask(http.DefaultClient, http.MethodGet, r.url("pki")+"/pki/crl/"+list, nil)
				r.must(os.WriteFile(file(list), a.body, 0o600))
				args = append(args, file(list))
			}
			if out, err := exec.CommandContext(t.Context(), python, args...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, version := range []string{"v1", "v2"} {
				r.intact(file("sealed.pdf."+version), file("ca.pem"))
			}
		})
	}
}

// smallPDF is one page without anything on it.
const smallPDF = "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n" +
	"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Resources<<>>>>endobj\n" +
	"xref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n178\n%%EOF\n"

// intact has other verifiers judge a sealed PDF, by its own evidence and the anchors.
func (r *remote) intact(sealed, anchors string) {
	r.t.Helper()
	if bin := os.Getenv("TRUSTCORE_BIN"); bin != "" {
		out, err := exec.CommandContext(r.t.Context(), filepath.Join(bin, "trustctl"), "verify", "--json", "--anchors", anchors, sealed).Output()
		if err != nil || !strings.Contains(string(out), `"indication":"TOTAL-PASSED"`) {
			r.t.Errorf("trustctl: %v\n%s", err, out)
		}
	}
	if dss := os.Getenv("TRUSTCORE_DSS"); dss != "" {
		out, err := exec.CommandContext(r.t.Context(), dss, "verify-file", sealed, "--anchors", anchors, "--at", time.Now().UTC().Format(time.RFC3339)).CombinedOutput()
		if err != nil || !strings.Contains(strings.ReplaceAll(string(out), "_", "-"), "TOTAL-PASSED") {
			r.t.Errorf("DSS: %v\n%s", err, out)
		}
	}
}

package vectors

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"
)

// run judges the lines and returns the answers by id.
func run(t *testing.T, lines ...string) map[string]map[string]any {
	t.Helper()
	var out bytes.Buffer
	if err := Run(context.Background(), strings.NewReader(strings.Join(lines, "\n")), &out); err != nil {
		t.Fatal(err)
	}
	answers := map[string]map[string]any{}
	for line := range strings.Lines(out.String()) {
		var a map[string]any
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		answers[fmt.Sprint(a["id"])] = a
	}
	return answers
}

// minted returns a root and a leaf below it, base64.
func minted(t *testing.T) (root, leaf string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	top := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotAfter: time.Unix(2e9, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	below := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Unix(2e9, 0)}
	create := func(c *x509.Certificate) string {
		der, err := x509.CreateCertificate(rand.Reader, c, top, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	}
	return create(top), create(below)
}

func TestBrokenLinesAreAnsweredAndTheNextIsRead(t *testing.T) {
	root, leaf := minted(t)
	good := fmt.Sprintf(`{"id":"good","kind":"chain","certificate":"%s","untrusted":["AAAA"],"anchors":["%s"],"crls":[],"ocsp":[],
		"time":"2026-06-01T00:00:00.5Z","revocation":"none","policies":{"initial":null},"eku":[],"name":null,"profile":"path","weak_algorithms":"accept"}`, leaf, root)
	good = strings.ReplaceAll(good, "\n", " ")
	bad := strings.NewReplacer(`"good"`, `"bad"`, `"2026-06-01T00:00:00.5Z"`, `"tomorrow"`).Replace(good)
	late := strings.NewReplacer(`"good"`, `"late"`, `"2026-`, `"2099-`).Replace(good)
	unparsed := strings.NewReplacer(`"good"`, `"unparsed"`, leaf, "AAAA").Replace(good)
	answers := run(t, "{", "", `{"id":"kind","kind":"riddle"}`, bad, late, unparsed, `{"id":7,"kind":"ocsp","certificate":"AAAA"}`, good)
	for id, want := range map[string]string{"good": "valid", "late": "reason", "unparsed": "reason", "bad": "error", "kind": "error", "<nil>": "error", "7": "status"} {
		if answers[id] == nil || answers[id][want] == nil {
			t.Errorf("%s: %v, want %s", id, answers[id], want)
		}
	}
	if answers["good"]["valid"] != true || answers["late"]["valid"] != false || answers["late"]["sub_indication"] != "OUT_OF_BOUNDS_NO_POE" ||
		answers["unparsed"]["valid"] != false || answers["7"]["status"] != "invalid" {
		t.Errorf("%v", answers)
	}
}

func TestAPanicIsTheCasesError(t *testing.T) {
	answer := judgeWith(map[string]func([]byte) (any, error){"p": func([]byte) (any, error) { panic("boom") }}, []byte(`{"id":1,"kind":"p"}`))
	if f, ok := answer.(failure); !ok || !strings.Contains(f.Error, "boom") {
		t.Errorf("%v", answer)
	}
}

func TestAnOverlongLineIsAnswered(t *testing.T) {
	in := io.MultiReader(&endless{n: MaxLine + 10}, strings.NewReader("\n{\"id\":2,\"kind\":\"riddle\"}\n"))
	var out bytes.Buffer
	if err := Run(context.Background(), in, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), `"error"`); n != 2 {
		t.Errorf("%s", out.String())
	}
}

// endless reads as n spaces and an opening brace.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.n)
	for i := range p[:n] {
		p[i] = '{'
	}
	e.n -= n
	return n, nil
}

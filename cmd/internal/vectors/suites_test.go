package vectors

import (
	"encoding/pem"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const serverAuth, clientAuth = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"

// limboCase is a test case of x509-limbo.
type limboCase struct {
	ID        string
	Kind      string                         `json:"validation_kind"`
	Trusted   []string                       `json:"trusted_certs"`
	Untrusted []string                       `json:"untrusted_intermediates"`
	Peer      string                         `json:"peer_certificate"`
	Time      string                         `json:"validation_time"`
	Result    string                         `json:"expected_result"`
	Name      *struct{ Kind, Value string }  `json:"expected_peer_name"`
	Names     []struct{ Kind, Value string } `json:"expected_peer_names"`
	MaxDepth  *int                           `json:"max_chain_depth"`
	CRLs      []string
}

func fromPEM(t *testing.T, texts ...string) (ders [][]byte) {
	for _, text := range texts {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			t.Fatal("no PEM")
		}
		ders = append(ders, block.Bytes)
	}
	return ders
}

func TestLimbo(t *testing.T) {
	s := newSuite(t)
	var file struct{ Testcases []limboCase }
	s.readJSON(&file, "limbo", "limbo.json")
	for _, l := range file.Testcases {
		at := l.Time
		if at == "" {
			at = "2026-06-01T00:00:00Z"
		}
		c := newChain(l.ID, fromPEM(t, l.Peer)[0], fromPEM(t, l.Untrusted...), fromPEM(t, l.Trusted...), at)
		c.EKU, c.MaxDepth, c.Profile = []string{serverAuth}, l.MaxDepth, "strict"
		if l.Kind != "SERVER" {
			c.EKU = []string{clientAuth}
		}
		if strings.HasPrefix(l.ID, "webpki::") || strings.HasPrefix(l.ID, "online::") {
			c.Profile = "server"
		}
		c.Constraints, c.Validity, c.AnchorsNeed = true, true, true
		if c.CRLs = fromPEM(t, l.CRLs...); len(c.CRLs) > 0 {
			c.Revocation = "require"
		}
		if l.Name == nil && len(l.Names) > 0 {
			l.Name = &l.Names[0]
		}
		if l.Name != nil {
			c.Name = map[string]*referenceCase{"DNS": {DNS: l.Name.Value}, "IP": {IP: l.Name.Value}, "RFC822": {Email: l.Name.Value}}[l.Name.Kind]
		}
		s.add(l.ID, c, expectation{valid: l.Result == "SUCCESS"})
	}
	s.judge(175)
}

func TestBoringSSLChains(t *testing.T) {
	s := newSuite(t)
	var list []struct {
		File     string
		Trust    string   `json:"last_cert_trust"`
		Purpose  string   `json:"key_purpose"`
		Path     string   `json:"chain_path"`
		Time     string   `json:"utc_time"`
		Digest   string   `json:"digest_policy"`
		Errors   []string `json:"expected_errors"`
		Policies string   `json:"expected_user_constrained_policy_set"`
	}
	s.readJSON(&list, "boringssl", "chain_expected.json")
	purposes := map[string][]string{"ANY_EKU": nil, "SERVER_AUTH": {serverAuth}, "CLIENT_AUTH": {clientAuth}}
	for _, b := range list {
		id := strings.TrimSuffix(strings.TrimPrefix(b.File, "verify_certificate_chain_unittest/"), ".test")
		certs := blocks(s.read("boringssl", b.Path))["CERTIFICATE"]
		purpose, known := purposes[b.Purpose]
		trusted := strings.HasPrefix(b.Trust, "TRUSTED_ANCHOR")
		switch {
		case !known, len(certs) == 1, !trusted && b.Trust != "DISTRUSTED" && b.Trust != "UNSPECIFIED", b.Trust == "TRUSTED_ANCHOR_OR_LEAF":
			continue // purposes and trust in leaves that only a browser's store knows
		case strings.Contains(id, "msapplicationpolicies-and-eku"), strings.HasSuffix(id, "ok-all-types"):
			continue // an extension for one vendor; a case whose names lie outside of what is permitted
		}
		last := len(certs) - 1
		c := newChain(id, certs[0], certs[1:last], certs[last:], boringTime(b.Time))
		if c.EKU = purpose; !trusted {
			c.Anchors = nil
		}
		c.Constraints = strings.Contains(b.Trust, "CONSTRAINTS") && b.Trust != "TRUSTED_ANCHOR_WITH_REQUIRE_BASIC_CONSTRAINTS"
		c.AnchorsNeed = c.Constraints && strings.Contains(b.Trust, "REQUIRE_BASIC")
		c.Validity = strings.Contains(b.Trust, "EXPIRATION")
		if b.Digest == "STRONG" || strings.Contains(id, "512bit") {
			c.Weak = "refuse"
		}
		want := expectation{valid: !slices.ContainsFunc(b.Errors, func(e string) bool { return strings.HasPrefix(e, "ERROR") })}
		if want.valid && b.Policies != "" {
			for p := range strings.SplitSeq(b.Policies, ",") {
				want.policies = append(want.policies, strings.Replace(strings.TrimSpace(p), anyPolicy, "any", 1))
			}
		}
		s.add(id, c, want)
	}
	s.judge(136)
}

func TestBoringSSLSignedData(t *testing.T) {
	s := newSuite(t)
	var list []struct{ File, Expected string }
	s.readJSON(&list, "boringssl", "verify_signed_data_expected.json")
	type line struct {
		Kind string `json:"kind"`
		signedDataCase
	}
	for _, b := range list {
		id := "signed-data/" + strings.TrimSuffix(filepath.Base(b.File), ".pem")
		found := blocks(s.read("boringssl", b.File))
		c := signedDataCase{id, found["PUBLIC KEY"][0], found["ALGORITHM"][0], found["SIGNATURE"][0], found["DATA"][0]}
		// PSS keys are supported here, unlike at the publisher's.
		valid := b.Expected == "SUCCESS" || strings.HasSuffix(id, "using-pss-key-with-params")
		s.add(id, line{"signed_data", c}, expectation{valid: valid})
	}
	s.judge(31)
}

func TestAlgorithms(t *testing.T) {
	s := newSuite(t)
	folders, err := filepath.Glob(filepath.Join(s.folder, "algorithms", "*"))
	if err != nil || len(folders) != 3 {
		t.Fatalf("%v: %v", folders, err)
	}
	for i, folder := range folders {
		name := filepath.Base(folder)
		root, issuer := s.object("algorithms", name, "root.cert.pem"), s.object("algorithms", name, "interm.cert.pem")
		stranger := s.object("algorithms", filepath.Base(folders[(i+1)%3]), "root.cert.pem")
		files, _ := filepath.Glob(filepath.Join(folder, "*.cert.pem"))
		for _, file := range files {
			leaf := strings.TrimSuffix(filepath.Base(file), ".cert.pem")
			if leaf == "root" || leaf == "interm" {
				continue
			}
			target, at := s.object("algorithms", name, filepath.Base(file)), "2020-06-01T00:00:00Z"
			if leaf == "tsa2" {
				at = "2029-06-01T00:00:00Z"
			}
			flipped := slices.Clone(target)
			flipped[len(flipped)-20] ^= 1
			// One responder was issued under an earlier key of its CA.
			good := name+"/"+leaf != "testing-ca-ed25519/ocsp"
			id := name + "/" + leaf
			s.add(id, newChain(id, target, [][]byte{issuer}, [][]byte{root}, at), expectation{valid: good})
			s.add(id+"/flipped", newChain(id+"/flipped", flipped, [][]byte{issuer}, [][]byte{root}, at), expectation{})
			s.add(id+"/stranger", newChain(id+"/stranger", target, [][]byte{issuer}, [][]byte{stranger}, at), expectation{})
		}
	}
	s.judge(36)
}

func TestFreshness(t *testing.T) {
	s := newSuite(t)
	const day = 86400.0
	type ask = func(*chainLine)
	fresh := func(seconds float64) ask { return func(c *chainLine) { c.FreshnessS = &seconds } }
	after := func(text string) ask {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *chainLine) { c.IssuedAfter = &at }
	}
	const october, november, december = "2020-10-01", "2020-11-29", "2020-12-10"
	for _, f := range []struct {
		id, who, time string
		ocsp          []string
		crl           string
		valid         bool
		ask           ask
	}{
		{"fresh", "alice", october, []string{october}, october, true, fresh(9*day + 1)},
		{"stale", "alice", october, []string{october}, october, false, fresh(3600)},
		{"after the grace period", "alice", october, []string{october}, october, true, after("2020-09-21T00:00:00Z")},
		{"within the grace period", "alice", october, []string{october}, october, false, after("2020-10-03T00:00:00Z")},
		{"the newest decides", "alice", december, []string{november, december}, december, false, fresh(20 * day)},
		{"the older alone", "alice", december, []string{november}, december, true, fresh(20 * day)},
		{"not from the future", "alice", november, []string{november, december}, november, true, fresh(20 * day)},
		{"nextUpdate passed", "alice", december, []string{november}, december, false, nil},
		{"within nextUpdate", "alice", november, []string{november}, november, true, nil},
		{"revoked", "interm-revoked", december, nil, december, false, nil},
		{"not yet revoked", "interm-revoked", november, nil, november, true, nil},
		{"list expired", "interm", december, nil, november, false, nil},
		{"list expired but fresh", "interm", december, nil, november, true, fresh(20 * day)},
	} {
		c := newChain(f.id, s.object("freshness", "certs", f.who+".crt"), [][]byte{s.object("freshness", "certs", "interm.crt")},
			[][]byte{s.object("freshness", "certs", "root.crt")}, f.time+"T00:00:00Z")
		c.Revocation, c.CRLs = "require", [][]byte{s.object("freshness", "root-"+f.crl+".crl")}
		for _, o := range f.ocsp {
			c.OCSP = append(c.OCSP, s.object("freshness", "alice-"+o+".ors"))
		}
		if f.ask != nil {
			f.ask(c)
		}
		s.add(f.id, c, expectation{valid: f.valid})
	}
	s.judge(13)
}

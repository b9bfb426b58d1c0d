package conformance

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"

	"trustcore/verify/algorithm"
)

// group is what the signature schemas of Wycheproof share.
type group struct {
	Type         string `json:"type"`
	SHA          string `json:"sha"`
	MGF          string `json:"mgf"`
	MGFSHA       string `json:"mgfSha"`
	SaltLen      int    `json:"sLen"`
	PublicKeyDER string `json:"publicKeyDer"`
	KeyDER       string `json:"keyDer"`
	PublicKey    json.RawMessage
	Tests        []struct {
		ID      int      `json:"tcId"`
		Comment string   `json:"comment"`
		Flags   []string `json:"flags"`
		Msg     string   `json:"msg"`
		Ctx     string   `json:"ctx"`
		Sig     string   `json:"sig"`
		Result  string   `json:"result"`
	} `json:"tests"`
}

// bareKeys maps a schema to the key algorithm that leaves the digest to a second identifier.
var bareKeys = map[string]string{
	"EcdsaVerify": "1.2.840.10045.2.1", "EcdsaP1363Verify": "1.2.840.10045.2.1",
	"DsaVerify": "1.2.840.10040.4.1", "DsaP1363Verify": "1.2.840.10040.4.1",
	"RsassaPkcs1Verify": "1.2.840.113549.1.1.1", "RsassaPkcs1Generate": "1.2.840.113549.1.1.1",
}

// shakePSS are the identifiers of RFC 8692.
var shakePSS = map[string]string{"SHAKE128": "1.3.6.1.5.5.7.6.30", "SHAKE256": "1.3.6.1.5.5.7.6.31"}

var digestOIDs = map[string]string{
	"SHA-1": "1.3.14.3.2.26", "SHA-224": "2.16.840.1.101.3.4.2.4", "SHA-256": "2.16.840.1.101.3.4.2.1",
	"SHA-384": "2.16.840.1.101.3.4.2.2", "SHA-512": "2.16.840.1.101.3.4.2.3", "SHA-512/224": "2.16.840.1.101.3.4.2.5",
	"SHA-512/256": "2.16.840.1.101.3.4.2.6", "SHA3-224": "2.16.840.1.101.3.4.2.7", "SHA3-256": "2.16.840.1.101.3.4.2.8",
	"SHA3-384": "2.16.840.1.101.3.4.2.9", "SHA3-512": "2.16.840.1.101.3.4.2.10",
	"SHAKE128": "2.16.840.1.101.3.4.2.11", "SHAKE256": "2.16.840.1.101.3.4.2.12", "MD5": "1.2.840.113549.2.5",
}

func identifier(t *testing.T, oid string) []byte {
	t.Helper()
	var arcs asn1.ObjectIdentifier
	for _, arc := range strings.Split(oid, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			t.Fatal(err)
		}
		arcs = append(arcs, n)
	}
	der, err := asn1.Marshal(pkix.AlgorithmIdentifier{Algorithm: arcs})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// scheme is the algorithm of a group, or an error for what the registry does not hold.
func scheme(t *testing.T, g *group, key *algorithm.PublicKey) (algorithm.Scheme, error) {
	switch g.Type {
	case "EddsaVerify", "MlDsaVerify":
		for _, oid := range []string{"1.3.101.112", "1.3.101.113", "2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.18", "2.16.840.1.101.3.4.3.19"} {
			if s, err := algorithm.FromCertificate(identifier(t, oid)); err == nil && s.Name() == key.Name() {
				return s, nil
			}
		}
	case "RsassaPssVerify", "RsassaPssWithParametersVerify":
		if oid, ok := shakePSS[g.SHA]; ok {
			return algorithm.FromCertificate(identifier(t, oid))
		}
		hash, err := algorithm.HashByOID(digestOIDs[g.SHA])
		if err != nil {
			return algorithm.Scheme{}, err
		}
		mgf, err := algorithm.HashByOID(digestOIDs[g.MGFSHA])
		if err != nil {
			return algorithm.Scheme{}, err
		}
		return algorithm.FromXML("http://www.w3.org/2007/05/xmldsig-more#rsa-pss", &algorithm.PSSParameters{Hash: hash, MGFHash: mgf, Salt: g.SaltLen})
	}
	bare, ok := bareKeys[g.Type]
	if !ok {
		return algorithm.Scheme{}, fmt.Errorf("no scheme for %s", g.Type)
	}
	s, err := algorithm.FromCMS(identifier(t, bare), identifier(t, digestOIDs[g.SHA]))
	return s.DEREncoded(!strings.Contains(g.Type, "P1363")), err
}

// skipped says which files are no test of verification.
func skipped(name string) string {
	switch {
	case strings.Contains(name, "bitcoin"):
		return "low-s is a rule of Bitcoin, not of ECDSA"
	case strings.HasPrefix(name, "mldsa") && strings.Contains(name, "sign"):
		return "signing"
	}
	return ""
}

type tally struct{ valid, invalid, acceptable, wrong, contexts int }

func TestWycheproof(t *testing.T) {
	names, err := fs.Glob(wycheproof.TestVectors, "*_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var total tally
	for _, name := range names {
		prefix, _, _ := strings.Cut(name, "_")
		relevant := prefix == "ecdsa" || prefix == "dsa" || prefix == "mldsa" || prefix == "ed25519" || prefix == "ed448" ||
			strings.HasPrefix(name, "rsa_signature") || strings.HasPrefix(name, "rsa_pss") || strings.Contains(name, "sig_gen")
		if !relevant || skipped(name) != "" {
			continue
		}
		t.Run(strings.TrimSuffix(name, "_test.json"), func(t *testing.T) { runFile(t, name, &total) })
	}
	t.Logf("%d valid, %d invalid, %d acceptable, %d wrong; %d with a context string, which certificates and documents never have",
		total.valid, total.invalid, total.acceptable, total.wrong, total.contexts)
}

func runFile(t *testing.T, name string, total *tally) {
	data, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ TestGroups []group }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	for i := range file.TestGroups {
		runGroup(t, &file.TestGroups[i], total)
	}
}

func runGroup(t *testing.T, g *group, total *tally) {
	der := g.PublicKeyDER
	if der == "" {
		der = g.KeyDER
	}
	spki, _ := hex.DecodeString(der)
	key, keyErr := algorithm.ParsePublicKey(spki)
	var s algorithm.Scheme
	if keyErr == nil {
		var err error
		if s, err = scheme(t, g, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range g.Tests {
		if c.Ctx != "" {
			total.contexts++
			continue
		}
		msg, _ := hex.DecodeString(c.Msg)
		sig, _ := hex.DecodeString(c.Sig)
		err := keyErr
		if err == nil {
			_, err = s.Verify(key, msg, sig)
		}
		switch {
		case c.Result == "acceptable":
			total.acceptable++
		case c.Result == "valid" && err != nil:
			total.wrong++
			t.Errorf("test %d (%s %v): %v", c.ID, c.Comment, c.Flags, err)
		case c.Result == "invalid" && err == nil:
			total.wrong++
			t.Errorf("test %d (%s %v): accepted", c.ID, c.Comment, c.Flags)
		case c.Result == "valid":
			total.valid++
		default:
			total.invalid++
		}
	}
}

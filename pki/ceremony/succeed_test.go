package ceremony_test

import (
	"context"
	"crypto"
	"strings"
	"testing"
	"time"

	"trustcore/pki/ceremony"
	"trustcore/pki/pkitest"
)

const successionURL = "http://pki.example/pki"

func TestSucceed(t *testing.T) {
	made := pkitest.Perform(t, successionURL)
	text := ceremony.DefaultSuccession(successionURL, 2)
	plan, err := ceremony.ParseSuccession(text)
	if err != nil {
		t.Fatal(err)
	}
	result, err := ceremony.Succeed(t.Context(), plan, "issuing-2", made.Root, pkitest.SoftwareKey, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Issuing.Certificate.CheckSignatureFrom(made.Root.Certificate); err != nil {
		t.Error(err)
	}
	if places := result.OCSP.Certificate.IssuingCertificateURL; len(places) != 1 || places[0] != successionURL+"/ca/issuing-2.crt" {
		t.Errorf("the delegate's issuer lies at %v", places)
	}
	data, err := result.Transcript.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.VerifyTranscript(data, made.Root.Certificate); err != nil {
		t.Error(err)
	}
}

func TestSucceedRefuses(t *testing.T) {
	made := pkitest.Perform(t, successionURL)
	good := string(ceremony.DefaultSuccession(successionURL, 2))
	leaky := func(ctx context.Context, label, algorithm string) (string, crypto.Signer, map[string]string, error) {
		id, key, attributes, err := pkitest.SoftwareKey(ctx, label, algorithm)
		attributes["CKA_EXTRACTABLE"] = "true"
		return id, key, attributes, err
	}
	for _, c := range []struct {
		want, text, name string
		makeKey          ceremony.MakeKey
	}{
		{"issuing.valid: ends behind the root", strings.Replace(good, "valid: 10y", "valid: 25y", 1), "issuing-2", pkitest.SoftwareKey},
		{"ocsp.valid: is longer", strings.Replace(good, "valid: 397d", "valid: 11y", 1), "issuing-2", pkitest.SoftwareKey},
		{"attendees:", strings.Replace(good, "role: witness", "role: key-custodian", 1), "issuing-2", pkitest.SoftwareKey},
		{"is no name of a successor", good, "issuing", pkitest.SoftwareKey},
		{"CKA_EXTRACTABLE is true", good, "issuing-2", leaky},
	} {
		plan, err := ceremony.ParseSuccession([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ceremony.Succeed(t.Context(), plan, c.name, made.Root, c.makeKey, time.Now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
		if _, err := ceremony.Perform(t.Context(), plan, pkitest.SoftwareKey, time.Now); err == nil {
			t.Error("a succession was performed as a ceremony")
		}
	}
	whole := ceremony.Default(successionURL)
	if _, err := ceremony.ParseSuccession(whole); err == nil || !strings.Contains(err.Error(), "are there already") {
		t.Errorf("a plan with a root: %v", err)
	}
	plan, err := ceremony.Parse(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremony.Succeed(t.Context(), plan, "issuing-2", made.Root, pkitest.SoftwareKey, time.Now); err == nil {
		t.Error("a whole ceremony as a succession")
	}
}

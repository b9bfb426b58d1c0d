package pki_test

import (
	"fmt"
	"strings"
	"testing"

	"trustcore/internal/audit"
	"trustcore/internal/store/storetest"
	"trustcore/pki"
)

// conformance is the suite that both engines have to pass.
var conformance = []struct {
	name string
	test func(t *testing.T, databaseURL string)
}{
	{"RevokeIsSeenAtOnce", testRevokeIsSeenAtOnce},
	{"TwoNodesAndARestart", testTwoNodesAndARestart},
	{"AnswersOutliveARestartWithoutTheToken", testAnswersOutliveARestartWithoutTheToken},
	{"SuspendAndRelease", testSuspendAndRelease},
	{"IssueAgain", testIssueAgain},
	{"OneKeyForSeveralPartnersAtOnce", testOneKeyForSeveralPartnersAtOnce},
	{"OneCertificateOverTwoNodes", testOneCertificateOverTwoNodes},
	{"ADeadNodesWishIsTakenOver", testADeadNodesWishIsTakenOver},
	{"OneNodeKeepsTheLists", testOneNodeKeepsTheLists},
	{"SecondNodeFollows", testSecondNodeFollows},
	{"StateOfTheVersionBefore", testStateOfTheVersionBefore},
	{"EachPurposeHasItsIssuer", testEachPurposeHasItsIssuer},
	{"SuccessionWithoutAFailedCall", testSuccessionWithoutAFailedCall},
	{"InventoryFilters", testInventoryFilters},
	{"IssueConcurrently", testIssueConcurrently},
	{"OpenSSLVerifiesChainsWithLists", testOpenSSLVerifiesChainsWithLists},
	{"OpenSSLAsksTheResponder", testOpenSSLAsksTheResponder},
	{"OpenSSLTimeStamps", testOpenSSLTimeStamps},
	{"EveryChangeIsAnotherVersion", testEveryChangeIsAnotherVersion},
}

func TestOnSQLite(t *testing.T) {
	for _, c := range conformance {
		t.Run(c.name, func(t *testing.T) { c.test(t, storetest.SQLite(t)) })
	}
}

// TestOnPostgres has one server and a database for each test.
func TestOnPostgres(t *testing.T) {
	server := storetest.Postgres(t)
	admin := openStore(t, server)
	for i, c := range conformance {
		t.Run(c.name, func(t *testing.T) {
			database := fmt.Sprintf("test%d", i)
			if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+database); err != nil {
				t.Fatal(err)
			}
			c.test(t, strings.Replace(server, "/postgres?", "/"+database+"?", 1))
		})
	}
}

// testEveryChangeIsAnotherVersion follows the inventory by its version, and by all that is valid.
func testEveryChangeIsAnotherVersion(t *testing.T, url string) {
	s := open(t, url)
	version, valid := int64(-1), 0
	look := func(what string, more int) {
		t.Helper()
		now, err := s.ca.Version(t.Context())
		if err != nil || now <= version {
			t.Errorf("%s: version %d after %d, %v", what, now, version, err)
		}
		count := 0
		if err := s.ca.Valid(t.Context(), func(pki.Certificate) error { count++; return nil }); err != nil || version >= 0 && count != valid+more {
			t.Errorf("%s: %d are valid after %d, %v", what, count, valid, err)
		}
		version, valid = now, count
	}
	look("at first", 0)
	c := s.issue(t, pki.DaemonClient, pki.Subject{CommonName: "vpnd"})
	look("issued", 1)
	which := pki.Selector{Serial: c.SerialNumber.Text(16)}
	officer := audit.Actor{Kind: "officer", ID: "officer-1"}
	for _, step := range []struct {
		what string
		do   func() ([]pki.Certificate, error)
		more int
	}{
		{"suspended", func() ([]pki.Certificate, error) { return s.ca.Suspend(t.Context(), officer, which, "") }, -1},
		{"released", func() ([]pki.Certificate, error) { return s.ca.Release(t.Context(), officer, which, "") }, 1},
		{"revoked", func() ([]pki.Certificate, error) { return s.ca.Revoke(t.Context(), officer, which, pki.Superseded, "") }, -1},
	} {
		if _, err := step.do(); err != nil {
			t.Fatal(err)
		}
		look(step.what, step.more)
	}
}

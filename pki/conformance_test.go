package pki_test

import (
	"fmt"
	"strings"
	"testing"

	"trustcore/internal/store/storetest"
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
	{"SecondNodeFollows", testSecondNodeFollows},
	{"StateOfTheVersionBefore", testStateOfTheVersionBefore},
	{"InventoryFilters", testInventoryFilters},
	{"IssueConcurrently", testIssueConcurrently},
	{"OpenSSLVerifiesChainsWithLists", testOpenSSLVerifiesChainsWithLists},
	{"OpenSSLAsksTheResponder", testOpenSSLAsksTheResponder},
	{"OpenSSLTimeStamps", testOpenSSLTimeStamps},
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

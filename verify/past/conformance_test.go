package past_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/past"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// TestFreshnessCorpus slides over the chains of certpath/freshness: Alice under two certificates of one CA, revoked on
// 2020-12-01 as is the second of the CA's. OCSP answers about Alice serve for ten minutes, lists of the root for ten days.
func TestFreshnessCorpus(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("TRUSTCORE_CORPUS is not set: the chains of certpath/freshness are not judged")
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(corpus, "certpath", "freshness", name))
		if err != nil {
			t.Fatal(err)
		}
		if block, _ := pem.Decode(data); block != nil {
			return block.Bytes
		}
		return data
	}
	cert := func(name string) *certificate.Certificate {
		c, err := certificate.Parse(read(filepath.Join("certs", name+".crt")))
		if err != nil {
			t.Fatal(name, err)
		}
		return c
	}
	answers, crls := map[string]*revocation.Response{}, map[string]*revocation.CRL{}
	for _, day := range []string{"2020-10-01", "2020-11-29", "2020-12-10"} {
		var err error
		if answers[day], err = revocation.ParseOCSP(read("alice-" + day + ".ors")); err != nil {
			t.Fatal(day, err)
		}
		if crls[day], err = revocation.ParseCRL(read("root-" + day + ".crl")); err != nil {
			t.Fatal(day, err)
		}
	}
	root, alice := cert("root"), cert("alice")
	anchor, err := path.AnchorFrom(root)
	if err != nil {
		t.Fatal(err)
	}
	end := on(2020, 12, 1)
	for _, test := range []struct {
		name, ca string
		at       time.Time
		days     []string // of the evidence
		early    bool     // evidence and certificates are proven since the days of their issue
		want     time.Time
		code     past.Code
		position int
	}{
		{"fresh in October", "interm", on(2020, 10, 1).Add(5 * time.Minute), []string{"2020-10-01"}, false, on(2020, 10, 1).Add(5 * time.Minute), past.OK, 0},
		{"the answer ran out", "interm", on(2020, 10, 1).Add(time.Hour), []string{"2020-10-01"}, false, on(2020, 10, 1), past.OK, 0},
		{"evidence of the future", "interm", on(2020, 9, 30), []string{"2020-10-01"}, false, time.Time{}, past.NoProof, 0},
		{"Alice revoked", "interm", on(2020, 12, 10).Add(5 * time.Minute), []string{"2020-10-01", "2020-11-29", "2020-12-10"}, false, end, past.OK, 0},
		{"the newest list ran out", "interm", on(2021, 6, 1), []string{"2020-11-29"}, false, time.Time{}, past.NoProof, 0},
		{"then an older answer, proven in time", "interm", on(2021, 6, 1), []string{"2020-10-01", "2020-11-29"}, true, on(2020, 10, 1), past.OK, 0},
		{"CA revoked, nothing proven", "interm-revoked", on(2020, 12, 10).Add(5 * time.Minute), []string{"2020-11-29", "2020-12-10"}, false, time.Time{}, past.NoProof, 0},
		{"CA revoked, an answer proven before", "interm-revoked", on(2020, 12, 10).Add(5 * time.Minute), []string{"2020-11-29", "2020-12-10"}, true, on(2020, 11, 29), past.OK, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var responses []*revocation.Response
			var lists []*revocation.CRL
			r := past.Request{Chain: []*certificate.Certificate{alice, cert(test.ca)}, Anchor: &anchor, Time: test.at, Existence: past.NewExistence(test.at)}
			for _, day := range test.days {
				responses, lists = append(responses, answers[day]), append(lists, crls[day])
				if test.early {
					r.Existence = r.Existence.With(answers[day].ProducedAt, answers[day].Digest()).With(crls[day].ThisUpdate, crls[day].Digest())
				}
			}
			if test.early {
				prove(&r, on(2020, 9, 1))
			}
			r.Evidence = func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return responses, lists }
			wantControl(t, r, test.want, test.code, test.position)
		})
	}
}

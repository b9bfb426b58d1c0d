package conformance

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Netflix/bettertls/test-suites/test-case"
	"github.com/Netflix/bettertls/test-suites/test-executor"

	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

// TestBetterTLS judges every chain of BetterTLS: its name constraints and its paths, of which some lead through expired,
// weak or wrong certificates beside a good one.
func TestBetterTLS(t *testing.T) {
	suites, err := test_executor.BuildTestSuites()
	if err != nil {
		t.Fatal(err)
	}
	anchors := anchorsOf(t, suites)
	for _, name := range suites.GetProviderNames() {
		t.Run(name, func(t *testing.T) {
			provider := suites.GetProvider(name)
			count, err := provider.GetTestCaseCount()
			if err != nil {
				t.Fatal(err)
			}
			for i := range count {
				c, err := provider.GetTestCase(i)
				if err != nil {
					t.Fatal(err)
				}
				judge(t, suites, anchors, i, c)
			}
			t.Logf("%d chains", count)
		})
	}
}

func anchorsOf(t *testing.T, suites *test_executor.TestSuites) *path.Anchors {
	t.Helper()
	root, err := certificate.Parse(suites.GetRootCert().Raw)
	if err != nil {
		t.Fatal(err)
	}
	anchor, err := path.AnchorFrom(root)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := path.NewAnchors(anchor)
	if err != nil {
		t.Fatal(err)
	}
	return anchors
}

func judge(t *testing.T, suites *test_executor.TestSuites, anchors *path.Anchors, index uint, c test_case.TestCase) {
	t.Helper()
	chain, err := suites.GetTestCaseCertificates(c)
	if err != nil {
		t.Fatal(err)
	}
	want := c.ExpectedResult() == test_case.EXPECTED_RESULT_PASS || c.ExpectedResult() == test_case.EXPECTED_RESULT_SOFT_PASS
	target, err := certificate.Parse(chain.Certificate[0])
	if err != nil {
		if want {
			t.Errorf("chain %d: %v", index, err)
		}
		return
	}
	var others []*certificate.Certificate
	for _, der := range chain.Certificate[1:] {
		// What can't be read can't be on a path.
		if other, err := certificate.Parse(der); err == nil {
			others = append(others, other)
		}
	}
	result := path.Validate(t.Context(), path.Request{
		Target: target, Pool: path.NewPool(others...), Anchors: anchors, Time: time.Now(),
		Name: referenceName(c.GetHostname()), Purposes: []certificate.OID{certificate.PurposeServerAuth},
		Algorithm: refuseSHA1,
	})
	if result.Valid != want {
		t.Errorf("chain %d: valid is %v, the suite says %v; %v", index, result.Valid, c.ExpectedResult(), result.Reason())
	}
}

func referenceName(host string) *path.ReferenceName {
	if ip, err := netip.ParseAddr(host); err == nil {
		return &path.ReferenceName{IP: ip}
	}
	return &path.ReferenceName{DNS: host}
}

func refuseSHA1(name string, _ int, _ time.Time) (bool, string) {
	return !strings.HasSuffix(name, "SHA1"), name
}

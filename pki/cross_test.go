package pki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
	"trustcore/pki/pkitest"
)

// secondRoot makes a root on a machine of its own, and has it certify a site's issuing authority beside its own root.
func (s *site) secondRoot(t testing.TB) (*ceremony.Result, *ceremony.Granted) {
	t.Helper()
	return s.secondRootIs(t, ceremonytest.Root(t, s.base))
}

func (s *site) secondRootIs(t testing.TB, made *ceremony.Result) (*ceremony.Result, *ceremony.Granted) {
	t.Helper()
	plan, err := ceremony.Parse(ceremony.Default(s.base))
	if err != nil {
		t.Fatal(err)
	}
	request, err := ceremony.Ask(plan, s.made.Issuing.Key, s.made.Issuing.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	answer, _, err := ceremony.Grant(request, made.Root, "root-2", made.RootCRL, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	granted, err := ceremony.ReadAnswer(answer, request)
	if err != nil {
		t.Fatal(err)
	}
	return made, granted
}

// crossed is the site's configuration with the second root.
func (s *site) crossed(granted *ceremony.Granted) pki.Config {
	cfg := s.config()
	cfg.Roots = append(cfg.Roots, pki.Root{Name: granted.Name, Certificate: granted.Root, List: granted.List})
	cfg.Issuers[0].Crosses = []*x509.Certificate{granted.Certificate}
	return cfg
}

// TestCrossCertificatesWithoutAFailedCall takes a second root up while certificates are issued, asked for and listed. Old clients know the
// old root alone, new ones the new root alone; both verify old and new certificates from what their holders show.
func TestCrossCertificatesWithoutAFailedCall(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	old := s.issue(t, pki.PartnerClient, office)
	made, granted := s.secondRoot(t)
	var node atomic.Pointer[site] // that the balancer has in front
	node.Store(s)
	ctx, stop := context.WithCancel(t.Context())
	var calls atomic.Int64
	var wg sync.WaitGroup
	for _, call := range []func(n *site) error{
		func(n *site) error {
			_, _, err := issues(t, n.ca, pki.PartnerClient)
			return err
		},
		func(n *site) error {
			if status := n.statusBy(t, old, s.made.Issuing.Certificate); status != codes.Good {
				return fmt.Errorf("OCSP says %d", status)
			}
			return nil
		},
		func(n *site) error {
			if a := n.ask(http.MethodGet, "/crl/issuing.crl", "", nil); a.Code != http.StatusOK {
				return fmt.Errorf("the list: %d", a.Code)
			}
			return nil
		},
	} {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := call(node.Load()); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				calls.Add(1)
			}
		})
	}
	more := func(what string) {
		from := calls.Load()
		eventually(t, what, func() bool { return calls.Load() > from+100 })
	}
	more("calls before")
	next := &site{made: s.made, base: s.base, ca: with(t, s.crossed(granted))}
	node.Store(next)
	more("calls after")
	stop()
	wg.Wait()
	t.Logf("%d calls, none failed", calls.Load())
	_, young, err := issues(t, next.ca, pki.PartnerClient)
	if err != nil {
		t.Fatal(err)
	}
	java := &javaPKIX{}
	for name, root := range map[string]*x509.Certificate{"old": s.made.Root.Certificate, "new": made.Root.Certificate} {
		for age, leaf := range map[string]*x509.Certificate{"old": old, "young": young} {
			// openssl takes the first certificate of an authority that it is shown, so it is given the one of the client's root.
			next.verifies(t, fmt.Sprintf("a client with the %s root alone, a certificate that is %s", name, age), root, leaf,
				func(c *x509.Certificate) bool { return c.CheckSignatureFrom(root) == nil && !c.Equal(root) }, java)
		}
	}
	java.build(t)
}

// verifies has Go, openssl, NSS and Java's PKIX verify a certificate by what its holder shows, by one root alone, all but NSS with lists.
// openssl is given those of the shown certificates that chosen takes; Java is asked when all is together.
func (s *site) verifies(t *testing.T, who string, root, leaf *x509.Certificate, chosen func(*x509.Certificate) bool, java *javaPKIX) {
	t.Helper()
	shown, err := s.ca.Chain(leaf)
	if err != nil {
		t.Fatal(err)
	}
	pool, middle := x509.NewCertPool(), x509.NewCertPool()
	pool.AddCert(root)
	var lists, chain [][]byte
	for _, der := range shown {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		middle.AddCert(c)
		if chosen(c) {
			chain = append(chain, der)
		}
		for _, place := range c.CRLDistributionPoints {
			lists = append(lists, s.ask(http.MethodGet, strings.TrimPrefix(place, s.base), "", nil).Body.Bytes())
		}
	}
	lists = append(lists, s.ask(http.MethodGet, strings.TrimPrefix(leaf.CRLDistributionPoints[0], s.base), "", nil).Body.Bytes())
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("%s: Go: %v", who, err)
	}
	rootFile, leafFile := pkitest.WritePEM(t, "CERTIFICATE", root.Raw), pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw)
	shownFile, listFile := pkitest.WritePEM(t, "CERTIFICATE", shown...), pkitest.WritePEM(t, "X509 CRL", lists...)
	if said, ok := openssl(t, "verify", "-x509_strict", "-crl_check_all", "-purpose", "sslclient", "-CAfile", rootFile,
		"-untrusted", pkitest.WritePEM(t, "CERTIFICATE", chain...), "-CRLfile", listFile, leafFile); !ok {
		t.Errorf("%s: openssl: %s", who, said)
	}
	if said, ok := nss(t, root, leaf, shown); !ok {
		t.Errorf("%s: NSS: %s", who, said)
	}
	java.asked = append(java.asked, who, rootFile, leafFile, shownFile, listFile)
}

// nss has the library of Firefox verify a TLS client's certificate by what is shown, with one root in its database.
func nss(t *testing.T, root, leaf *x509.Certificate, shown [][]byte) (string, bool) {
	t.Helper()
	path, err := exec.LookPath("vfychain")
	if err != nil {
		t.Log("NSS is not installed (apt-get install libnss3-tools): it is not asked")
		return "", true
	}
	dir := t.TempDir()
	if out, err := exec.Command("certutil", "-N", "-d", "sql:"+dir, "--empty-password").CombinedOutput(); err != nil {
		t.Fatalf("certutil: %v\n%s", err, out)
	}
	args := []string{"-d", "sql:" + dir, "-pp", "-u", "0", "-a", pkitest.WritePEM(t, "CERTIFICATE", leaf.Raw)}
	for _, der := range shown {
		if !bytes.Equal(der, root.Raw) {
			args = append(args, "-a", pkitest.WritePEM(t, "CERTIFICATE", der))
		}
	}
	out, err := exec.Command(path, append(args, "-t", "-a", pkitest.WritePEM(t, "CERTIFICATE", root.Raw))...).CombinedOutput()
	return string(out), err == nil
}

// javaPKIX has the PKIX of Java build paths with lists, all in one process.
type javaPKIX struct{ asked []string }

func (j *javaPKIX) build(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("java")
	if err != nil {
		t.Log("Java is not installed (apt-get install default-jdk-headless): its PKIX is not asked")
		return
	}
	source, err := filepath.Abs(filepath.Join("testdata", "Pkix.java"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, append([]string{"-XX:TieredStopAtLevel=1", source}, j.asked...)...).CombinedOutput(); err != nil {
		t.Errorf("Java: %s", out)
	}
}

// TestCrossCertificatesThatSayMoreAreRefused mints what a careless or bought root could sign for the authority.
func TestCrossCertificatesThatSayMoreAreRefused(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	made, granted := s.secondRoot(t)
	other := pkitest.Perform(t, s.base)
	remade := func(key crypto.PublicKey, change func(c *x509.Certificate)) *x509.Certificate {
		return ceremonytest.Remade(t, granted.Certificate, made.Root, key, change)
	}
	own := s.made.Issuing.Key.Public()
	for what, c := range map[string]*x509.Certificate{
		"a path below it":    remade(own, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 1, false }),
		"no end to the path": remade(own, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = -1, false }),
		"any purpose": remade(own, func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, nil
		}),
		"no limit of purposes": remade(own, func(c *x509.Certificate) { c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, nil }),
		"another usage":        remade(own, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature }),
		"no policy":            remade(own, func(c *x509.Certificate) { c.Policies = nil }),
		"names":                remade(own, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} }),
		"a longer life":        remade(own, func(c *x509.Certificate) { c.NotAfter = c.NotAfter.AddDate(1, 0, 0) }),
		"another name":         remade(own, func(c *x509.Certificate) { c.RawSubject, c.Subject.CommonName = nil, "Another CA" }),
		"another key":          remade(other.Issuing.Key.Public(), func(*x509.Certificate) {}),
		"its own root twice":   s.made.Issuing.Certificate,
	} {
		cfg := s.crossed(granted)
		cfg.Issuers[0].Crosses = []*x509.Certificate{c}
		if _, err := pki.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "cross-certificate: ") &&
			!strings.Contains(err.Error(), "two certificates of one root") {
			t.Errorf("%s is taken, or refused for another reason: %v", what, err)
		}
	}
	cfg := s.crossed(granted)
	cfg.Roots = cfg.Roots[:1]
	if _, err := pki.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "is not from the root") {
		t.Errorf("by a root that is not here: %v", err)
	}
	with(t, s.crossed(granted))
}

// TestOfflineRootsListIsAnnounced starts without the root's key, and tells people weeks before the root's list ends.
func TestOfflineRootsListIsAnnounced(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	now := time.Now()
	cfg := s.config()
	cfg.Now = func() time.Time { return now }
	s.ca = with(t, cfg)
	list := s.list(t, "root.crl")
	due := func() (found []pki.Expiry) {
		all, err := s.ca.Expiring(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Kind == "crl" && e.Renewal == pki.ByPeople && !now.Before(e.Due) {
				found = append(found, e)
			}
		}
		return found
	}
	if d := due(); len(d) != 0 {
		t.Errorf("at first: %+v", d)
	}
	now = list.NextUpdate.Add(-59 * day)
	if d := due(); len(d) != 1 || !strings.Contains(d[0].Remedy, "list of the root") {
		t.Errorf("59 days before: %+v", d)
	}
	next, err := ceremony.NextList(s.made.Root, s.made.RootCRL, nil, now.AddDate(0, 0, 180), now)
	if err != nil {
		t.Fatal(err)
	}
	wantList := func(what string, der []byte, text string) {
		t.Helper()
		if err := s.ca.TakeRootList(t.Context(), officer, der); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v; want %q", what, err, text)
		}
	}
	if _, err := ceremony.NextList(ceremonytest.Root(t, s.base).Root, s.made.RootCRL, nil, now.AddDate(0, 0, 9), now); err == nil {
		t.Error("a root goes on with another's list")
	}
	wantList("another root's", pkitest.Perform(t, s.base).RootCRL, "none of the roots")
	wantList("the one that is there", s.made.RootCRL, "is there already")
	if err := s.ca.TakeRootList(t.Context(), officer, next); err != nil {
		t.Fatal(err)
	}
	if d := due(); len(d) != 0 {
		t.Errorf("brought: %+v", d)
	}
	wantList("again", next, "is there already")
	now = now.AddDate(1, 0, 0)
	late, err := ceremony.NextList(s.made.Root, next, nil, now.AddDate(0, 0, -100), now.AddDate(0, 0, -180))
	if err != nil {
		t.Fatal(err)
	}
	wantList("one that has ended", late, "has ended")
	cfg.Roots[0].List = s.made.RootCRL // a restart with the old file does not bring the old list back
	s.ca = with(t, cfg)
	shown, err := x509.ParseRevocationList(s.ask(http.MethodGet, "/crl/root.crl", "", nil).Body.Bytes())
	if err != nil || shown.Number.Int64() != 2 {
		t.Errorf("after a restart the list has number %v, %v", shown.Number, err)
	}
}

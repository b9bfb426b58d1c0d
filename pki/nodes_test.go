package pki_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/internal/lease"
	"trustcore/internal/lease/leasetest"
	"trustcore/pki"
)

// node is one of several over one database; its clock runs ahead by what ahead holds.
type node struct {
	*site
	leases *lease.Leases
	ahead  atomic.Int64
}

// node opens a further node of a site's authority over its database, with a name of its own.
func (s *site) node(t *testing.T, databaseURL, name string) *node {
	t.Helper()
	other := &node{site: &site{made: s.made, key: &signingKey{Signer: s.made.Issuing.Key}, db: openStore(t, databaseURL), base: s.base}}
	other.openLog(t)
	var err error
	if other.leases, err = lease.Open(t.Context(), lease.Config{DB: other.db, Node: name, Tasks: []string{pki.Upkeep}}); err != nil {
		t.Fatal(err)
	}
	cfg := other.config()
	cfg.Leases, cfg.Now = other.leases, func() time.Time { return time.Now().Add(time.Duration(other.ahead.Load())) }
	if other.ca, err = pki.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return other
}

// onceOverNodes is how many requests are made by eight at a time; more at make conformance.
func onceOverNodes() int {
	if os.Getenv("TRUSTCORE_CORPUS") != "" {
		return 300
	}
	return 30
}

// testOneCertificateOverTwoNodes: however many ask at once for one wish, on two nodes, one certificate is made and all get it.
func testOneCertificateOverTwoNodes(t *testing.T, databaseURL string) {
	first := open(t, databaseURL)
	nodes := []*node{first.node(t, databaseURL, "a"), first.node(t, databaseURL, "b")}
	for _, n := range nodes {
		leasetest.Live(t, n.leases)
	}
	for i := range onceOverNodes() {
		csr, order := request(t, newKey(t), x509.CertificateRequest{}), fmt.Sprint("once-", i)
		serials := make([]string, 8)
		var wg sync.WaitGroup
		for n := range serials {
			wg.Go(func() {
				c, err := nodes[n%2].ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, order)
				if err != nil {
					t.Error(err)
					return
				}
				serials[n] = hexOf(c)
			})
		}
		wg.Wait()
		made, err := first.ca.Certificates(t.Context(), pki.Filter{Order: order})
		if slices.Sort(serials); err != nil || serials[0] != serials[7] || len(made) != 1 {
			t.Fatalf("%s: %v; %d were made, %v", order, serials, len(made), err)
		}
	}
}

// testADeadNodesWishIsTakenOver: a node that died between reservation and signature holds nobody up, one that lives does, and a signature
// that comes after the take-over counts for nothing.
func testADeadNodesWishIsTakenOver(t *testing.T, databaseURL string) {
	first := open(t, databaseURL)
	slow, other := first.node(t, databaseURL, "a"), first.node(t, databaseURL, "b")
	hangs := make(chan struct{})
	slow.key.during = func() { <-hangs }
	csr := request(t, newKey(t), x509.CertificateRequest{})
	late := make(chan error, 1)
	go func() {
		_, err := slow.ca.Issue(context.WithoutCancel(t.Context()), officer, pki.PartnerClient, csr, office, "o-9")
		late <- err
	}()
	reserved := func() int {
		found, err := first.ca.Certificates(t.Context(), pki.Filter{Order: "o-9", State: pki.Reserved})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	eventually(t, "the slow node has reserved", func() bool { return reserved() == 1 })
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if c, err := other.ca.Issue(soon, officer, pki.PartnerClient, csr, office, "o-9"); !errors.Is(err, pki.ErrUnavailable) {
		t.Fatalf("while the slow node lives: %v, %v", c, err)
	}
	if _, err := first.db.Exec(`UPDATE lease SET until = 0 WHERE name = 'node a'`); err != nil { // it died
		t.Fatal(err)
	}
	c, err := other.ca.Issue(t.Context(), officer, pki.PartnerClient, csr, office, "o-9")
	if err != nil {
		t.Fatal(err)
	}
	close(hangs)
	if err := <-late; err == nil || !strings.Contains(err.Error(), "not reserved any more") {
		t.Errorf("the late signature: %v", err)
	}
	made, err := first.ca.Certificates(t.Context(), pki.Filter{Order: "o-9"})
	if err != nil || len(made) != 1 || made[0].Serial != hexOf(c) {
		t.Errorf("made: %+v, %v", made, err)
	}
}

// testOneNodeKeepsTheLists: the list that is due is made by the node whose task it is; what a node revokes it lists itself, at once.
func testOneNodeKeepsTheLists(t *testing.T, databaseURL string) {
	first := open(t, databaseURL)
	nodes := []*node{first.node(t, databaseURL, "a"), first.node(t, databaseURL, "b")}
	number := func() (n int64) {
		t.Helper()
		err := first.db.QueryRow(`SELECT number FROM pki_list WHERE issuer = $1`, fmt.Sprintf("%x", first.made.Issuing.Certificate.SubjectKeyId)).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tick := func(n *node) {
		t.Helper()
		if err := n.ca.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := number()
	for _, n := range nodes {
		n.ahead.Store(int64(30 * time.Hour)) // past half of the list's life
	}
	if tick(nodes[1]); number() != before {
		t.Error("a node whose task it is not made a list")
	}
	if tick(nodes[0]); number() != before+1 {
		t.Error("the node whose task it is made none")
	}
	c := nodes[1].issue(t, pki.PartnerClient, office)
	if err := nodes[1].revoke(t, hexOf(c), pki.Superseded, "o"); err != nil || number() != before+2 {
		t.Errorf("revoked on the other node: list %d after %d, %v", number(), before+1, err)
	}
	if err := nodes[0].leases.Close(t.Context()); err != nil { // it ends
		t.Fatal(err)
	}
	again := first.node(t, databaseURL, "b")
	before = number()
	again.ahead.Store(int64(70 * time.Hour))
	if tick(again); number() != before+1 {
		t.Error("after the end of the other node it is this one's task")
	}
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
	"trustcore/hsm"
	"trustcore/internal/audit"
	"trustcore/internal/store"
	"trustcore/pki"
	"trustcore/vpn"
)

// nodeKills names how often a node is killed; make endure says more than make test.
const nodeKills = "TRUSTCORE_NODE_KILLS"

// TestNodesAreKilled kills one of two nodes after the other while officers decide orders, an application renews its certificate and
// what was renewed is revoked. Whoever gets no answer asks the other node. In the end everything that was acknowledged is there once:
// a key and a certificate an order, no key that nobody knows, no revocation that is forgotten, and nothing that the logs do not allow.
func TestNodesAreKilled(t *testing.T) {
	kills := uint64(2)
	if text := os.Getenv(nodeKills); text != "" {
		kills = number(t, text)
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), 0)) // of the moments, which are others each time however they are chosen
	c := newCluster(t)
	acts := c.acts()
	var acting sync.WaitGroup
	stop := make(chan struct{})
	for _, act := range acts.all {
		acting.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := act(n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	acts.more(1)
	for n := range kills {
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond) // whichever moment is hit must do
		node := c.nodes[n%2]
		node.kill()
		acts.more(1) // with one node
		node.start(t)
		if t.Failed() {
			break
		}
	}
	acts.more(1)
	close(stop)
	acting.Wait()
	acts.settled()
	t.Logf("%d kills: %d orders, %d revocations; %d calls, %d lost", kills, len(acts.orders), len(acts.revoked), c.served.Load(), c.lost.Load())
}

// acts are what is done while nodes are killed, and what of it was acknowledged.
type acts struct {
	*cluster
	first, second, application *http.Client
	all                        []func(n int) error

	mu      sync.Mutex
	orders  []string
	revoked []string // orders whose certificate is; both guarded by mu
}

func (c *cluster) acts() *acts {
	a := &acts{cluster: c, first: c.as("officer-1"), second: c.as("officer-2"), application: c.as("ezd")}
	a.all = []func(int) error{a.order, a.renew, a.revoke}
	return a
}

// more waits until so many of each act are acknowledged.
func (a *acts) more(n int) {
	a.t.Helper()
	count := func() [2]int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return [2]int{len(a.orders), len(a.revoked)}
	}
	begun := count()
	for deadline := time.Now().Add(2 * time.Minute); !a.t.Failed(); <-time.After(10 * time.Millisecond) {
		now := count()
		if now[0] >= begun[0]+n && now[1] >= begun[1]+n {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("orders and revocations stand at %v since %v", now, begun)
		}
	}
}

// ask posts what a node that lives acknowledges, or says that it was done before: then an answer was lost. Who is told to come again does.
func (a *acts) ask(client *http.Client, listener, path, body string, into any) error {
	answer, err := a.call(client, "POST", "https", listener, path, []byte(body))
	for begun := time.Now(); err != nil && time.Since(begun) < time.Minute; <-time.After(50 * time.Millisecond) {
		answer, err = a.call(client, "POST", "https", listener, path, []byte(body))
	}
	switch {
	case err != nil:
		return err
	case answer.status == http.StatusConflict:
		return nil
	case answer.status != http.StatusOK:
		return fmt.Errorf("%s: %d %s", path, answer.status, answer.body)
	case into != nil:
		return json.Unmarshal(answer.body, into)
	}
	return nil
}

// order has an order decided and its office enrolled.
func (a *acts) order(n int) error {
	id := fmt.Sprintf("ZU-%d", n)
	text := activationOf(id, "", keysOnly, "ezd-"+id[3:], key("seal", ""), inYears(2))
	if err := a.ask(a.first, "admin", "/v1/orders", text, nil); err != nil {
		return err
	}
	if err := a.ask(a.second, "admin", "/v1/orders/approve", `{"id":"`+id+`"}`, nil); err != nil {
		return err
	}
	tunnel, err := vpn.GeneratePrivateKey()
	if err != nil {
		return err
	}
	_, csr := a.request("")
	var token struct{ Token string }
	if err := a.ask(a.second, "admin", "/v1/orders/token", `{"id":"`+id+`"}`, &token); err != nil {
		return err
	}
	enrolment, err := json.Marshal(enrolRequest{Token: token.Token, PublicKey: tunnel.Public().String(), CSR: csr})
	if err != nil {
		return err
	}
	if err := a.ask(a.second, "enrolment", "/v1/enrolments", string(enrolment), nil); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orders = append(a.orders, id)
	return nil
}

// mostRenewals is a little below how often one holder may renew in a day.
const mostRenewals = 8

func (a *acts) renew(n int) error {
	if n > mostRenewals {
		<-time.After(10 * time.Millisecond)
		return nil
	}
	_, csr := a.request("ezd")
	body, err := json.Marshal(map[string]string{"csr": csr})
	if err != nil {
		return err
	}
	return a.ask(a.application, "admin", "/v1/renewals", string(body), nil)
}

// revoke has two officers revoke the certificate of an order's key, when it is there.
func (a *acts) revoke(int) error {
	a.mu.Lock()
	order := ""
	if done := len(a.revoked); done < len(a.orders) {
		order = a.orders[done]
	}
	a.mu.Unlock()
	var there marked
	if order != "" {
		found, err := a.call(a.first, "GET", "https", "admin", "/v1/certificates?profile=seal&order="+order, nil)
		if err == nil && json.Unmarshal(found.body, &there) != nil {
			return fmt.Errorf("certificates of %s: %s", order, found.body)
		}
	}
	if len(there.Certificates) == 0 {
		<-time.After(50 * time.Millisecond)
		return nil
	}
	which := `{"serial":"` + there.Certificates[0].Serial + `"}`
	var motion registry.Motion
	err := a.ask(a.first, "admin", "/v1/motions", `{"kind":"certificate.revoke","reason":"superseded","which":`+which+`}`, &motion)
	if err == nil {
		err = a.ask(a.second, "admin", "/v1/motions/approve", `{"id":"`+motion.ID+`"}`, nil)
	}
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.revoked = append(a.revoked, order)
	return nil
}

// settled waits until everything that was acknowledged is done, and looks that nothing is done twice, or by nobody.
func (a *acts) settled() {
	a.t.Helper()
	db := openDatabase(a.t, a.nodes[0].database)
	count := func(query string, args ...any) (n int) {
		a.t.Helper()
		a.must(db.QueryRowContext(a.t.Context(), query, args...).Scan(&n))
		return n
	}
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(50 * time.Millisecond) {
		reserved := count(`SELECT COUNT(*) FROM pki_certificate WHERE der IS NULL AND given_up = 0`)
		var left []string
		for _, id := range a.orders {
			if count(`SELECT COUNT(*) FROM pki_certificate WHERE order_id = $1 AND profile = 'seal' AND der IS NOT NULL`, id) == 0 {
				left = append(left, id)
			}
		}
		for _, id := range a.revoked {
			if count(`SELECT COUNT(*) FROM pki_certificate c JOIN pki_revocation r ON r.issuer = c.issuer AND r.serial = c.serial
				WHERE c.order_id = $1`, id) != 1 {
				left = append(left, "revocation of "+id)
			}
		}
		if reserved == 0 && len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("acknowledged and not done: %v, %d serial numbers are reserved", left, reserved)
		}
	}
	for _, id := range a.orders {
		keys := count(`SELECT COUNT(*) FROM hsm_keys WHERE order_id = $1 AND state <> 'destroyed'`, id) // which a cut generation leaves
		certificates := count(`SELECT COUNT(*) FROM pki_certificate WHERE order_id = $1 AND profile = 'seal' AND der IS NOT NULL`, id)
		if keys != 1 || certificates != 1 {
			a.t.Errorf("order %s has %d keys and %d certificates", id, keys, certificates)
		}
	}
	inventory, err := a.call(a.first, "GET", "https", "admin", "/v1/keys/inventory", nil)
	a.must(err)
	var held hsm.Inventory
	a.must(json.Unmarshal(inventory.body, &held))
	if !held.Whole() || held.Held == 0 {
		a.t.Errorf("registry and token: %+v", held)
	}
	a.allowed(db)
}

// allowed holds what the database has against the logs of the founder and both nodes: nothing in it is by nobody.
func (a *acts) allowed(db *store.DB) {
	a.t.Helper()
	ctx := context.WithoutCancel(a.t.Context())
	var all []audit.Fact
	for _, of := range []func(context.Context, *store.DB) ([]audit.Fact, error){registry.Facts, pki.Facts, hsm.Facts} {
		some, err := of(ctx, db)
		a.must(err)
		all = append(all, some...)
	}
	facts := audit.NewFacts(all)
	for _, dir := range []string{a.dir, a.nodes[0].dir, a.nodes[1].dir} {
		reader, err := audit.OpenReader(filepath.Join(dir, "trustd", "audit"))
		a.must(err)
		if _, err := reader.Verify(ctx, audit.Against{Each: facts.Each}); err != nil {
			a.t.Errorf("the log of %s: %v", strings.TrimPrefix(dir, os.TempDir()), err)
		}
	}
	if n, err := facts.Missing(); err != nil || n < len(a.orders) {
		a.t.Errorf("of %d facts: %v", n, err)
	}
}

package pki_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	stamps "github.com/digitorus/timestamp"
	codes "golang.org/x/crypto/ocsp"

	"trustcore/internal/store/storetest"
	"trustcore/pki"
	"trustcore/pki/clock"
	"trustcore/pki/pkitest"
	"trustcore/pki/profile"
	"trustcore/pki/tsa"
)

const day = 24 * time.Hour

// token holds keys as an HSM does: by name, away for a while, destroyed for ever.
type token struct {
	mu      sync.Mutex
	keys    map[string]crypto.Signer // guarded by mu
	retired []string                 // guarded by mu
	away    atomic.Bool
	unable  atomic.Bool // makes no keys
	hung    atomic.Pointer[chan struct{}]
}

// hang lets signatures wait until release is closed.
func (t *token) hang(release chan struct{}) { t.hung.Store(&release) }

type tokenKey struct {
	crypto.Signer
	token *token
}

func (k tokenKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.token.away.Load() {
		return nil, errors.New("the token is away")
	}
	if release := k.token.hung.Load(); release != nil {
		<-*release
	}
	return k.Signer.Sign(rand, digest, opts)
}

func (t *token) hold(id string, key crypto.Signer) crypto.Signer {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys[id] = tokenKey{key, t}
	return t.keys[id]
}

func (t *token) newKey(_ context.Context, label, algorithm string) (string, crypto.Signer, error) {
	t.mu.Lock()
	key, there := t.keys[label]
	t.mu.Unlock()
	switch {
	case t.unable.Load():
		return "", nil, errors.New("the token makes no keys")
	case there:
		return label, key, nil
	case algorithm != "P-256":
		return "", nil, errors.New("no " + algorithm)
	}
	fresh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	return label, t.hold(label, fresh), nil
}

func (t *token) openKey(_ context.Context, id string) (crypto.Signer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key, there := t.keys[id]; there {
		return key, nil
	}
	return nil, errors.New("no key " + id)
}

func (t *token) retireKey(_ context.Context, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.keys, id)
	t.retired = append(t.retired, id)
	return nil
}

// appliance is a site whose keys lie in a token and whose clock the test moves.
type appliance struct {
	*site
	token *token
	now   atomic.Pointer[time.Time]
}

func openAppliance(t testing.TB, databaseURL string) *appliance {
	t.Helper()
	a := &appliance{site: open(t, databaseURL), token: &token{keys: map[string]crypto.Signer{}}}
	a.token.hold("issuing", a.made.Issuing.Key)
	a.token.hold("ocsp", a.made.OCSP.Key)
	a.token.hold("tsa", a.made.TimeStamping.Key)
	a.set(time.Now())
	if _, err := a.db.ExecContext(t.Context(), `DELETE FROM pki_unit`); err != nil { // open had the keys themselves
		t.Fatal(err)
	}
	a.restart(t)
	return a
}

func (a *appliance) set(now time.Time)      { a.now.Store(&now) }
func (a *appliance) pass(d time.Duration)   { a.set(a.now.Load().Add(d)) }
func (a *appliance) clock() time.Time       { return *a.now.Load() }
func (a *appliance) elapsed() time.Duration { return a.clock().Sub(a.made.Root.Certificate.NotBefore) }
func synchronised() (clock.Kernel, error)   { return clock.Kernel{Synchronised: true}, nil }

func (a *appliance) config(t testing.TB) pki.Config {
	t.Helper()
	cfg := a.site.config()
	cfg.Roots[0].Key = a.made.Root.Key
	issuing, err := a.token.openKey(t.Context(), "issuing")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Issuers[0].Key = issuing
	cfg.Issuers[0].OCSP = pki.Delegate{Certificate: a.made.OCSP.Certificate, KeyID: "ocsp"}
	cfg.TSA = pki.Delegate{Certificate: a.made.TimeStamping.Certificate, KeyID: "tsa"}
	cfg.NewKey, cfg.OpenKey, cfg.RetireKey = a.token.newKey, a.token.openKey, a.token.retireKey
	cfg.Now, cfg.Elapsed, cfg.Kernel = a.clock, a.elapsed, synchronised
	return cfg
}

// restart opens the authority anew over the same database.
func (a *appliance) restart(t testing.TB) {
	t.Helper()
	var err error
	if a.ca, err = pki.New(t.Context(), a.config(t)); err != nil {
		t.Fatal(err)
	}
}

func (a *appliance) tick(t testing.TB) {
	t.Helper()
	if err := a.ca.Tick(t.Context()); err != nil {
		t.Error(err)
	}
}

func (s *site) ask(method, path, kind string, body []byte) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(method, s.base+path, strings.NewReader(string(body)))
	request.Header.Set("Content-Type", kind)
	s.ca.Handler().ServeHTTP(recorder, request)
	return recorder
}

// answer asks the responder of leaf's issuer and checks the answer as a relying party does at this moment.
func (a *appliance) answer(leaf *x509.Certificate) (*codes.Response, error) {
	der, err := codes.CreateRequest(leaf, a.made.Issuing.Certificate, nil)
	if err != nil {
		return nil, err
	}
	answer, err := codes.ParseResponseForCert(a.ask(http.MethodPost, "/ocsp", "application/ocsp-request", der).Body.Bytes(), leaf, a.made.Issuing.Certificate)
	if err != nil {
		return nil, err
	}
	now := a.clock()
	by := answer.Certificate
	switch {
	case now.Before(answer.ThisUpdate.Add(-time.Second)) || !now.Before(answer.NextUpdate):
		return nil, fmt.Errorf("at %s the answer holds from %s to %s", now, answer.ThisUpdate, answer.NextUpdate)
	case by == nil || now.Before(by.NotBefore) || now.After(by.NotAfter):
		return nil, fmt.Errorf("at %s the delegate's certificate does not hold", now)
	}
	return answer, nil
}

// reader is held while digitorus' package reads: it counts in a variable of its own.
var reader sync.Mutex

// stamped asks for a time-stamp and checks it as a relying party does at this moment.
func (a *appliance) stamped() error {
	request, err := stamps.CreateRequest(strings.NewReader("document"), &stamps.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	if err != nil {
		return err
	}
	reply := a.ask(http.MethodPost, "/tsa", "application/timestamp-query", request).Body.Bytes()
	reader.Lock()
	stamp, err := stamps.ParseResponse(reply)
	reader.Unlock()
	if err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.made.Root.Certificate)
	for _, c := range stamp.Certificates[1:] {
		between.AddCert(c)
	}
	unit, now := stamp.Certificates[0], a.clock()
	if _, err := unit.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}}); err != nil {
		return err
	}
	if end, err := tsa.EndOfUse(unit); err != nil || now.After(end) {
		return fmt.Errorf("the key is used at %s, its use ends %s, %v", now, end, err)
	}
	if d := stamp.Time.Sub(now).Abs(); d > time.Second {
		return fmt.Errorf("time of the token is wrong by %v", d)
	}
	return nil
}

// fresh checks the lists as a relying party does at this moment.
func (a *appliance) fresh() error {
	for name, issuer := range map[string]*x509.Certificate{"issuing": a.made.Issuing.Certificate, "root": a.made.Root.Certificate} {
		list, err := x509.ParseRevocationList(a.ask(http.MethodGet, "/crl/"+name+".crl", "", nil).Body.Bytes())
		if err != nil {
			return err
		}
		if err := list.CheckSignatureFrom(issuer); err != nil {
			return err
		}
		if now := a.clock(); now.Before(list.ThisUpdate.Add(-time.Second)) || !now.Before(list.NextUpdate) {
			return fmt.Errorf("at %s the list %s holds from %s to %s", now, name, list.ThisUpdate, list.NextUpdate)
		}
	}
	return nil
}

// allServe checks all that relying parties ask for.
func (a *appliance) allServe(t testing.TB, leaf *x509.Certificate) {
	t.Helper()
	answer, err := a.answer(leaf)
	if err == nil && answer.Status != codes.Good {
		err = fmt.Errorf("status %d", answer.Status)
	}
	if err := errors.Join(err, a.stamped(), a.fresh()); err != nil {
		t.Errorf("on %s: %v", a.clock().Format(time.DateOnly), err)
	}
}

// TestTenYears starts the appliance every 30 days until its issuing authority ends.
func TestTenYears(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	last := a.made.Issuing.Certificate.NotAfter.Add(-30 * day)
	var leaf *x509.Certificate
	for a.clock().Before(last) {
		a.restart(t)
		a.tick(t)
		if leaf == nil || a.clock().After(leaf.NotAfter.Add(-60*day)) {
			leaf = a.issue(t, pki.PartnerClient, office)
		}
		a.allServe(t, leaf)
		for _, f := range a.ca.Findings() {
			t.Errorf("on %s: %+v", a.clock().Format(time.DateOnly), f)
		}
		a.pass(30 * day)
	}
	if n := len(a.token.retired); n < 15 { // 13 delegates and 4 units, some of which are still there
		t.Errorf("%d keys were retired: %v", n, a.token.retired)
	}
}

// TestRenewalLosesNoCall moves the clock of a running authority past the renewals while answers are asked for.
func TestRenewalLosesNoCall(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	leaf := a.issue(t, pki.PartnerClient, office)
	a.tick(t)
	first := a.delegate(t, leaf)
	stop := make(chan struct{})
	var asking sync.WaitGroup
	var moving sync.RWMutex // held while the clock moves: nobody else sees it move during a call
	for _, ask := range []func() error{a.stamped, func() error { _, err := a.answer(leaf); return err }} {
		for range 2 {
			asking.Go(func() {
				for {
					moving.RLock()
					if err := ask(); err != nil {
						t.Error(err)
					}
					moving.RUnlock()
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
	}
	for range 20 { // 380 days: the delegate's 265 are over, and those of the leaf are not
		moving.Lock()
		a.pass(19 * day)
		moving.Unlock()
		a.tick(t)
	}
	moving.Lock()
	a.pass(2 * time.Hour)
	moving.Unlock()
	a.tick(t)
	close(stop)
	asking.Wait()
	if second := a.delegate(t, leaf); second.Equal(first) || second.Subject.CommonName != "Demonstration OCSP Responder 2" || second.Subject.Country[0] != "PL" {
		t.Errorf("delegate %v after %v", second.Subject, first.Subject)
	}
	if len(a.token.retired) != 1 || a.token.retired[0] != "ocsp" {
		t.Errorf("retired: %v", a.token.retired)
	}
}

func (a *appliance) delegate(t testing.TB, leaf *x509.Certificate) *x509.Certificate {
	t.Helper()
	answer, err := a.answer(leaf)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Certificate
}

func TestUnitRenewsKeyAndCertificate(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	a.pass(487 * day) // of 732 days of use
	a.tick(t)
	if found := a.units(t); len(found) != 1 {
		t.Fatalf("renewed before two thirds of the key's use: %d units", len(found))
	}
	a.pass(2 * day)
	a.tick(t)
	found := a.units(t)
	if len(found) != 2 || found[0].PublicKey == found[1].PublicKey || found[0].State != pki.Valid || found[1].State != pki.Valid {
		t.Fatalf("after two thirds of the key's use: %+v", found)
	}
	if err := a.stamped(); err != nil {
		t.Error(err)
	}
	a.pass(2 * time.Hour)
	a.tick(t)
	if !strings.Contains(strings.Join(a.token.retired, " "), "tsa") {
		t.Errorf("the old unit's key lives on: retired %v", a.token.retired)
	}
	a.restart(t)
	if err := a.stamped(); err != nil {
		t.Error(err)
	}
}

func (a *appliance) units(t testing.TB) []pki.Certificate {
	t.Helper()
	found, err := a.ca.Certificates(t.Context(), pki.Filter{Profile: pki.TimeStamping})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestRenewalGoesOnAfterAFailure: the key of the first try serves the second; nothing is made twice.
func TestRenewalGoesOnAfterAFailure(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	leaf := a.issue(t, pki.PartnerClient, office)
	a.pass(300 * day)
	a.token.unable.Store(true)
	if err := a.ca.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "makes no keys") {
		t.Fatalf("a token that makes no keys: %v", err)
	}
	if found := a.ca.Findings(); len(found) != 1 || found[0].Red || !strings.Contains(found[0].What, "makes no keys") {
		t.Errorf("findings: %+v", found)
	}
	a.token.unable.Store(false)
	for range 31 {
		a.tick(t)
	}
	a.pass(2 * time.Hour) // answers that the old delegate signed have ended
	if len(a.ca.Findings()) != 0 || a.delegate(t, leaf).Subject.CommonName != "Demonstration OCSP Responder 2" {
		t.Errorf("not renewed when the token was back: %+v", a.ca.Findings())
	}
}

func testSecondNodeFollows(t *testing.T, databaseURL string) {
	one := openAppliance(t, databaseURL)
	leaf := one.issue(t, pki.PartnerClient, office)
	two := &appliance{site: &site{made: one.made, db: openStore(t, databaseURL), base: one.base, key: one.key}, token: one.token}
	two.openLog(t)
	two.set(one.clock())
	two.restart(t)
	for _, a := range []*appliance{one, two} {
		a.pass(300 * day)
	}
	one.tick(t)
	two.tick(t)
	first, second := one.delegate(t, leaf), two.delegate(t, leaf)
	if !first.Equal(second) || first.Equal(one.made.OCSP.Certificate) {
		t.Errorf("one node has %v, the other %v", first.SerialNumber, second.SerialNumber)
	}
}

func TestRevokedDelegateIsReplaced(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	leaf := a.issue(t, pki.PartnerClient, office)
	old := a.delegate(t, leaf)
	if err := a.revoke(t, hexOf(old), pki.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	a.tick(t)
	if next := a.delegate(t, leaf); next.Equal(old) {
		t.Error("a compromised delegate's answer is given out")
	}
}

// TestLostKeyOfAUnit: what is not there can't sign, and the rest starts and heals.
func TestLostKeyOfAUnit(t *testing.T) {
	a := openAppliance(t, storetest.SQLite(t))
	leaf := a.issue(t, pki.PartnerClient, office)
	if err := a.token.retireKey(t.Context(), "tsa"); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	if err := a.stamped(); err == nil {
		t.Error("a time-stamp without a key")
	}
	if a.ca.Serves("tsa") == nil || a.ca.Serves("ocsp") != nil || a.ca.Serves("crl") != nil {
		t.Errorf("serves: %v, %v, %v", a.ca.Serves("tsa"), a.ca.Serves("ocsp"), a.ca.Serves("crl"))
	}
	a.tick(t)
	a.allServe(t, leaf)
}

// TestStateOfTheVersionBefore starts over tables that have neither units nor holders of keys.
func testStateOfTheVersionBefore(t *testing.T, databaseURL string) {
	a := &appliance{site: &site{base: "http://127.0.0.1/pki"}, token: &token{keys: map[string]crypto.Signer{}}}
	a.made = pkitest.Perform(t, a.base)
	a.key = &signingKey{Signer: a.made.Issuing.Key}
	a.token.hold("issuing", a.made.Issuing.Key)
	a.token.hold("ocsp", a.made.OCSP.Key)
	a.token.hold("tsa", a.made.TimeStamping.Key)
	a.db = openStore(t, databaseURL)
	a.openLog(t)
	a.set(time.Now())
	if err := a.db.Migrate(t.Context(), "pki", pki.Schema[:pki.OldSchema]); err != nil {
		t.Fatal(err)
	}
	leaf, key := pkitest.Leaf(t, a.made.Issuing, big.NewInt(7), profile.IssuingPlaces(a.base))
	spki := sha256Hex(leaf.RawSubjectPublicKeyInfo)
	issuer := fmt.Sprintf("%x", a.made.Issuing.Certificate.SubjectKeyId)
	for _, row := range []struct{ serial, public string }{{"7", spki}, {"8", "compromised"}} {
		if _, err := a.db.ExecContext(t.Context(), `INSERT INTO pki_certificate (issuer, serial, profile, partner, common_name, names, order_id, actor_kind,
			actor_id, not_before, not_after, created, public_key, fingerprint, der) VALUES ($1, $2, 'partner-client', $3, $4, '', 'o', 'officer', 'x', $5, $6, $7, $8, $9, $10)`,
			issuer, row.serial, office.Partner, "leaf 7", leaf.NotBefore.Unix(), leaf.NotAfter.Unix(), time.Now().Unix(), row.public, sha256Hex(leaf.Raw), leaf.Raw); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.db.ExecContext(t.Context(), `INSERT INTO pki_revocation (issuer, serial, sequence, revoked_at, reason, order_id, actor_kind, actor_id, audit_index)
		VALUES ($1, '8', 1, 1700000000, 1, '', 'officer', 'x', 0)`, issuer); err != nil {
		t.Fatal(err)
	}
	a.restart(t)
	if c, err := a.ca.Standing(t.Context(), leaf); err != nil || c.Partner != office.Partner {
		t.Errorf("a certificate of the version before: %+v, %v", c, err)
	}
	_, err := a.ca.Issue(t.Context(), officer, pki.PartnerClient, request(t, key, x509.CertificateRequest{}), pki.Subject{Partner: "another", CommonName: "x"}, "p")
	wantRefusal(t, "another's key of the version before", err, "public key")
	var blocked int64
	if err := a.db.QueryRow(`SELECT blocked FROM pki_key WHERE public_key = 'compromised'`).Scan(&blocked); err != nil || blocked == 0 {
		t.Errorf("a key that was compromised in the version before: blocked %d, %v", blocked, err)
	}
	a.allServe(t, leaf)
	a.tick(t)
}

func wantRefusal(t testing.TB, what string, err error, field string) {
	t.Helper()
	var refused *pki.RequestError
	if !errors.As(err, &refused) || refused.Field != field {
		t.Errorf("%s: want a refusal of %q, got %v", what, field, err)
	}
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

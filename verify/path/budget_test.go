package path_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ocsp"

	"trustcore/internal/budget"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// A claimed key is certified with a public key that nobody holds.
type claimed struct {
	crypto.Signer
	public crypto.PublicKey
}

func (c claimed) Public() crypto.PublicKey { return c.public }

// dearKey is an RSA key of 16,384 bits.
func dearKey(number int64) claimed {
	n := new(big.Int).SetBytes(bytes.Repeat([]byte{0xd5}, 2048))
	return claimed{public: &rsa.PublicKey{N: n.Add(n, big.NewInt(2*number)), E: 65537}}
}

// spentOn validates with a budget and returns the answer, and what it took of the budget.
func spentOn(r path.Request, units int64) (path.Result, int64) {
	r.Budget = budget.Of(context.Background(), units, 0)
	result := validate(r)
	return result, units - r.Budget.Left()
}

func wantSpent(t *testing.T, r path.Result, spent bool) {
	t.Helper()
	over := r.Reason().Code == path.Budget && strings.Contains(r.Reason().Detail, "the document takes too much work")
	if over != spent || spent && r.Valid {
		t.Errorf("valid %v, reasons %v", r.Valid, r.Reasons)
	}
}

// TestTheBudgetOfTheDocument is spent by keys at their price, by candidates, by octets of a path, and by names; what a cache
// answers costs no key.
func TestTheBudgetOfTheDocument(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root, lost := mint(t, nil, "root", nil, ca), mint(t, nil, "middle", key, ca)
	leaf := mint(t, lost, "leaf", nil)
	t.Run("keys", func(t *testing.T) {
		var heap []*entity
		for i := range int64(64) {
			heap = append(heap, mint(t, root, "middle", dearKey(i), ca))
		}
		dear, err := heap[0].cert.Key()
		if err != nil {
			t.Fatal(err)
		}
		request := path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, root), Limits: path.Limits{Work: 1 << 50}}
		r, spent := spentOn(request, 20*dear.Cost())
		wantSpent(t, r, true)
		if r.Spent.Signatures < 18 || r.Spent.Signatures > 20 || spent < 20*dear.Cost() {
			t.Errorf("%d signatures, %d units", r.Spent.Signatures, spent)
		}
		request.Budget = budget.Of(context.Background(), 1<<50, 0)
		wantCode(t, validate(request), path.BadSignature)
	})
	t.Run("candidates", func(t *testing.T) {
		var heap []*entity
		shape := mint(t, root, "middle", nil, ca) // of another kind: no signature is computed
		for range 300 {
			heap = append(heap, mint(t, root, "middle", shape.key, ca))
		}
		r, _ := spentOn(path.Request{Target: leaf.cert, Pool: pool(heap...), Anchors: anchors(t, root)}, 30_000)
		wantSpent(t, r, true)
		if r.Spent.Signatures > 0 {
			t.Errorf("%d signatures", r.Spent.Signatures)
		}
	})
	middle := mint(t, root, "middle", nil, ca, func(c *x509.Certificate) {
		for i := range 200 {
			c.ExcludedDNSDomains = append(c.ExcludedDNSDomains, fmt.Sprint("x", i, ".test"))
		}
	})
	named := mint(t, middle, "leaf", nil, func(c *x509.Certificate) {
		for i := range 200 {
			c.DNSNames = append(c.DNSNames, fmt.Sprint("y", i, ".example"))
		}
	})
	request := path.Request{Target: named.cert, Pool: pool(middle), Anchors: anchors(t, root), Cache: newCache(t)}
	wantCode(t, validate(request), path.OK) // fills the cache
	r, spent := spentOn(request, 1<<40)
	wantCode(t, r, path.OK)
	octets := int64(10 * (len(named.cert.Raw) + len(middle.cert.Raw)))
	if r.Spent.Signatures != 0 || spent < 200*200*200+octets {
		t.Errorf("%d signatures with a warm cache, %d units for 40,000 comparisons and the octets of two certificates", r.Spent.Signatures, spent)
	}
	for name, units := range map[string]int64{"octets": octets / 2, "names": octets + 200*200*200/2} {
		t.Run(name, func(t *testing.T) {
			r, _ := spentOn(request, units)
			wantSpent(t, r, true)
		})
	}
}

// TestEvidenceIsPaidToo: by octets, which are hashed to be found in the cache, and by keys.
func TestEvidenceIsPaidToo(t *testing.T) {
	root := mint(t, nil, "root", nil, ca)
	leaf := mint(t, root, "leaf", nil)
	crl := list(t, root, nil)
	request := path.Request{Target: leaf.cert, Anchors: anchors(t, root), Cache: newCache(t), Revocation: evidence(true, nil, crl)}
	wantCode(t, validate(request), path.OK)
	r, spent := spentOn(request, 1<<40)
	wantCode(t, r, path.OK)
	revoked := map[*entity]int{}
	for range 100 {
		revoked[mint(t, root, "revoked", root.key)] = 1
	}
	long := request
	longer := list(t, root, revoked)
	long.Revocation = evidence(true, nil, longer)
	wantCode(t, validate(long), path.OK)
	_, more := spentOn(long, 1<<40)
	if r.Spent.Signatures != 0 || more-spent < budget.Octet*int64(len(longer.RawTBS)-len(crl.RawTBS)) {
		t.Errorf("%d signatures with a warm cache, %d units, and %d for a longer list", r.Spent.Signatures, spent, more)
	}
	r, _ = spentOn(request, spent-1)
	wantSpent(t, r, true)
	request.Cache = nil
	key, err := root.cert.Key()
	if err != nil {
		t.Fatal(err)
	}
	if r, cold := spentOn(request, 1<<40); !r.Valid || cold < spent+2*key.Cost() {
		t.Errorf("%d units without a cache, %d with one", cold, spent)
	}
	// A search through answers that name the certificate ends as well.
	response := answer(t, leaf, root, root, ocsp.Good)
	request.Revocation = evidence(true, []*revocation.Response{response})
	_, spent = spentOn(request, 1<<40)
	r, _ = spentOn(request, spent-1)
	wantSpent(t, r, true)
	var many []*revocation.Response
	for range 3_000 {
		many = append(many, response)
	}
	request.Revocation, request.Cache = evidence(true, many), newCache(t)
	wantCode(t, validate(request), path.OK) // fills the cache, so that the look alone is paid
	r, _ = spentOn(request, 200_000)
	wantSpent(t, r, true)
}

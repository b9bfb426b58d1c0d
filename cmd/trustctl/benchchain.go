package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"trustcore/verify/algorithm"
	"trustcore/verify/cache"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
)

func chainFlags(c *cobra.Command, s *benchSettings) {
	c.Flags().StringVar(&s.cases, "cases", "", "`file` with cases of kind chain, as trustctl vectors reads them (default: chains made for the run)")
}

// benchChainCase is one chain to validate.
type benchChainCase struct {
	der      [][]byte // target, then what paths are built from
	anchor   [][]byte
	request  path.Request
	checks   []signatureCheck
	std      *x509.Certificate // nil where crypto/x509 cannot take part
	stdBelow x509.VerifyOptions
}

type signatureCheck struct {
	scheme             algorithm.Scheme
	key                *algorithm.PublicKey
	message, signature []byte
}

// benchChain measures validation of chains, parsed certificates given, against their signature checks.
func benchChain(ctx context.Context, s *benchSettings) (*measurement, error) {
	s.note("preparing chains")
	m := &measurement{Unit: "chains", Details: map[string]any{"workers": s.workers(1)}}
	if s.cases != "" {
		cases, err := readChainCases(ctx, s.cases)
		if err != nil {
			return nil, err
		}
		m.Details["chains"] = len(cases)
		rates, err := measureChains(ctx, s, cases, s.duration())
		if err != nil {
			return nil, err
		}
		m.headline(rates)
		return m, nil
	}
	kinds := []struct {
		name string
		make func() (crypto.Signer, error)
	}{
		{"RSA-2048", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
		{"P-256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
		{"P-384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
	}
	for i, k := range kinds {
		s.note("chain of three certificates, " + k.name)
		c, err := mintChain(ctx, k.make)
		if err != nil {
			return nil, fmt.Errorf("making a chain, %s: %w", k.name, err)
		}
		rates, err := measureChains(ctx, s, []*benchChainCase{c}, s.duration()/time.Duration(len(kinds)))
		if err != nil {
			return nil, err
		}
		if i == 0 {
			m.headline(rates)
		}
		details := chainDetails(rates)
		openssl, err := opensslChain(ctx, c)
		if err != nil {
			return nil, err
		}
		if openssl > 0 {
			details["openssl_verify_per_second"] = openssl
			details["from_der_by_openssl"] = rates[chainDER].perSecond / openssl
		}
		m.Details[k.name] = details
	}
	return m, nil
}

func (m *measurement) headline(rates []rate) {
	m.set(rates[chainCold], "the signature checks of the same chains", rates[chainBare])
	for name, value := range chainDetails(rates) {
		m.Details[name] = value
	}
}

func chainDetails(rates []rate) map[string]any {
	bare := rates[chainBare]
	d := map[string]any{
		"from_der": rates[chainDER].figures(bare), "cold": rates[chainCold].figures(bare), "cached": rates[chainCached].figures(bare),
	}
	if std := rates[chainStd]; std.count > 0 {
		d["crypto_x509"] = std.figures(bare)
		d["cold_by_crypto_x509"] = ratio(rates[chainCold], std)
	}
	return d
}

// The ways of validating a chain, the slowest first.
const (
	chainDER = iota
	chainStd
	chainCold
	chainBare
	chainCached
)

// cachedRepeat makes what takes microseconds long enough to be timed.
const cachedRepeat = 20

func measureChains(ctx context.Context, s *benchSettings, cases []*benchChainCase, total time.Duration) ([]rate, error) {
	cache, err := cache.New(cache.Config{Certificates: cachedCertificates, Verdicts: cachedVerdicts})
	if err != nil {
		return nil, err
	}
	validate := func(ctx context.Context, r path.Request) error {
		if v := path.Validate(ctx, r); !v.Valid {
			return fmt.Errorf("a chain is not valid: %s", v.Reason())
		}
		return nil
	}
	ways := []way{
		chainDER: {name: "from DER", do: func(ctx context.Context, n int) error {
			c := cases[n]
			r, err := c.parsed(c.request)
			if err != nil {
				return err
			}
			return validate(ctx, r)
		}},
		chainStd: {name: "crypto/x509", do: func(_ context.Context, n int) error {
			_, err := cases[n].std.Verify(cases[n].stdBelow)
			return err
		}},
		chainCold: {name: "cold", do: func(ctx context.Context, n int) error { return validate(ctx, cases[n].request) }},
		chainBare: {name: "signature checks", do: func(_ context.Context, n int) error { return cases[n].check() }},
		chainCached: {name: "cached", repeat: cachedRepeat, do: func(ctx context.Context, n int) error {
			r := cases[n].request
			r.Cache = cache
			return validate(ctx, r)
		}},
	}
	if slices.ContainsFunc(cases, func(c *benchChainCase) bool { return c.std == nil }) {
		rates, err := alternate(ctx, total, s.workers(1), len(cases), slices.Delete(slices.Clone(ways), chainStd, chainStd+1))
		if err != nil {
			return nil, err
		}
		return slices.Insert(rates, chainStd, rate{}), nil
	}
	return alternate(ctx, total, s.workers(1), len(cases), ways)
}

// parsed reads the certificates of a case anew.
func (c *benchChainCase) parsed(r path.Request) (path.Request, error) {
	var err error
	if r.Target, err = certificate.Parse(c.der[0]); err != nil {
		return r, err
	}
	var heap []*certificate.Certificate
	for _, der := range c.der[1:] {
		if above, err := certificate.Parse(der); err == nil {
			heap = append(heap, above)
		}
	}
	r.Pool = path.NewPool(heap...)
	return r, nil
}

// prepare makes the request and finds the checks of its path. It reports false for a chain that is not valid.
func (c *benchChainCase) prepare(ctx context.Context, at time.Time) (bool, error) {
	var anchors []path.Anchor
	for _, der := range c.anchor {
		parsed, err := certificate.Parse(der)
		if err != nil {
			continue
		}
		a, err := path.AnchorFrom(parsed)
		if err != nil {
			continue
		}
		anchors = append(anchors, a)
	}
	set, err := path.NewAnchors(anchors...)
	if err != nil {
		return false, err
	}
	if c.request, err = c.parsed(path.Request{Anchors: set, Time: at}); err != nil {
		return false, nil // a target that cannot be read is no chain
	}
	result := path.Validate(ctx, c.request)
	if !result.Valid {
		return false, nil
	}
	for i, child := range result.Chain {
		key := result.Anchor.Key
		if i+1 < len(result.Chain) {
			if key, err = result.Chain[i+1].Key(); err != nil {
				return false, err
			}
		}
		scheme, err := algorithm.FromCertificate(child.SignatureAlgorithm)
		if err != nil {
			return false, err
		}
		c.checks = append(c.checks, signatureCheck{scheme, key, child.RawTBS, child.Signature})
	}
	return true, nil
}

func (c *benchChainCase) check() error {
	for _, s := range c.checks {
		if _, err := s.scheme.Verify(s.key, s.message, s.signature); err != nil && !errors.Is(err, algorithm.ErrNeedsParameters) {
			return err
		}
	}
	return nil
}

// mintChain makes root, middle and leaf.
func mintChain(ctx context.Context, newKey func() (crypto.Signer, error)) (*benchChainCase, error) {
	now := time.Now()
	var issuer *x509.Certificate
	var issuerKey crypto.Signer
	var all []*x509.Certificate
	for i, name := range []string{"Benchmark root", "Benchmark issuing", "Benchmark leaf"} {
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
		if i < 2 {
			template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		}
		if issuer == nil {
			issuer, issuerKey = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
		if err != nil {
			return nil, err
		}
		if issuer, err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
		issuerKey, all = key, append(all, issuer)
	}
	c := &benchChainCase{der: [][]byte{all[2].Raw, all[1].Raw}, anchor: [][]byte{all[0].Raw}, std: all[2],
		stdBelow: x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}}
	c.stdBelow.Roots.AddCert(all[0])
	c.stdBelow.Intermediates.AddCert(all[1])
	valid, err := c.prepare(ctx, now)
	if err == nil && !valid {
		err = errors.New("it is not valid")
	}
	return c, err
}

// chainLine is what is measured of a case of kind chain.
type chainLine struct {
	Kind        string    `json:"kind"`
	Certificate []byte    `json:"certificate"`
	Untrusted   [][]byte  `json:"untrusted"`
	Anchors     [][]byte  `json:"anchors"`
	Time        time.Time `json:"time"`
}

// readChainCases takes the cases whose chain is valid by RFC 5280 without revocation and policies, which are not measured here.
func readChainCases(ctx context.Context, file string) (cases []*benchChainCase, err error) {
	const maxLine = 64 << 20
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("--cases: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var line chainLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("--cases, line %d: %w", n, err)
		}
		c := &benchChainCase{der: append([][]byte{line.Certificate}, line.Untrusted...), anchor: line.Anchors}
		valid := false
		if line.Kind == "chain" {
			if valid, err = c.prepare(ctx, line.Time); err != nil {
				return nil, fmt.Errorf("--cases, line %d: %w", n, err)
			}
		}
		if valid {
			cases = append(cases, c)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--cases: %w", err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("--cases: %s holds no chain that is valid", file)
	}
	return cases, nil
}

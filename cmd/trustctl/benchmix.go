package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm/seal"
	"trustcore/internal/cms"
	"trustcore/pki"
	"trustcore/pki/ocsp"
	"trustcore/verify"
	"trustcore/verify/cache"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// benchDocument is one document of a measurement.
type benchDocument struct {
	name     string
	format   string // of the first signature
	data     []byte
	detached []signature.Detached
	at       time.Time
}

// judge opens and judges the document.
func (d *benchDocument) judge(ctx context.Context, ev *verify.Evidence) (*verify.Report, error) {
	v, err := verify.New(verify.Config{
		Lists: func() *trustlist.Snapshot { return ev.Lists }, Cache: ev.Cache, Policy: verify.DefaultPolicy(), Now: time.Now,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	return v.Verify(ctx, verify.Request{Document: d.data, Detached: d.detached, At: d.at, Evidence: ev})
}

// benchMix is a mix of documents with everything that their verdicts need.
type benchMix struct {
	documents []*benchDocument
	signers   []*x509.Certificate // of the documents, each issued by issuing
	issuing   *x509.Certificate
	evidence  verify.Evidence
	roots     [][]byte // anchors that were made for the mix, DER
}

// mint makes one document of each format at level B-T, by signers with the keys that are usual, and checks that each is TOTAL-PASSED.
func mint(ctx context.Context) (mix *benchMix, err error) {
	m, err := openMinting(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	if err := m.make(ctx); err != nil {
		return nil, err
	}
	if err := m.gather(ctx); err != nil {
		return nil, err
	}
	return m.mix, m.mix.check(ctx)
}

type minting struct {
	*benchAuthority
	mix     *benchMix
	stamp   seal.TSA
	ec, rsa seal.Signer
}

// openMinting makes an authority and the signers of documents. The caller ends it.
func openMinting(ctx context.Context) (*minting, error) {
	a, err := openBenchAuthority(ctx, false)
	if err != nil {
		return nil, err
	}
	m := &minting{benchAuthority: a, mix: &benchMix{roots: [][]byte{a.root.Raw}}}
	if m.stamp, err = seal.NewTSA(a.base+"/tsa", http.DefaultClient); err == nil {
		err = m.signers(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, m.end())
	}
	return m, nil
}

func (m *minting) end() error {
	http.DefaultClient.CloseIdleConnections() // before the server waits for them
	return m.close()
}

// signers are one with P-256 and one with RSA-3072, the least that is allowed now.
func (m *minting) signers(ctx context.Context) error {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	big, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return err
	}
	for _, s := range []struct {
		signer *seal.Signer
		key    crypto.Signer
		name   string
	}{{&m.ec, ec, "Signer EC"}, {&m.rsa, big, "Signer RSA"}} {
		certificate, err := m.issue(ctx, pki.Seal, pki.Subject{Partner: "um-przykladowo", CommonName: s.name}, s.key)
		if err != nil {
			return err
		}
		*s.signer = seal.Signer{Key: s.key, Certificate: certificate, Chain: []*x509.Certificate{m.issuing}}
	}
	return nil
}

func (m *minting) make(ctx context.Context) error {
	now := time.Now()
	letter := []byte(`<?xml version="1.0" encoding="UTF-8"?><Pismo xmlns="urn:trustcore:benchmark"><Tresc>` + strings.Repeat("Zażółć gęślą jaźń. ", 800) + `</Tresc></Pismo>`)
	makers := []struct {
		format string
		make   func() ([]byte, error)
	}{
		{"XAdES", func() ([]byte, error) { return seal.XAdES(ctx, letter, m.ec, seal.XMLOptions{Time: now, TSA: m.stamp}) }},
		{"PAdES", func() ([]byte, error) {
			return seal.PAdES(ctx, demoPDF(), m.rsa, seal.PDFOptions{Time: now, TSA: m.stamp})
		}},
		{"CAdES", func() ([]byte, error) { return m.cades(ctx, m.rsa, letter, letter) }},
		{"ASiC", func() ([]byte, error) { return m.asic(ctx, letter) }},
	}
	for _, k := range makers {
		data, err := k.make()
		if err != nil {
			return fmt.Errorf("making a document, %s: %w", k.format, err)
		}
		m.mix.documents = append(m.mix.documents, &benchDocument{name: k.format, format: k.format, data: data})
	}
	return nil
}

// cades makes CAdES B-T over data; content is embedded when not nil.
func (m *minting) cades(ctx context.Context, s seal.Signer, data, content []byte) ([]byte, error) {
	cfg := cms.SignConfig{Signer: s.Key, Certificate: s.Certificate.Raw, Certificates: [][]byte{m.issuing.Raw}, Hash: crypto.SHA256,
		Content: content, SigningTime: time.Now()}
	if content == nil {
		digest := sha256.Sum256(data)
		cfg.Digest = digest[:]
	}
	signed, err := cms.Sign(cfg)
	if err != nil {
		return nil, err
	}
	parsed, err := cms.Parse(signed)
	if err != nil {
		return nil, err
	}
	imprint := sha256.Sum256(parsed.Signers[0].Signature)
	token, err := m.stamp(ctx, crypto.SHA256, imprint[:])
	if err != nil {
		return nil, err
	}
	return cms.AddUnsignedAttribute(signed, 0, cms.NewTimestampAttribute(token))
}

// asic makes an ASiC-S container with CAdES (EN 319 162-1, 4.3).
func (m *minting) asic(ctx context.Context, data []byte) ([]byte, error) {
	signed, err := m.cades(ctx, m.ec, data, nil)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range []struct {
		name    string
		content []byte
		method  uint16
	}{{"mimetype", []byte("application/vnd.etsi.asic-s+zip"), zip.Store}, {"letter.xml", data, zip.Deflate}, {"META-INF/signature.p7s", signed, zip.Deflate}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: e.method})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	err = z.Close()
	return b.Bytes(), err
}

// gather collects the evidence that a gatherer would have: OCSP answers for what the issuing authority issued, the root's CRL for itself.
func (m *minting) gather(ctx context.Context) error {
	anchor := filepath.Join(m.dir, "root.pem")
	if err := os.WriteFile(anchor, custody.PEM(m.root.Raw), 0o600); err != nil {
		return err
	}
	lists, err := trustlist.Load(ctx, trustlist.Sources{Anchors: []string{anchor}})
	if err != nil {
		return err
	}
	m.mix.evidence.Lists = lists
	m.mix.signers, m.mix.issuing = []*x509.Certificate{m.ec.Certificate, m.rsa.Certificate}, m.issuing
	list, err := fetchLoopback(ctx, http.MethodGet, m.base+"/crl/root.crl", "", nil)
	if err != nil {
		return err
	}
	m.mix.evidence.CRLs = [][]byte{list}
	for _, c := range []*x509.Certificate{m.ec.Certificate, m.rsa.Certificate, m.tsa.Certificate} {
		request, err := ocsp.NewRequest(m.issuing, crypto.SHA1, nil, new(big.Int).Set(c.SerialNumber))
		if err != nil {
			return err
		}
		answer, err := fetchLoopback(ctx, http.MethodPost, m.base+"/ocsp", "application/ocsp-request", request)
		if err != nil {
			return err
		}
		m.mix.evidence.OCSPs = append(m.mix.evidence.OCSPs, answer)
	}
	at := time.Now().Add(time.Second) // evidence counts in whole seconds
	for _, d := range m.mix.documents {
		d.at = at
	}
	return nil
}

// check judges every document once: what is measured must be the way of a document that passes.
func (mix *benchMix) check(ctx context.Context) error {
	cache, err := cache.New(cache.Config{
		Certificates: cachedCertificates, Verdicts: cachedVerdicts, Evidence: cachedEvidence,
	})
	if err != nil {
		return err
	}
	mix.evidence.Cache = cache
	for _, d := range mix.documents {
		report, err := d.judge(ctx, &mix.evidence)
		if err != nil {
			return fmt.Errorf("judging the %s made for the run: %w", d.name, err)
		}
		if len(report.Signatures) != 1 || report.Signatures[0].Indication != verify.TotalPassed || len(report.Signatures[0].Timestamps) != 1 {
			return fmt.Errorf("the %s made for the run is not TOTAL-PASSED: %+v", d.name, report.Signatures)
		}
	}
	return nil
}

func fetchLoopback(ctx context.Context, method, address, kind string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", address, response.Status)
	}
	return answer, nil
}

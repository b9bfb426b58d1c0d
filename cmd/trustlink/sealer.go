package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"trustcore/cmd/trustlink/internal/hotfolder"
	"trustcore/hsm/receipt"
	"trustcore/hsm/remote"
	"trustcore/hsm/seal"
	"trustcore/hsm/seal/gather"
	"trustcore/internal/fetch"
)

// The forms for documents that have no place for a seal, which are the ends of the results' names too.
const (
	asSignature = "p7s"
	asContainer = "asics"
)

// sealOptions say how documents are sealed: what trustlink seal and trustlink hotfolder have in common.
type sealOptions struct {
	key, reason  string
	level, other string
	plain        bool
	receipt      string
	facts        string
}

func (o *sealOptions) flags(f *pflag.FlagSet, other string) {
	f.StringVar(&o.key, "key", "", "`name` or id of the key (may be left out when there is one)")
	f.StringVar(&o.reason, "reason", "", "why the document is sealed; stands in a PDF's signature")
	f.StringVar(&o.level, "level", "", "`level` of the seal: B-B, B-T, B-LT or B-LTA; without it B-LT, and B-T where no evidence can be had, which is said")
	f.BoolVar(&o.plain, "no-timestamp", false, "seal without a time-stamp (level B-B)")
	f.StringVar(&o.other, "other", other, "`form` for what is neither PDF nor XML nor JSON: p7s, a CAdES seal beside the file, or asics, a container with both")
	f.StringVar(&o.receipt, "receipt", "", "seal an official receipt of each document instead: upo, upp or upd (`kind`); with --facts")
	f.StringVar(&o.facts, "facts", "", "`file` (YAML or JSON) with what all receipts say")
}

// check tells whether the options are right.
func (o *sealOptions) check() error {
	if o.plain {
		if o.level != "" && o.level != string(seal.LevelB) {
			return errors.New("--no-timestamp makes level B-B: leave out --level")
		}
		o.level = string(seal.LevelB)
	}
	switch seal.Level(o.level) {
	case "", seal.LevelB, seal.LevelT, seal.LevelLT, seal.LevelLTA:
	default:
		return fmt.Errorf("--level: %q is none: write B-B, B-T, B-LT or B-LTA", o.level)
	}
	if o.other != asSignature && o.other != asContainer {
		return fmt.Errorf("--other: %q is none: write p7s or asics", o.other)
	}
	if o.facts != "" && o.receipt == "" {
		return errors.New("--facts: what a receipt says goes with --receipt upo, upp or upd")
	}
	return nil
}

// sealer seals documents with a key behind the gateway. It is safe for concurrent use.
type sealer struct {
	options seal.Options
	raise   bool // from LevelT to LevelLT, where evidence can be had
	other   string
	timeNow func() time.Time
	find    func(ctx context.Context) (*officeSigner, error) // the key, anew

	mu     sync.Mutex
	signer *officeSigner // guarded by mu
}

// officeSigner is a key behind the gateway with its certificates, its own first.
type officeSigner struct {
	key   *remote.Key
	chain []*x509.Certificate
}

// signerNamed asks the gateway for a key by its name or id: of the versions of a name, for the one that signs now.
func signerNamed(ctx context.Context, l *link, name string) (*officeSigner, error) {
	key, err := l.key(ctx, name)
	if err != nil {
		return nil, err
	}
	chain, err := key.Info().Certificates()
	if err != nil {
		return nil, err
	}
	if len(key.Mechanisms()) == 0 {
		return nil, errors.New("the office's order allows no mechanism for this key")
	}
	return &officeSigner{key, chain}, nil
}

// openSealer asks the gateway for the key and finds the ways to time-stamps and evidence.
func openSealer(ctx context.Context, l *link, o sealOptions) (*sealer, error) {
	find := func(ctx context.Context) (*officeSigner, error) { return signerNamed(ctx, l, o.key) }
	signer, err := find(ctx)
	if err != nil {
		return nil, err
	}
	s := &sealer{signer: signer, find: find, other: o.other, timeNow: time.Now,
		options: seal.Options{Level: seal.Level(o.level), Reason: o.reason}}
	if s.raise = o.level == ""; s.raise {
		s.options.Level = seal.LevelT
	}
	if s.options.Level == seal.LevelB {
		return s, nil
	}
	address, err := l.address("pki")
	if err != nil {
		return nil, err
	}
	if s.options.TSA, err = seal.NewTSA("http://"+address+"/pki/tsa", &http.Client{Timeout: callTimeout}); err != nil {
		return nil, err
	}
	if s.raise || s.options.Level != seal.LevelT {
		s.options.Collect, err = collectAt(l, address, signer.chain)
	}
	return s, err
}

// collectAt gathers evidence from the responder of the data centre's PKI, reached at an address, and else from where
// certificates say: public addresses, and that of the PKI in the tunnel. Chains end in the anchors that the office was
// enrolled with.
func collectAt(l *link, pki string, chain []*x509.Certificate) (seal.Collect, error) {
	anchors, err := readAnchors(l.state.path(caFile))
	if err != nil {
		return nil, err
	}
	responder := "http://" + pki + "/pki/ocsp"
	var inTunnel []netip.AddrPort
	for _, s := range l.record.Enrolment.Services {
		if s.Name == "pki" {
			inTunnel = append(inTunnel, s.Addr)
		}
	}
	core, err := fetch.Configured(fetch.Config{}, responder)
	if err != nil {
		return nil, err
	}
	gatherer, err := gather.New(gather.Config{Anchors: anchors, Known: chain, Strangers: fetch.New(fetch.Config{Allow: inTunnel}),
		Responder: responder, Core: core})
	if err != nil {
		return nil, err
	}
	return gatherer.Collect, nil
}

func readAnchors(file string) (anchors []*x509.Certificate, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		anchors = append(anchors, c)
	}
	return anchors, nil
}

// document seals one document as its content asks for. A *hotfolder.Refusal says that the fault is the document's
// own; any other error that it may be sealed another time.
func (s *sealer) document(ctx context.Context, name string, content []byte) (hotfolder.Sealed, error) {
	d, options := seal.Document{Name: name, Content: content}, s.options
	switch kindOf(content) {
	case kindPDF:
		options.Format = seal.FormatPAdES
	case kindXML:
		options.Format, options.Packaging, d.MimeType = seal.FormatXAdES, seal.Enveloped, "text/xml"
	case kindJSON:
		options.Format, options.Packaging, d.MimeType = seal.FormatJAdES, seal.Enveloping, "application/json"
	default:
		options.Format, options.Packaging = seal.FormatCAdES, seal.Detached
		if s.other == asContainer {
			options.Packaging = seal.ASiCS
		}
	}
	sealed, err := s.seal(ctx, d, options)
	sealed.Suffix = s.suffixOf(content)
	return sealed, err
}

// suffixOf is what the seal of a document adds to its name.
func (s *sealer) suffixOf(content []byte) string {
	if kindOf(content) != kindOther {
		return ""
	}
	return "." + s.other
}

// receipt seals an official receipt. Its seal names the document: who has that proves by it which one was received.
func (s *sealer) receipt(ctx context.Context, f receipt.Facts) (sealed hotfolder.Sealed, err error) {
	text, err := f.XML()
	var wrong *receipt.FieldError
	switch {
	case errors.As(err, &wrong):
		return sealed, &hotfolder.Refusal{PL: "Poświadczenie nie może zawierać takich danych.", EN: "A receipt may not say this.", Err: wrong}
	case err != nil:
		return sealed, err
	}
	options := s.options
	options.Format, options.Packaging = seal.FormatXAdES, seal.Enveloped
	received := seal.Mention{Name: f.Document.ID}
	if _, err := hex.Decode(received.SHA256[:], []byte(f.Document.SHA256)); err != nil { // XML has looked at it
		return sealed, err
	}
	options.Mentions = []seal.Mention{received}
	return s.seal(ctx, seal.Document{MimeType: "text/xml", Content: text}, options)
}

// seal seals a document, at the level that was asked for, or else at the highest that can be had now.
func (s *sealer) seal(ctx context.Context, d seal.Document, options seal.Options) (hotfolder.Sealed, error) {
	content, err := s.sealOnce(ctx, d, options)
	sealed := hotfolder.Sealed{Content: content}
	if err != nil || !s.raise {
		return sealed, err
	}
	var beside []seal.Document
	if options.Packaging == seal.Detached {
		beside = []seal.Document{d}
	}
	raised, err := seal.Extend(ctx, content, beside, seal.Options{Level: seal.LevelLT, TSA: options.TSA, Collect: options.Collect})
	switch {
	case err == nil:
		sealed.Content = raised
	case ctx.Err() != nil:
		return sealed, err
	default: // the key was used, and the seal is good: what it lacks can be added later (seal.Extend)
		sealed.Note = "level B-T, not B-LT: no evidence can be had now (" + err.Error() + ")"
	}
	return sealed, nil
}

// sealOnce seals with the key that signs now: where another version does so since a moment, with that one.
func (s *sealer) sealOnce(ctx context.Context, d seal.Document, options seal.Options) ([]byte, error) {
	s.mu.Lock()
	signer := s.signer
	s.mu.Unlock()
	sealed, err := s.sealBy(ctx, signer, d, options)
	var no *remote.Refusal
	if !errors.As(err, &no) || no.Type != remote.Replaced {
		return sealed, err
	}
	next, found := s.find(ctx)
	if found != nil {
		return nil, errors.Join(err, found)
	}
	s.mu.Lock()
	s.signer = next
	s.mu.Unlock()
	return s.sealBy(ctx, next, d, options)
}

func (s *sealer) sealBy(ctx context.Context, by *officeSigner, d seal.Document, options seal.Options) ([]byte, error) {
	options.Time = s.timeNow()
	if c := by.chain[0]; options.Time.Before(c.NotBefore) || options.Time.After(c.NotAfter) {
		return nil, fmt.Errorf("the key's certificate is valid from %s to %s: see trustlink keys, and the clock of this machine",
			c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	var a attempt
	signer := seal.Signer{Key: watchedKey{by.key, &a}, Certificate: by.chain[0], Chain: by.chain[1:max(1, len(by.chain)-1)]}
	options.TSA, options.Collect = a.stamps(options.TSA), a.collects(options.Collect)
	sealed, err := seal.Seal(ctx, []seal.Document{d}, signer, options)
	switch {
	case err == nil:
		return sealed, nil
	case ctx.Err() != nil, a.failed.Load():
		return nil, err
	}
	return nil, &hotfolder.Refusal{PL: "Dokumentu nie można opieczętować.", EN: "The document can't be sealed.", Err: err}
}

// attempt is one sealing. It notes that the data centre failed, however the error is worded or wrapped on its way: a
// document must not be blamed for that.
type attempt struct{ failed atomic.Bool }

func (a *attempt) note(err error) {
	if err != nil {
		a.failed.Store(true)
	}
}

// watchedKey is the key during an attempt.
type watchedKey struct {
	*remote.Key
	attempt *attempt
}

// SignContext is Key's.
func (k watchedKey) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	signature, err := k.Key.SignContext(ctx, digest, opts)
	k.attempt.note(err)
	return signature, err
}

func (a *attempt) stamps(tsa seal.TSA) seal.TSA {
	if tsa == nil {
		return nil
	}
	return func(ctx context.Context, hash crypto.Hash, digest []byte) ([]byte, error) {
		token, err := tsa(ctx, hash, digest)
		a.note(err)
		return token, err
	}
}

func (a *attempt) collects(collect seal.Collect) seal.Collect {
	if collect == nil {
		return nil
	}
	return func(ctx context.Context, certificates, known [][]byte) (seal.Evidence, error) {
		e, err := collect(ctx, certificates, known)
		a.note(err)
		return e, err
	}
}

package poland

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/trustlist"
)

// MaxPins bounds a list of pins in bytes; the one that is shipped has about 4,000.
const MaxPins = 1 << 20

// maxEntries bounds each list in it.
const maxEntries = 1000

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// UnmarshalText reads lower- or upper-case hex.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("%q is no SHA-256 in hexadecimal", text)
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Span is a stretch of whole days in UTC, both included.
type Span struct{ From, Until time.Time }

// holds tells whether a time lies in the days of the span; an end that is zero is open.
func (s *Span) holds(at time.Time) bool {
	return !at.Before(s.From) && (s.Until.IsZero() || at.Before(s.Until.AddDate(0, 0, 1)))
}

// Pins are the keys that Polish law publishes, with the days in which they signed. They are immutable and safe for
// concurrent use.
type Pins struct {
	Digest  string // SHA-256 of the file, lower-case hex
	Date    string // of the list, as it says itself; "" where it says none
	Shipped bool   // with the program

	Seals        []TrustedSeal // of podpis zaufany
	Listed       []ListedSeal  // identities that a qualified provider of the Polish list vouches for, in place of a key
	Cohorts      []Issuer      // of podpis osobisty
	NoSignatures []Issuer      // keys of the same root whose certificates make no signature
	Archive      []Archive
	Receipts     []ReceiptIssuer
	Documents    []DocumentShape // beside those that the program knows

	root *certificate.Certificate // of the identity cards, nil for none
}

// TrustedSeal is one certificate of the minister's seal of podpis zaufany.
type TrustedSeal struct {
	Certificate, Key, IssuerKey Digest
	Span
	Forms []string
}

func (s *TrustedSeal) allows(form string) bool { return slices.Contains(s.Forms, form) }

// ListedSeal is a seal by the identity that a qualified provider confirmed (EN 319 412-3), in place of its key.
type ListedSeal struct {
	Organization, Name string
	TrustedSeal
}

// names compares both with the certificate's, octet by octet.
func (s *ListedSeal) names(n certificate.Name) bool {
	return n.OrganizationIdentifier() == s.Organization && n.CommonName() == s.Name && n.Country() == "PL"
}

// Issuer is a key below the root of the identity cards.
type Issuer struct {
	Key, RootKey Digest
	Span
	Why string // it makes no signatures: "presence" or "authentication"
}

// Archive is an authority of the past. What it signed counts for its years alone.
type Archive struct {
	Name string
	Span
	certificate *certificate.Certificate
}

// ReceiptIssuer is a seal whose receipts count as an office's.
type ReceiptIssuer struct {
	Certificate, Key, IssuerKey Digest
	Span
	Documents []DocumentType
}

//go:embed shipped.json
var shipped []byte

// Shipped returns the list that comes with the program: the minister's seal and the root of the identity cards, without
// the yearly keys below it.
var Shipped = sync.OnceValue(func() *Pins {
	p, err := Parse(shipped)
	if err != nil {
		panic("poland: the list of pins that is shipped: " + err.Error()) // a fault of the build
	}
	return p
})

// ShippedSource returns the file that Shipped is read from.
func ShippedSource() []byte { return bytes.Clone(shipped) }

// OrShipped returns p, or the shipped list in place of nil.
func (p *Pins) OrShipped() *Pins {
	if p == nil {
		return Shipped()
	}
	return p
}

// Parse reads a list of pins (docs/pins.md). What a pin needs must be there: a digest, a day or a certificate that is
// missing is an error that names the field.
func Parse(data []byte) (*Pins, error) {
	if len(data) > MaxPins {
		return nil, fmt.Errorf("the list of pins has %d bytes, at most %d are read", len(data), MaxPins)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the list of pins is not as it must be: %w", err)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("the list of pins: version is %d, only 1 is known", f.Version)
	}
	sum := sha256.Sum256(data)
	p := &Pins{Digest: hex.EncodeToString(sum[:]), Date: f.Date, Shipped: bytes.Equal(data, shipped)}
	for _, fill := range []func(*file) error{p.seals, p.cards, p.archive, p.receipts, p.documents} {
		if err := fill(&f); err != nil {
			return nil, fmt.Errorf("the list of pins: %w", err)
		}
	}
	return p, nil
}

// Anchors are the authorities that the list brings with it, beside those of trusted lists, each for its days.
func (p *Pins) Anchors() []trustlist.National {
	var list []trustlist.National
	if p.root != nil {
		list = append(list, trustlist.National{Certificate: p.root})
	}
	for _, a := range p.Archive {
		list = append(list, trustlist.National{Certificate: a.certificate, From: a.From, Until: a.Until.AddDate(0, 0, 1)})
	}
	return list
}

// file is the list as it is written.
type file struct {
	Version int             `json:"version"`
	Date    string          `json:"date"`
	Seals   []sealEntry     `json:"trusted_profile_seals"`
	Listed  []listedEntry   `json:"listed_seals"`
	Cards   *cardsEntry     `json:"personal_signature"`
	Not     []issuerEntry   `json:"not_signatures"`
	Archive []archiveEntry  `json:"archive"`
	Issuers []receiptEntry  `json:"receipt_issuers"`
	Shapes  []DocumentShape `json:"documents"`
}

type keyEntry struct {
	Certificate *Digest `json:"certificate_sha256"`
	Key         *Digest `json:"spki_sha256"`
	IssuerKey   *Digest `json:"issuer_spki_sha256"`
}

type spanEntry struct {
	From  string `json:"signed_from"`
	Until string `json:"signed_until"`
}

type sealEntry struct {
	keyEntry
	spanEntry
	Formats []string `json:"formats"`
}

type listedEntry struct {
	Organization string   `json:"organization_identifier"`
	Name         string   `json:"common_name"`
	Formats      []string `json:"formats"`
	spanEntry
}

type certificateEntry struct {
	PEM    string  `json:"pem"`
	SHA256 *Digest `json:"sha256"`
}

type cardsEntry struct {
	Root    *certificateEntry `json:"root"`
	Issuers []issuerEntry     `json:"issuers"`
}

type issuerEntry struct {
	Key     *Digest `json:"spki_sha256"`
	RootKey *Digest `json:"root_spki_sha256"`
	From    string  `json:"issued_from"`
	Until   *string `json:"issued_until"`
	Why     string  `json:"why"`
}

type archiveEntry struct {
	Name string `json:"name"`
	certificateEntry
	spanEntry
}

type receiptEntry struct {
	keyEntry
	spanEntry
	Documents []DocumentType `json:"documents"`
}

var errAbsent = errors.New("a field that it needs is missing")

// wrong says where something is.
func wrong(list string, i int, err error) error { return fmt.Errorf("%s[%d]: %w", list, i, err) }

func (p *Pins) seals(f *file) error {
	if len(f.Seals) > maxEntries || len(f.Listed) > maxEntries {
		return fmt.Errorf("more than %d seals", maxEntries)
	}
	for i, e := range f.Seals {
		span, err := e.span()
		if err == nil && (e.Certificate == nil || e.Key == nil || e.IssuerKey == nil) {
			err = fmt.Errorf("certificate_sha256, spki_sha256, issuer_spki_sha256: %w", errAbsent)
		}
		if err == nil {
			err = checkForms(e.Formats)
		}
		if err != nil {
			return wrong("trusted_profile_seals", i, err)
		}
		p.Seals = append(p.Seals, TrustedSeal{*e.Certificate, *e.Key, *e.IssuerKey, span, e.Formats})
	}
	for i, e := range f.Listed {
		span, err := e.span()
		if err == nil && (e.Organization == "" || e.Name == "") {
			err = fmt.Errorf("organization_identifier, common_name: %w", errAbsent)
		}
		if err == nil {
			err = checkForms(e.Formats)
		}
		if err != nil {
			return wrong("listed_seals", i, err)
		}
		p.Listed = append(p.Listed, ListedSeal{e.Organization, e.Name, TrustedSeal{Span: span, Forms: e.Formats}})
	}
	return nil
}

func checkForms(forms []string) error {
	known := []string{FormEPSignature, FormPodpisZP, FormReason}
	for _, f := range forms {
		if !slices.Contains(known, f) {
			return fmt.Errorf("formats: %q is none of %s", f, strings.Join(known, ", "))
		}
	}
	if len(forms) == 0 {
		return fmt.Errorf("formats: %w", errAbsent)
	}
	return nil
}

func (p *Pins) cards(f *file) error {
	if f.Cards == nil {
		return nil
	}
	if f.Cards.Root == nil {
		return fmt.Errorf("personal_signature.root: %w", errAbsent)
	}
	var err error
	if p.root, err = f.Cards.Root.read(); err != nil {
		return fmt.Errorf("personal_signature.root: %w", err)
	}
	if p.Cohorts, err = p.issuers("personal_signature.issuers", f.Cards.Issuers); err != nil {
		return err
	}
	p.NoSignatures, err = p.issuers("not_signatures", f.Not)
	return err
}

func (p *Pins) issuers(name string, entries []issuerEntry) ([]Issuer, error) {
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%s: more than %d", name, maxEntries)
	}
	var list []Issuer
	for i, e := range entries {
		from, err := day("issued_from", e.From)
		var until time.Time
		if err == nil && e.Until != nil {
			until, err = day("issued_until", *e.Until)
		}
		switch {
		case err != nil:
		case e.Key == nil || e.RootKey == nil:
			err = fmt.Errorf("spki_sha256, root_spki_sha256: %w", errAbsent)
		case *e.RootKey != keyDigest(p.root):
			err = errors.New("root_spki_sha256 is not the key of personal_signature.root")
		}
		if err != nil {
			return nil, wrong(name, i, err)
		}
		list = append(list, Issuer{*e.Key, *e.RootKey, Span{from, until}, e.Why})
	}
	return list, nil
}

func (p *Pins) archive(f *file) error {
	if len(f.Archive) > maxEntries {
		return fmt.Errorf("archive: more than %d", maxEntries)
	}
	for i, e := range f.Archive {
		c, err := e.read()
		var span Span
		if err == nil {
			span, err = e.span()
		}
		if err != nil {
			return wrong("archive", i, err)
		}
		p.Archive = append(p.Archive, Archive{e.Name, span, c})
	}
	return nil
}

func (p *Pins) receipts(f *file) error {
	if len(f.Issuers) > maxEntries {
		return fmt.Errorf("receipt_issuers: more than %d", maxEntries)
	}
	for i, e := range f.Issuers {
		span, err := e.span()
		if err == nil && (e.Certificate == nil || e.Key == nil || e.IssuerKey == nil || len(e.Documents) == 0) {
			err = fmt.Errorf("certificate_sha256, spki_sha256, issuer_spki_sha256, documents: %w", errAbsent)
		}
		if err != nil {
			return wrong("receipt_issuers", i, err)
		}
		p.Receipts = append(p.Receipts, ReceiptIssuer{*e.Certificate, *e.Key, *e.IssuerKey, span, e.Documents})
	}
	return nil
}

func (p *Pins) documents(f *file) error {
	if len(f.Shapes) > maxEntries {
		return fmt.Errorf("documents: more than %d", maxEntries)
	}
	for i, s := range f.Shapes {
		if s.Type == "" || s.Namespace == "" || s.Root == "" {
			return wrong("documents", i, fmt.Errorf("type, namespace, root: %w", errAbsent))
		}
	}
	p.Documents = f.Shapes
	return nil
}

// span reads both days: a pin without an end would be one for ever.
func (e *spanEntry) span() (Span, error) {
	from, err := day("signed_from", e.From)
	if err != nil {
		return Span{}, err
	}
	until, err := day("signed_until", e.Until)
	if err == nil && until.Before(from) {
		err = errors.New("signed_until is before signed_from")
	}
	return Span{from, until}, err
}

func day(field, text string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("%s: %q is no day such as 2026-03-01", field, text)
	}
	return t, nil
}

// read returns the certificate, whose digest must be the one beside it.
func (e *certificateEntry) read() (*certificate.Certificate, error) {
	block, rest := pem.Decode([]byte(e.PEM))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("pem is not one certificate")
	}
	if e.SHA256 == nil || Digest(sha256.Sum256(block.Bytes)) != *e.SHA256 {
		return nil, errors.New("sha256 is not that of the certificate in pem")
	}
	return certificate.Parse(block.Bytes)
}

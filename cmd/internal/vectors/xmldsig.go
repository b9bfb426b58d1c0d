package vectors

import (
	"crypto"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trustcore/internal/durable"
	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
)

// An xmldsigCase asks for core validation of the first signature of a file (XML Signature 1.1, 3.2).
type xmldsigCase struct {
	ID         any               `json:"id"`
	File       string            `json:"file"`
	Keys       []xmldsigKey      `json:"keys"`
	Anchors    []string          `json:"anchors"`
	Untrusted  []string          `json:"untrusted"`
	CRLs       []string          `json:"crls"`
	Time       time.Time         `json:"time"`
	KeySources []string          `json:"key_sources"`
	References map[string]string `json:"references"`
	External   bool              `json:"external"`
	HMACMin    *int              `json:"hmac_min_bits"`
	Options    []string          `json:"options"`
}

// An xmldsigKey is a key that the case hands in.
type xmldsigKey struct {
	Name string `json:"name"`
	Type string `json:"type"` // "public", "certificate" or "hmac"
	File string `json:"file"`
}

type xmldsigResult struct {
	ID     any    `json:"id"`
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"`
}

// judgeXMLDSig answers a case of kind xmldsig. What is not valid or not supported is an answer with its reason.
func judgeXMLDSig(line []byte) (any, error) {
	var c xmldsigCase
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	data, err := readFile(c.File)
	if err != nil {
		return nil, err
	}
	if err := c.validate(data); err != nil {
		return xmldsigResult{ID: c.ID, Reason: err.Error()}, nil
	}
	return xmldsigResult{ID: c.ID, Valid: true}, nil
}

// readFile reads a file of a case, at most xmldsig's limit of bytes.
func readFile(name string) ([]byte, error) {
	return durable.ReadFile(name, int64(xmldsig.DefaultLimits.Size))
}

func (c *xmldsigCase) option(name string) bool { return slices.Contains(c.Options, name) }

func (c *xmldsigCase) validate(data []byte) error {
	doc, err := xmldsig.Parse(data, xmldsig.Limits{})
	if err != nil {
		return err
	}
	elements := doc.Signatures()
	if len(elements) == 0 {
		return errors.New("no signature in the document")
	}
	s, err := xmldsig.ReadSignature(elements[0])
	if err != nil {
		return err
	}
	if c.option("relationship_legacy") {
		return errors.New("the legacy form of the relationship transform is not supported")
	}
	for _, r := range s.References {
		out, err := r.Check(c.resolve)
		if err != nil {
			return err
		}
		if !out.Intact {
			return fmt.Errorf("the digest of reference %q does not match", r.URI)
		}
	}
	return c.verify(s)
}

// resolve gives what an external reference names: the case's own files, or those beside the document.
func (c *xmldsigCase) resolve(uri string) ([]byte, error) {
	if file, ok := c.References[uri]; ok {
		return readFile(file)
	}
	u, err := url.Parse(uri)
	if !c.External || uri == "" || err != nil || u.IsAbs() || u.Host != "" || !filepath.IsLocal(u.Path) {
		return nil, xmldsig.ErrNotFound
	}
	return readFile(filepath.Join(filepath.Dir(c.File), filepath.FromSlash(u.Path)))
}

// verify looks for a key that verifies the signature value.
func (c *xmldsigCase) verify(s *xmldsig.Signature) error {
	info, err := s.CanonicalSignedInfo()
	if err != nil {
		return err
	}
	if strings.Contains(s.Method.URI, "#hmac-") {
		return c.verifyHMAC(s, info)
	}
	scheme, err := xmlScheme(s.Method)
	if err == nil && s.Method.Context != nil {
		scheme, err = scheme.WithContext(s.Method.Context)
	}
	if err != nil {
		return err
	}
	if c.option("der_ecdsa") {
		scheme = scheme.DEREncoded(true)
	}
	keys, problems := c.findKeys(s)
	for _, key := range keys {
		value := s.Value
		if key.Kind() == algorithm.KindEC && !c.option("der_ecdsa") {
			value = xmldsig.TrimECDSA(value, (key.Bits()+7)/8)
		}
		if _, err := scheme.Verify(key, info, value); err != nil {
			problems = append(problems, err)
			continue
		}
		return nil
	}
	return errors.Join(append(problems, errors.New("no key verifies the signature value"))...)
}

func xmlScheme(m xmldsig.SignatureMethod) (algorithm.Scheme, error) {
	if m.PSS == nil {
		return algorithm.FromXML(m.URI, nil)
	}
	p := &algorithm.PSSParameters{Hash: algorithm.SHA256, Salt: m.PSS.SaltLength}
	var err error
	if m.PSS.DigestURI != "" {
		if p.Hash, err = algorithm.HashByURI(m.PSS.DigestURI); err != nil {
			return algorithm.Scheme{}, err
		}
	}
	p.MGFHash = p.Hash
	if m.PSS.MGFDigestURI != "" {
		if p.MGFHash, err = algorithm.HashByURI(m.PSS.MGFDigestURI); err != nil {
			return algorithm.Scheme{}, err
		}
	}
	if p.Salt < 0 {
		p.Salt = p.Hash.Size()
	}
	return algorithm.FromXML(m.URI, p)
}

var hmacHashes = map[string]crypto.Hash{
	"http://www.w3.org/2000/09/xmldsig#hmac-sha1":           crypto.SHA1,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-md5":       crypto.MD5,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-ripemd160": crypto.RIPEMD160,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha224":    crypto.SHA224,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256":    crypto.SHA256,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha384":    crypto.SHA384,
	"http://www.w3.org/2001/04/xmldsig-more#hmac-sha512":    crypto.SHA512,
}

// verifyHMAC checks a keyed hash. A truncated one must keep half of the hash and at least 80 bits (CVE-2009-0217),
// or what the case says.
func (c *xmldsigCase) verifyHMAC(s *xmldsig.Signature, info []byte) error {
	h, ok := hmacHashes[s.Method.URI]
	if !ok {
		return fmt.Errorf("signature method %q is not supported", s.Method.URI)
	}
	bits := 8 * h.Size()
	least := max(bits/2, 80)
	if c.HMACMin != nil {
		least = *c.HMACMin
	}
	if n := s.Method.HMACOutputLength; n != 0 {
		if n > bits || n < least || n%8 != 0 {
			return fmt.Errorf("an HMAC of %d bits is not accepted", n)
		}
		bits = n
	}
	for _, k := range c.Keys {
		if k.Type != "hmac" || !c.named(k.Name, s) {
			continue
		}
		secret, err := readFile(k.File)
		if err != nil {
			return err
		}
		mac := hmac.New(h.New, secret)
		mac.Write(info)
		if hmac.Equal(mac.Sum(nil)[:bits/8], s.Value) {
			return nil
		}
	}
	return errors.New("no key verifies the HMAC")
}

// named tells whether a key of that name may be tried: KeyName chooses it, or the case lets any key be tried.
func (c *xmldsigCase) named(name string, s *xmldsig.Signature) bool {
	return c.option("any_key") || s.KeyInfo == nil || len(s.KeyInfo.Names) == 0 && c.KeySources == nil ||
		slices.Contains(s.KeyInfo.Names, name)
}

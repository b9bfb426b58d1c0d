package vectors

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"trustcore/internal/xmldsig"
	"trustcore/verify/algorithm"
	"trustcore/verify/certificate"
	"trustcore/verify/path"
	"trustcore/verify/revocation"
)

// keyTypes are the key types that key_sources may hold beside the sources.
var keyTypes = map[string][]algorithm.Kind{
	"rsa": {algorithm.KindRSA, algorithm.KindRSAPSS}, "dsa": {algorithm.KindDSA}, "ec": {algorithm.KindEC}, "eddsa": {algorithm.KindEd25519, algorithm.KindEd448},
}

// allows tells whether KeyInfo children of that name may give a key. Without a list, all but bare keys may.
func (c *xmldsigCase) allows(source string) bool {
	if c.KeySources == nil {
		return source == "x509" || source == "key-name"
	}
	return slices.Contains(c.KeySources, source)
}

func (c *xmldsigCase) allowsType(key *algorithm.PublicKey) bool {
	restricted := false
	for _, name := range c.KeySources {
		if kinds, ok := keyTypes[name]; ok {
			if slices.Contains(kinds, key.Kind()) {
				return true
			}
			restricted = true
		}
	}
	return !restricted
}

// findKeys collects the keys that may be tried, and why others may not.
func (c *xmldsigCase) findKeys(s *xmldsig.Signature) ([]*algorithm.PublicKey, []error) {
	var keys []*algorithm.PublicKey
	var problems []error
	add := func(key *algorithm.PublicKey, err error) {
		switch {
		case err != nil:
			problems = append(problems, err)
		case c.allowsType(key):
			keys = append(keys, key)
		}
	}
	if c.allows("key-name") {
		for _, k := range c.Keys {
			if k.Type != "hmac" && c.named(k.Name, s) {
				add(c.namedKey(k))
			}
		}
	}
	if s.KeyInfo == nil {
		return keys, problems
	}
	for _, k := range s.KeyInfo.Keys {
		if c.allows(k.Source) {
			add(algorithm.ParsePublicKey(k.SPKI))
		}
	}
	if c.allows("x509") {
		store, err := c.store(s)
		if err != nil {
			return keys, append(problems, err)
		}
		for _, signer := range store.signers {
			if err := c.trusted(signer, store); err != nil {
				problems = append(problems, err)
				continue
			}
			add(signer.Key())
		}
	}
	return keys, problems
}

// namedKey reads a key that the case hands in; a certificate needs a chain only if the case says so.
func (c *xmldsigCase) namedKey(k xmldsigKey) (*algorithm.PublicKey, error) {
	data, err := readFile(k.File)
	if err != nil {
		return nil, err
	}
	der := plainDER(data)
	if k.Type == "public" {
		return algorithm.ParsePublicKey(der)
	}
	parsed, err := certificate.Parse(der)
	if err != nil {
		return nil, err
	}
	if c.option("verify_keys") {
		store, err := c.store(nil)
		if err != nil {
			return nil, err
		}
		if err := c.trusted(parsed, store); err != nil {
			return nil, err
		}
	}
	return parsed.Key()
}

// plainDER takes the first block that is no private key out of PEM, and leaves DER as it is.
func plainDER(data []byte) []byte {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return data
		}
		if !strings.Contains(block.Type, "PRIVATE") {
			return block.Bytes
		}
	}
}

// certificateStore holds the certificates of one case.
type certificateStore struct {
	signers []*certificate.Certificate // those that KeyInfo holds or names
	others  []*certificate.Certificate // from the document and the case, not trusted
	anchors []*certificate.Certificate
}

// store collects certificates; s is nil when no KeyInfo counts.
func (c *xmldsigCase) store(s *xmldsig.Signature) (*certificateStore, error) {
	st := &certificateStore{}
	var err error
	if st.others, err = readCertificates(c.Untrusted); err != nil {
		return nil, err
	}
	if st.anchors, err = readCertificates(c.Anchors); err != nil {
		return nil, err
	}
	if s == nil {
		return st, nil
	}
	data, err := c.x509Data(s)
	if err != nil {
		return nil, err
	}
	for _, x := range data {
		for _, der := range x.Certificates {
			parsed, err := certificate.Parse(der)
			if err != nil {
				return nil, err
			}
			st.signers = append(st.signers, parsed)
		}
		for _, known := range slices.Concat(st.others, st.anchors) {
			if describes(x, known) {
				st.signers = append(st.signers, known)
			}
		}
	}
	st.others = append(st.others, st.signers...)
	return st, nil
}

func readCertificates(files []string) ([]*certificate.Certificate, error) {
	var list []*certificate.Certificate
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		parsed, err := certificate.Parse(plainDER(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		list = append(list, parsed)
	}
	return list, nil
}

// x509Data collects the X509Data of KeyInfo and what its retrieval methods point to.
func (c *xmldsigCase) x509Data(s *xmldsig.Signature) ([]xmldsig.X509Data, error) {
	all := slices.Concat(s.KeyInfo.X509, s.KeyInfo.Retrieved)
	for _, r := range s.KeyInfo.Retrievals {
		if r.Type != xmldsig.NamespaceDSig+"rawX509Certificate" || strings.HasPrefix(r.URI, "#") {
			continue
		}
		der, err := c.resolve(r.URI)
		if err != nil {
			return nil, fmt.Errorf("retrieve %q: %w", r.URI, err)
		}
		all = append(all, xmldsig.X509Data{Certificates: [][]byte{der}})
	}
	return all, nil
}

// describes tells whether X509Data names a certificate that it does not hold.
func describes(x xmldsig.X509Data, c *certificate.Certificate) bool {
	for _, n := range x.SubjectNames {
		if sameName(n, c.Subject) {
			return true
		}
	}
	for _, is := range x.IssuerSerials {
		if is.Serial.Cmp(new(big.Int).SetBytes(c.Serial)) == 0 && sameName(is.Issuer, c.Issuer) {
			return true
		}
	}
	for _, d := range x.Digests {
		if h, err := algorithm.HashByURI(d.Method); err == nil && bytes.Equal(h.Sum(c.Raw), d.Value) {
			return true
		}
	}
	return slices.ContainsFunc(x.SKIs, func(ski []byte) bool { return len(ski) > 0 && bytes.Equal(ski, c.SKI) })
}

// sameName compares a distinguished name in text with a name: the parts in any order, since writers disagree on it,
// without regard to case and white space.
func sameName(text string, n certificate.Name) bool {
	return text != "" && slices.Equal(nameParts(text), nameParts(n.String()))
}

func nameParts(text string) []string {
	var parts []string
	start := 0
	quoted := false
	for i := 0; i <= len(text); i++ {
		switch {
		case i < len(text) && text[i] == '\\':
			i++
		case i < len(text) && text[i] == '"':
			quoted = !quoted
		case i == len(text) || !quoted && (text[i] == ',' || text[i] == '+'):
			kind, value, _ := strings.Cut(text[min(start, len(text)):min(i, len(text))], "=")
			kind = strings.ToUpper(strings.TrimSpace(kind))
			if kind == "EMAILADDRESS" {
				kind = "E"
			}
			value = strings.NewReplacer(`\`, "", `"`, "").Replace(value)
			parts = append(parts, kind+"="+strings.ToLower(strings.Join(strings.Fields(value), " ")))
			start = i + 1
		}
	}
	slices.Sort(parts)
	return parts
}

// trusted tells why no chain leads from a certificate to the anchors of the case, or nil.
func (c *xmldsigCase) trusted(target *certificate.Certificate, st *certificateStore) error {
	if c.option("no_chain") {
		return nil
	}
	var anchors []path.Anchor
	for _, a := range st.anchors {
		anchor, err := path.AnchorFrom(a)
		if err != nil {
			return err
		}
		anchors = append(anchors, anchor)
	}
	set, err := path.NewAnchors(anchors...)
	if err != nil {
		return err
	}
	r := path.Request{Target: target, Pool: path.NewPool(st.others...), Anchors: set, Time: c.Time, DirectTrust: true}
	if r.Revocation, err = c.revocation(); err != nil {
		return err
	}
	times := []time.Time{c.Time}
	if c.option("no_time_check") { // some moment at which the whole chain was valid will do
		times = append(times, target.NotBefore, target.NotAfter)
	}
	var why []error
	for _, r.Time = range times {
		answer := path.Validate(context.Background(), r)
		if answer.Valid {
			return nil
		}
		why = append(why, errors.New(answer.Reason().String()))
	}
	return errors.Join(why...)
}

// revocation makes the CRLs of the case count where they name a certificate.
func (c *xmldsigCase) revocation() (*path.RevocationRule, error) {
	var crls []*revocation.CRL
	for _, file := range c.CRLs {
		data, err := readFile(file)
		if err != nil {
			return nil, err
		}
		list, err := revocation.ParseCRL(plainDER(data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if !c.option("verify_crls") && (c.Time.Before(list.ThisUpdate) || c.Time.After(list.NextUpdate)) {
			continue // lists of another time are not looked at, unless all must be good
		}
		crls = append(crls, list)
	}
	if len(crls) == 0 {
		return nil, nil
	}
	return &path.RevocationRule{
		Evidence: func(*revocation.Question) ([]*revocation.Response, []*revocation.CRL) { return nil, crls },
	}, nil
}

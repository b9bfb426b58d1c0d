package seal

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"trustcore/internal/budget"
	"trustcore/internal/jws"
)

// extendJSON raises every signature of a JWS. One in the compact serialization becomes a flattened one, which has a
// place for it.
func (w *work) extendJSON(ctx context.Context, sealed []byte) ([]byte, error) {
	d, err := readJSON(ctx, sealed)
	if err != nil {
		return nil, err
	}
	raised := false
	for _, s := range d.signatures {
		err := w.raiseJSON(ctx, d, s)
		if errors.Is(err, ErrAlready) {
			continue
		}
		if err != nil {
			return nil, err
		}
		raised = true
	}
	if !raised {
		return nil, ErrAlready
	}
	return d.write(), nil
}

// raiseJSON raises one signature.
func (w *work) raiseJSON(ctx context.Context, d *jsonDocument, s *jsonSignature) error {
	data, err := w.dataOf(d, s)
	if err != nil {
		return err
	}
	held, err := s.read(ctx)
	if err != nil {
		return err
	}
	if err := s.intact(data, held.signer); err != nil {
		return err
	}
	raised := false
	if len(held.stamps)+len(held.archives) == 0 {
		token, err := w.stamp(ctx, []byte(s.value))
		if err != nil {
			return err
		}
		s.add("sigTst", tstContainer(token))
		held.stamps, raised = append(held.stamps, token), true
	}
	if w.opts.Level.reaches(LevelLT) && !held.valued && len(held.archives) == 0 {
		e, err := w.collect(ctx, present{signer: held.signer, known: held.certificates, tokens: held.stamps})
		if err != nil {
			return err
		}
		e = e.without(held.certificates, nil, nil)
		if len(e.Certificates) > 0 {
			s.add("xVals", e.certificatesJSON())
		}
		s.add("rVals", e.revocationsJSON())
		raised = true
	}
	if w.opts.Level == LevelLTA {
		return w.archiveJSON(ctx, s, data, held)
	}
	if !raised {
		return ErrAlready
	}
	return nil
}

// intact verifies the value. What is signed of documents beside it by their digests is nothing but the header.
func (s *jsonSignature) intact(data, signer []byte) error {
	value, err := jws.DecodeBase64URL([]byte(s.value))
	if err != nil {
		return err
	}
	if sigD := s.header.Member("sigD"); sigD != nil && string(sigD.Member("mId").Text()) == byURIHash {
		data = nil
	}
	message := append([]byte(s.protected+"."), data...)
	return intact(signer, func(public crypto.PublicKey, how method) bool {
		return inJOSE(public, how.hash) && joseAlgorithm(public, how) == string(s.header.Member("alg").Text())
	}, message, value, true)
}

// archiveJSON adds an arcTst (TS 119 182-1, 5.3.6.3.1), before it the evidence for the last one (5.3.6.2).
func (w *work) archiveJSON(ctx context.Context, s *jsonSignature, data []byte, held *jsonHeld) error {
	if n := len(held.archives); n > 0 {
		e, err := w.collect(ctx, present{known: held.certificates, tokens: held.archives[n-1:]})
		if err != nil {
			return err
		}
		if e = e.without(held.certificates, held.crls, held.ocsps); !e.empty() {
			s.add("tstVD", map[string]any{"xVals": e.certificatesJSON(), "rVals": e.revocationsJSON()})
		}
	}
	message := [][]byte{data, []byte("."), []byte(s.protected), []byte("."), []byte(s.value), []byte(".")}
	for _, item := range s.unsigned {
		message = append(message, []byte(item))
	}
	token, err := w.stamp(ctx, message...)
	if err != nil {
		return err
	}
	s.add("arcTst", tstContainer(token))
	return nil
}

// add puts a property at the end of etsiU.
func (s *jsonSignature) add(name string, value any) {
	text, _ := json.Marshal(map[string]any{name: value}) // maps, lists and strings alone
	s.unsigned = append(s.unsigned, base64url.EncodeToString(text))
}

// tstContainer is a container of one token (TS 119 182-1, 5.4.3.3).
func tstContainer(token []byte) map[string]any {
	return map[string]any{"tstTokens": []any{map[string]any{"val": token}}}
}

func (e Evidence) certificatesJSON() []any {
	list := make([]any, len(e.Certificates))
	for i, c := range e.Certificates {
		list[i] = map[string]any{"x509Cert": map[string]any{"val": c}}
	}
	return list
}

func (e Evidence) revocationsJSON() map[string]any {
	values := map[string]any{}
	for name, list := range map[string][][]byte{"crlVals": e.CRLs, "ocspVals": e.OCSPs} {
		var items []any
		for _, v := range list {
			items = append(items, map[string]any{"val": v})
		}
		if items != nil {
			values[name] = items
		}
	}
	return values
}

// jsonHeld is what a signature holds.
type jsonHeld struct {
	signer                    []byte
	certificates, crls, ocsps [][]byte
	stamps, archives          [][]byte // tokens
	valued                    bool     // rVals is there
}

// read collects what the signature holds in its two headers.
func (s *jsonSignature) read(ctx context.Context) (*jsonHeld, error) {
	held := &jsonHeld{}
	var err error
	take := func(out *[][]byte, v *jws.Value) {
		der, broken := base64.StdEncoding.Strict().DecodeString(string(v.Text()))
		if err == nil && (broken != nil || len(der) == 0) {
			err = errors.New("a value in the signature is no base64 (RFC 4648, 4)")
		}
		*out = append(*out, der)
	}
	for _, c := range s.header.Member("x5c").Items() {
		take(&held.certificates, c)
	}
	thumb := string(s.header.Member("x5t#S256").Text())
	for _, c := range held.certificates {
		if sum := sha256.Sum256(c); base64url.EncodeToString(sum[:]) == thumb {
			held.signer = c
		}
	}
	if held.signer == nil {
		return nil, errors.New("the signature does not hold the certificate that x5t#S256 names as the signer's")
	}
	for _, item := range s.unsigned {
		text, broken := jws.DecodeBase64URL([]byte(item))
		if broken != nil {
			return nil, fmt.Errorf("an element of etsiU: %w", broken)
		}
		v, broken := jws.Parse(budget.New(ctx, len(text)), text)
		if broken != nil {
			return nil, fmt.Errorf("an element of etsiU: %w", broken)
		}
		held.property(v, take)
	}
	return held, err
}

// property reads an element of etsiU.
func (h *jsonHeld) property(v *jws.Value, take func(*[][]byte, *jws.Value)) {
	for _, m := range v.Members() {
		switch m.Name {
		case "sigTst", "arcTst":
			out := map[string]*[][]byte{"sigTst": &h.stamps, "arcTst": &h.archives}[m.Name]
			for _, t := range m.Value.Member("tstTokens").Items() {
				take(out, t.Member("val"))
			}
		case "xVals":
			for _, c := range m.Value.Items() {
				take(&h.certificates, c.Member("x509Cert").Member("val"))
			}
		case "rVals":
			h.valued = true
			for _, c := range m.Value.Member("crlVals").Items() {
				take(&h.crls, c.Member("val"))
			}
			for _, o := range m.Value.Member("ocspVals").Items() {
				take(&h.ocsps, o.Member("val"))
			}
		case "tstVD":
			valued := h.valued
			h.property(m.Value, take)
			h.valued = valued
		}
	}
}

// dataOf is what archive time-stamps cover of the payload, after a look whether the documents are those that were
// signed.
func (w *work) dataOf(d *jsonDocument, s *jsonSignature) ([]byte, error) {
	b64 := s.header.Member("b64")
	encoded := b64 == nil || b64.True()
	encode := func(content []byte) []byte {
		if !encoded {
			return content
		}
		return base64url.AppendEncode(nil, content)
	}
	sigD := s.header.Member("sigD")
	switch {
	case sigD == nil && d.payload != nil:
		return []byte(*d.payload), nil
	case sigD == nil:
		content, err := w.one()
		return encode(content), err
	}
	var data []byte
	mechanism := string(sigD.Member("mId").Text())
	for i, name := range sigD.Member("pars").Items() {
		content, err := w.resolve(string(name.Text()))
		if err != nil {
			return nil, err
		}
		data = append(data, encode(content)...)
		switch mechanism {
		case byURI:
		case byURIHash:
			if err := matches(sigD, i, encode(content)); err != nil {
				return nil, fmt.Errorf("%q: %w", name.Text(), err)
			}
		default:
			return nil, fmt.Errorf("sigD by %q is not extended", mechanism)
		}
	}
	return data, nil
}

// matches compares the digest of a number in sigD.
func matches(sigD *jws.Value, number int, data []byte) error {
	hashes := sigD.Member("hashV").Items()
	if number >= len(hashes) {
		return errors.New("sigD has no digest of it")
	}
	want, err := jws.DecodeBase64URL(hashes[number].Text())
	if err != nil {
		return err
	}
	for h, name := range joseNames {
		if "S"+name == string(sigD.Member("hashM").Text()) {
			if !bytes.Equal(digestOf(h, data), want) {
				return errors.New("the signature's digest does not match: a broken seal is not extended")
			}
			return nil
		}
	}
	return errors.New("sigD has digests by an algorithm that is not known here")
}

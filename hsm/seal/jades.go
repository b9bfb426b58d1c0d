package seal

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"trustcore/internal/budget"
	"trustcore/internal/jws"
)

var base64url = base64.RawURLEncoding

// jsonDocument is a JWS as it is written.
type jsonDocument struct {
	payload    *string // nil where the signatures are detached
	signatures []*jsonSignature
}

// jsonSignature is one signature. What stands in it is kept as it stands: the signature and time-stamps are about the
// text.
type jsonSignature struct {
	protected, value string
	header           *jws.Value // the protected header, read
	unsigned         []string   // etsiU: each base64url of an object of one member
}

// sealJSON makes a JWS, or puts a further signature into one that is given.
func (w *work) sealJSON(ctx context.Context) ([]byte, error) {
	if w.opts.Packaging == Enveloping && len(w.documents) == 1 {
		if present, err := readJSON(ctx, w.documents[0].Content); err == nil && present.payload != nil {
			return w.besideJSON(ctx, present)
		}
	}
	d := &jsonDocument{}
	if w.opts.Packaging != Detached {
		payload := base64url.EncodeToString(w.documents[0].Content)
		d.payload = &payload
	}
	s, err := w.signJSON(ctx, d.payload)
	if err != nil {
		return nil, err
	}
	d.signatures = []*jsonSignature{s}
	if w.opts.Packaging == Compact {
		return []byte(s.protected + "." + *d.payload + "." + s.value), nil
	}
	if w.opts.Level != LevelB {
		if err := w.raiseJSON(ctx, d, s); err != nil {
			return nil, err
		}
	}
	return d.write(), nil
}

// besideJSON puts a further signature about the same payload into a JWS (RFC 7515, 7.2.1).
func (w *work) besideJSON(ctx context.Context, d *jsonDocument) ([]byte, error) {
	for _, s := range d.signatures {
		if b64 := s.header.Member("b64"); b64 != nil && !b64.True() {
			return nil, errors.New("a present signature is about the payload as it stands (b64): none beside it is made here")
		}
	}
	s, err := w.signJSON(ctx, d.payload)
	if err != nil {
		return nil, err
	}
	d.signatures = append(d.signatures, s)
	if w.opts.Level != LevelB {
		if err := w.raiseJSON(ctx, d, s); err != nil {
			return nil, err
		}
	}
	return d.write(), nil
}

// signJSON makes a signature of level B-B over a payload in base64url, nil for documents beside it (TS 119 182-1, 5.1
// and 5.2).
func (w *work) signJSON(ctx context.Context, payload *string) (*jsonSignature, error) {
	x5c := [][]byte{w.signer.Certificate.Raw}
	x5c = append(x5c, w.signer.chain()...) // encoding/json writes octets in the base64 that x5c wants
	header := map[string]any{
		"alg": joseAlgorithm(w.signer.Key.Public(), w.how), "x5c": x5c, "iat": w.opts.Time.Unix(),
		"x5t#S256": base64url.EncodeToString(digestOf(crypto.SHA256, w.signer.Certificate.Raw)),
	}
	signed := ""
	if payload != nil {
		signed = *payload
		if mime := w.documents[0].MimeType; mime != "" && len(w.documents) == 1 {
			header["cty"] = mime
		}
	} else {
		header["sigD"], header["crit"] = w.sigD(), []string{"sigD"}
	}
	text, err := json.Marshal(header) // sorted by name: the same every time
	if err != nil {
		return nil, err
	}
	s := &jsonSignature{protected: base64url.EncodeToString(text)}
	value, err := w.signer.value(ctx, w.how, digestOf(w.how.hash, []byte(s.protected+"."+signed)))
	if err != nil {
		return nil, err
	}
	s.value = base64url.EncodeToString(value)
	s.header, err = jws.Parse(budget.New(ctx, len(text)), text)
	return s, err
}

const (
	byURIHash = "http://uri.etsi.org/19182/ObjectIdByURIHash"
	byURI     = "http://uri.etsi.org/19182/ObjectIdByURI"
)

// sigD names the documents with their digests (TS 119 182-1, 5.2.8.4): of what they are in base64url, since b64 is
// not there.
func (w *work) sigD() map[string]any {
	pars, hashes, kinds := []string{}, []string{}, []string{}
	for _, d := range w.documents {
		pars = append(pars, uriOf(d.Name))
		hashes = append(hashes, base64url.EncodeToString(digestOf(w.how.hash,
			[]byte(base64url.EncodeToString(d.Content)))))
		mime := d.MimeType
		if mime == "" {
			mime = "application/octet-stream"
		}
		kinds = append(kinds, mime)
	}
	return map[string]any{"mId": byURIHash, "pars": pars, "hashM": "S" + joseNames[w.how.hash], "hashV": hashes,
		"ctys": kinds}
}

// readJSON reads a JWS that nothing is to be lost of when it is written again.
func readJSON(ctx context.Context, data []byte) (*jsonDocument, error) {
	b := budget.New(ctx, len(data))
	read, err := jws.Read(b, data)
	if err != nil {
		return nil, err
	}
	d := &jsonDocument{}
	if read.Payload != nil {
		payload := string(read.Payload)
		d.payload = &payload
	}
	if len(read.Strays) > 0 {
		return nil, fmt.Errorf("the document holds what no signature covers: %s", read.Strays[0])
	}
	for _, r := range read.Signatures {
		if problems := append(r.Problems, r.Strays...); len(problems) > 0 {
			return nil, fmt.Errorf("a signature in it: %s", problems[0])
		}
		s := &jsonSignature{protected: string(r.ProtectedText), value: string(r.Text), header: r.Protected}
		for _, m := range r.Unprotected.Members() {
			if m.Name != "etsiU" || !m.Value.Is(jws.Array) {
				return nil, fmt.Errorf("the unprotected header parameter %q can't be kept: a seal has etsiU alone",
					m.Name)
			}
			for _, item := range m.Value.Items() {
				if !item.Is(jws.String) {
					return nil, errors.New("etsiU holds clear elements: those in base64url alone are extended")
				}
				s.unsigned = append(s.unsigned, string(item.Text()))
			}
		}
		d.signatures = append(d.signatures, s)
	}
	return d, nil
}

// write gives the flattened serialization of one signature, the general one of several (RFC 7515, 7.2).
func (d *jsonDocument) write() []byte {
	type header struct {
		Unsigned []string `json:"etsiU"`
	}
	type signature struct {
		Protected string  `json:"protected"`
		Header    *header `json:"header,omitempty"`
		Signature string  `json:"signature"`
	}
	list := make([]signature, len(d.signatures))
	for i, s := range d.signatures {
		list[i] = signature{Protected: s.protected, Signature: s.value}
		if len(s.unsigned) > 0 {
			list[i].Header = &header{s.unsigned}
		}
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if len(list) == 1 {
		_ = e.Encode(struct { // strings alone, written to memory
			Payload *string `json:"payload,omitempty"`
			signature
		}{d.payload, list[0]})
	} else {
		_ = e.Encode(struct {
			Payload    *string     `json:"payload,omitempty"`
			Signatures []signature `json:"signatures"`
		}{d.payload, list})
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

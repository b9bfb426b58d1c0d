package xmldsig

import (
	"errors"
	"fmt"
	"strings"
)

// maxRetrievals bounds the pointers of one ds:KeyInfo that are followed.
const maxRetrievals = 8

// keyTypes are the types that a ds:RetrievalMethod may name (XML Signature 1.1, 4.5), by the element that they stand for.
var keyTypes = map[string]string{
	NamespaceDSig + "X509Data": "X509Data", NamespaceDSig + "DSAKeyValue": "DSAKeyValue", NamespaceDSig + "RSAKeyValue": "RSAKeyValue",
	NamespaceDSig11 + "ECKeyValue": "ECKeyValue", NamespaceDSig11 + "DEREncodedKeyValue": "DEREncodedKeyValue",
}

const typeRawCertificate = NamespaceDSig + "rawX509Certificate"

var errNoKeyInfo = errors.New("leads to no key information")

// retrieve follows the pointers that stay in the document, one step: what they lead to is not followed on.
func (k *KeyInfo) retrieve() {
	for i, r := range k.Retrievals {
		if !strings.HasPrefix(r.URI, "#") {
			continue // whoever can reach it may
		}
		err := fmt.Errorf("more than %d pointers", maxRetrievals)
		if i < maxRetrievals {
			err = k.follow(r)
		}
		if err != nil {
			k.Problems = append(k.Problems, fmt.Sprintf("%s %.256q: %v", r.Element.Name(), r.URI, err))
		}
	}
}

func (k *KeyInfo) follow(r Retrieval) error {
	set, target, err := k.Element.d.Select(r.URI)
	if err != nil {
		return err
	}
	if r.Element.Is(NamespaceDSig11, "KeyInfoReference") {
		if !target.Is(NamespaceDSig, "KeyInfo") || target == k.Element {
			return errNoKeyInfo
		}
		return k.take(readKeyInfo(target))
	}
	transforms, err := ReadTransforms(r.Element.Child(NamespaceDSig, "Transforms"))
	if err != nil {
		return err
	}
	if len(transforms) == 0 && r.Type != typeRawCertificate {
		return k.takeElement(target, r.Type)
	}
	t := transformer{signature: k.Element.Parent(), limits: k.Element.d.limits}
	defer t.release()
	w := &heldWriter{transformer: &t}
	if _, err := t.stream(w, SetData(set), transforms); err != nil {
		return err
	}
	if r.Type == typeRawCertificate {
		k.Retrieved = append(k.Retrieved, X509Data{Certificates: [][]byte{w.octets}})
		return nil
	}
	d, err := Parse(w.octets, t.limits)
	if err != nil {
		return err
	}
	defer d.release()
	return k.takeElement(d.Root(), r.Type)
}

// takeElement reads the child of a ds:KeyInfo, or of its ds:KeyValue, that a ds:RetrievalMethod leads to.
func (k *KeyInfo) takeElement(e Node, kind string) error {
	if local, known := keyTypes[kind]; kind != "" && (!known || local != e.Local()) {
		return fmt.Errorf("%s is not of the type %.256q", e.Name(), kind)
	}
	found := &KeyInfo{Element: e}
	var err error
	switch {
	case e.Is(NamespaceDSig, "X509Data"), e.Is(NamespaceDSig, "KeyValue"), e.Is(NamespaceDSig11, "DEREncodedKeyValue"):
		err = found.read(e)
	default:
		var key KeyValue
		if key, err = ReadKeyValue(e); errors.Is(err, ErrUnsupported) {
			return errNoKeyInfo
		}
		found.Keys = []KeyValue{key}
	}
	if err != nil {
		return err
	}
	return k.take(found)
}

// take adds what was found elsewhere. A name names nobody there either.
func (k *KeyInfo) take(found *KeyInfo) error {
	if len(found.X509)+len(found.Keys) == 0 {
		return errNoKeyInfo
	}
	k.Retrieved = append(k.Retrieved, found.X509...)
	k.Keys = append(k.Keys, found.Keys...)
	k.Problems = append(k.Problems, found.Problems...)
	return nil
}

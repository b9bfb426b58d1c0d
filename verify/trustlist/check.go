package trustlist

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"trustcore/internal/budget"
	"trustcore/internal/xmldsig"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// Checked is a list whose own signature verifies and covers all of it. Whether its signer may sign it, only the list above
// it can say (Set.Take).
type Checked struct {
	*List
	Signer []byte // DER
}

// Check reads a list and verifies its signature (TS 119 612, 5.7). Where only the signature is wrong, the list that it
// would be stands beside the error, for messages alone.
func Check(ctx context.Context, data []byte) (*Checked, error) {
	if err := recognise(data); err != nil {
		return nil, err
	}
	doc, err := xmldsig.Parse(data, xmldsig.Limits{Size: MaxSize})
	if err != nil {
		return nil, fmt.Errorf("trusted list: %w", err)
	}
	list, err := parse(doc, sha256.Sum256(data))
	if err != nil {
		return nil, err
	}
	c := &Checked{List: list}
	c.Signer, err = signerOf(ctx, doc)
	return c, err
}

// recognise names what is often in a list's place, before a parser says where it stumbles over it.
func recognise(data []byte) error {
	start := strings.ToLower(strings.TrimLeft(string(data[:min(len(data), 256)]), "\ufeff \t\r\n"))
	switch {
	case len(data) == 0:
		return errors.New("trusted list: the file is empty")
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		return errors.New("trusted list: this is a web page, as servers show for errors")
	case strings.HasPrefix(start, "%pdf-"):
		return errors.New("trusted list: this is a PDF; the list that programs read is XML")
	}
	return nil
}

// signerOf checks that the list has exactly one signature, that it verifies and covers the whole
// document, and returns its signer (TS 119 612, 5.7). Nobody signs what stands within a signature: one that is not a
// child of the root may have been moved to where something is read.
func signerOf(ctx context.Context, list *xmldsig.Document) ([]byte, error) {
	doc, err := xades.Read(budget.New(ctx, len(list.Source())), list, nil)
	if err != nil {
		return nil, fmt.Errorf("signature: %w", err)
	}
	if n := len(doc.Signatures); n != 1 {
		return nil, fmt.Errorf("the list has %d signatures, one is demanded", n)
	}
	s := doc.Signatures[0]
	switch {
	case list.Root().Child(xmldsig.NamespaceDSig, "Signature").IsZero():
		return nil, errors.New("the signature is no child of the list's root")
	case s.Unchecked != "" || len(s.Structure) > 0:
		return nil, fmt.Errorf("the signature is ill-formed: %s", strings.Join(append(s.Structure, s.Unchecked), " "))
	case s.Signer == nil:
		return nil, errors.New("the signature's certificate is missing")
	case !s.ReferencesIntact():
		return nil, errors.New("the list was changed after it was signed")
	case !s.Intact:
		return nil, errors.New("the signature value is wrong")
	case s.Binding == signature.BindingMismatch:
		return nil, errors.New("the signature names another certificate")
	case !coversDocument(s):
		return nil, errors.New("the signature does not cover the whole list")
	}
	return s.Signer, nil
}

func coversDocument(s *signature.Signature) bool {
	return slices.ContainsFunc(s.References, func(r signature.Reference) bool { return r.Type == "data" && r.Intact && r.Full })
}

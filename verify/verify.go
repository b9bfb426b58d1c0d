// Package verify judges signed documents as ETSI EN 319 102-1 says.
//
// Open turns any container into facts: bytes only, no network, no trust, no clock. Judge draws the
// conclusions from facts, evidence, policy and a time; it neither fetches nor reads the clock, so that a
// verdict can be repeated years later. A bad signature is a report, never an error; an error means
// that the document could not be judged.
package verify

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"trustcore/internal/budget"
	"trustcore/verify/asic"
	"trustcore/verify/cades"
	"trustcore/verify/ers"
	"trustcore/verify/jades"
	"trustcore/verify/pades"
	"trustcore/verify/signature"
	"trustcore/verify/xades"
)

// MaxDocument is the largest document in bytes that Open reads. What offices exchange stays below 100 MB.
const MaxDocument = 256 << 20

// GCPercent is how much a service that judges may let its memory grow before it collects (debug.SetGCPercent), below a
// ceiling (debug.SetMemoryLimit): what a document leaves is short-lived. With the usual 100 a twentieth more of the time
// goes into looking at what stays.
const GCPercent = 200

// ErrUnknownFormat tells that the content is of no format that can hold a signature.
var ErrUnknownFormat = errors.New(
	"the file is no XML, JSON, CMS, PDF or ASiC document and no evidence record: nothing in it can be verified")

// Open recognises the container by its content and returns what it holds. Detached are the files that a
// detached signature may be about; for one that is of no interest they are left unread. An evidence record among them
// is one about the document, unless that is a record itself.
func Open(b *budget.Budget, data []byte, detached ...signature.Detached) (*signature.Document, error) {
	return openWith(b, data, nil, detached)
}

// openWith is Open with passwords for a PDF.
func openWith(b *budget.Budget, data []byte, passwords [][]byte, detached []signature.Detached) (*signature.Document, error) {
	if len(data) > MaxDocument {
		return nil, fmt.Errorf("the file has %d bytes, at most %d are read", len(data), MaxDocument)
	}
	kind := recognise(data)
	if kind == containerRecord {
		return ers.Open(b, data, detached)
	}
	records, detached := ers.Split(detached)
	var doc *signature.Document
	var err error
	if kind == containerPDF {
		doc, err = openPDF(b, data, passwords)
	} else {
		doc, err = open(b, kind, data, detached)
	}
	if err == nil && carriesAll(kind) && len(doc.Signatures) > 0 &&
		slices.ContainsFunc(detached, func(f signature.Detached) bool { return kind == containerPDF || !f.DigestOnly() }) {
		doc.Notes = append(doc.Notes, signature.NotAbout)
	}
	if err == nil && len(records) > 0 {
		err = ers.Seal(b, doc, data, detached, records)
	}
	if err != nil {
		return nil, err
	}
	return doc, nil
}

// carriesAll tells whether documents of the kind hold all that their signatures are about, but for data objects of a
// container that a digest stands in for. Readers of the others tell which files they looked at.
func carriesAll(kind container) bool { return kind == containerPDF || kind == containerZIP }

func openPDF(b *budget.Budget, data []byte, passwords [][]byte) (*signature.Document, error) {
	var options []pades.Option
	for _, p := range passwords {
		options = append(options, pades.Password(p))
	}
	return pades.Open(b, data, options...)
}

func open(b *budget.Budget, kind container, data []byte, detached []signature.Detached) (*signature.Document, error) {
	switch kind {
	case containerZIP:
		return asic.Open(b, data, detached)
	case containerXML:
		doc, err := xades.Open(b, data, detached)
		if errors.Is(err, xades.ErrNoSignature) {
			return &signature.Document{}, nil // as of every other format: a report about nothing, no fault
		}
		return doc, err
	case containerJSON:
		doc, err := jades.Open(b, data, detached)
		if errors.Is(err, jades.ErrNoSignature) {
			return &signature.Document{}, nil
		}
		return doc, err
	case containerCMS:
		return cades.Open(b, data, detached)
	case containerEmpty:
		return nil, errors.New("the file is empty")
	}
	return nil, ErrUnknownFormat
}

type container int

const (
	containerUnknown container = iota
	containerEmpty
	containerPDF
	containerZIP
	containerXML
	containerJSON
	containerCMS
	containerRecord
)

// headerWindow is how far into a file the header of a PDF may stand (ISO 32000-1, annex H note 13).
const headerWindow = 1024

func recognise(data []byte) container {
	head := data[:min(len(data), headerWindow)]
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case len(text) == 0:
		return containerEmpty
	case bytes.HasPrefix(data, []byte("PK\x03\x04")), bytes.HasPrefix(data, []byte("PK\x05\x06")):
		return containerZIP
	case cades.Looks(head):
		return containerCMS // also one that holds a PDF, whose header is allowed to stand somewhat later
	case ers.Looks(head):
		return containerRecord
	case bytes.Contains(head, []byte("%PDF-")):
		return containerPDF
	case text[0] == '<', bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("\x00<")):
		return containerXML
	case jades.Looks(text):
		return containerJSON
	case data[0] == 0x30, isEncodedCMS(text), cades.LooksLikeMail(data):
		return containerCMS
	}
	return containerUnknown
}

// isEncodedCMS tells PEM and bare base64 of something that begins as a SEQUENCE.
func isEncodedCMS(text []byte) bool {
	if bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		block, _ := pem.Decode(append(text[:len(text):len(text)], '\n'))
		return block != nil || bytes.Contains(text, []byte("PKCS7")) || bytes.Contains(text, []byte("CMS"))
	}
	if len(text) < 4 || text[0] != 'M' {
		return false
	}
	first := make([]byte, 3)
	_, err := base64.StdEncoding.Decode(first, text[:4])
	return err == nil && first[0] == 0x30
}

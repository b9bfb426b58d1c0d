// Package receipt writes official receipts of electronic documents (urzędowe poświadczenie odbioru): the fields and
// the namespace of ePUAP's UPP and UPD, and an UPO of our own for offices that confirm outside of ePUAP. It turns
// facts into XML that is not sealed yet; package seal seals it. The schemas beside it say the same in XSD.
package receipt

import (
	"crypto/rand"
	_ "embed" // the schemas
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is what a receipt confirms.
type Kind string

// The kinds.
const (
	Official   Kind = "upo" // OfficialReceipt: an office received a document
	Submission Kind = "upp" // SubmissionReceipt (poświadczenie przedłożenia): a document was filed with a public body
	Delivery   Kind = "upd" // DeliveryReceipt (poświadczenie doręczenia): an addressee received a document of a public body
)

// Kinds are all of them.
var Kinds = []Kind{Official, Submission, Delivery}

// Namespaces of the receipts' elements.
const (
	Namespace         = "http://crd.gov.pl/xml/schematy/UPO/2008/05/09/" // of UPP and UPD, as ePUAP has it
	OfficialNamespace = "urn:trustcore:receipt:upo:1"                    // of UPO
)

var (
	//go:embed crd.xsd
	crdSchema []byte
	//go:embed upo.xsd
	officialSchema []byte
)

// Schema is the XSD (1.0) that receipts of the kind fulfil, sealed or not.
func Schema(k Kind) []byte {
	if k == Official {
		return officialSchema
	}
	return crdSchema
}

// Party is who sends, receives or confirms.
type Party struct {
	Name   string // full name, at most MaxName characters; required
	ID     string // such as a REGON, at most MaxID characters; "" for none
	IDType string // what ID is; required with ID
}

// Note is further information (InformacjaUzupelniajaca).
type Note struct {
	Type string // at most MaxName characters
	Text string // at most MaxNote characters
}

// Document is the document that is confirmed.
type Document struct {
	ID     string // its number or file name, at most MaxName characters; required
	SHA256 string // of its octets, 64 small hexadecimal digits; required
}

// Facts are what a receipt says.
type Facts struct {
	Kind      Kind
	ID        string // of the receipt, at most MaxID characters; NewID makes one
	Issuer    Party  // who confirms; of an UPP it is the addressee, and must be left out
	Addressee Party
	Sender    Party     // may be left out of an UPD, whose issuer is the sending body
	Received  time.Time // when the document was delivered (DataDoreczenia, DataOdbioru)
	Issued    time.Time // when the receipt was made; not before Received
	Case      string    // number of the case, at most MaxName characters; "" for none; not of an UPP
	Document  Document
	Notes     []Note // at most MaxNotes
}

// Limits. MaxID is that of ePUAP's identifiers (its WSDL, IdentyfikatorPodmiotuTyp); the others are ours: what a form
// holds, and far below what a reader of XML takes.
const (
	MaxID    = 100
	MaxName  = 300
	MaxNote  = 1000
	MaxNotes = 20
)

// NewID makes an identifier for a receipt: the kind and 128 random bits.
func NewID(k Kind) string { return strings.ToUpper(string(k)) + "-" + rand.Text() }

// FieldError says which fact is wrong, and what to write instead.
type FieldError struct {
	Field  string // such as "addressee.name"
	Remedy string
}

// Error returns field and remedy.
func (e *FieldError) Error() string { return e.Field + ": " + e.Remedy }

// Note types that the receipts' fields have no place for in ePUAP's namespace.
const (
	digestNote = "Skrót SHA-256 dokumentu"
	senderNote = "Nadawca dokumentu"
)

// XML returns the receipt, not sealed: UTF-8 without a declaration, in canonical form (Exclusive XML Canonicalization
// 1.0), without white space between elements. Errors about facts are *FieldError.
func (f Facts) XML() ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	switch f.Kind {
	case Official:
		return f.official(), nil
	case Submission:
		return f.submission(), nil
	case Delivery:
		return f.delivery(), nil
	}
	return nil, errors.New("receipt: it has a kind that cannot be written") // check knows the kinds
}

// submission is an UPP. Its elements stand in ePUAP's order.
func (f Facts) submission() []byte {
	w := begin("pos", Namespace, "UPP")
	w.element("IdentyfikatorPoswiadczenia", f.ID)
	w.party("Adresat", f.Addressee)
	w.party("Nadawca", f.Sender)
	w.time("DataDoreczenia", f.Received)
	w.time("DataWytworzeniaPoswiadczenia", f.Issued)
	w.element("IdentyfikatorDokumentu", f.Document.ID)
	w.note(Note{digestNote, f.Document.SHA256})
	w.notes(f.Notes)
	return w.end()
}

// delivery is an UPD. ePUAP's has no place for the sender: its issuer is the body that had the document delivered.
func (f Facts) delivery() []byte {
	w := begin("pos", Namespace, "UPD")
	w.element("IdentyfikatorPoswiadczenia", f.ID)
	w.party("PodmiotWystawiajacyPoswiadczenie", f.Issuer)
	w.party("Adresat", f.Addressee)
	w.time("DataOdbioru", f.Received)
	w.time("DataUtworzeniaPoswiadczenia", f.Issued)
	w.optional("IdentyfikatorSprawy", f.Case)
	w.element("IdentyfikatorDokumentu", f.Document.ID)
	w.note(Note{digestNote, f.Document.SHA256})
	if f.Sender.Name != "" {
		w.note(Note{senderNote, f.Sender.Name})
	}
	w.notes(f.Notes)
	return w.end()
}

// official is an UPO of our own: the fields of both, and the digest in an element.
func (f Facts) official() []byte {
	w := begin("upo", OfficialNamespace, "UPO")
	w.element("IdentyfikatorPoswiadczenia", f.ID)
	w.party("PodmiotWystawiajacyPoswiadczenie", f.Issuer)
	w.party("Adresat", f.Addressee)
	w.party("Nadawca", f.Sender)
	w.time("DataDoreczenia", f.Received)
	w.time("DataWytworzeniaPoswiadczenia", f.Issued)
	w.optional("IdentyfikatorSprawy", f.Case)
	w.element("IdentyfikatorDokumentu", f.Document.ID)
	w.attributed("SkrotDokumentu", "Algorytm", "SHA-256", f.Document.SHA256)
	w.notes(f.Notes)
	return w.end()
}

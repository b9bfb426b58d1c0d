package dss

import (
	"strings"

	"trustcore/verify/trace"
)

// PDFRevision is where a signature stands in a PDF document.
type PDFRevision struct {
	SignatureField         []SignatureField       `json:"SignatureField"`
	PDFSignatureDictionary SignatureDictionary    `json:"PDFSignatureDictionary"`
	ModificationDetection  *ModificationDetection `json:"ModificationDetection"`
}

// ModificationDetection is what later revisions of a PDF did.
type ModificationDetection struct {
	AnnotationOverlap   []PageModification   `json:"AnnotationOverlap"`
	VisualDifference    []PageModification   `json:"VisualDifference"`
	PageDifference      []PageModification   `json:"PageDifference"`
	ObjectModifications *ObjectModifications `json:"ObjectModifications"`
}

// PageModification names a page.
type PageModification struct {
	Page int `json:"Page"`
}

// ObjectModifications are the changes of objects, by what they mean.
type ObjectModifications struct {
	ExtensionChange     []ObjectModification `json:"ExtensionChange"`
	SignatureOrFormFill []ObjectModification `json:"SignatureOrFormFill"`
	AnnotationChange    []ObjectModification `json:"AnnotationChange"`
	Undefined           []ObjectModification `json:"Undefined"`
}

// ObjectModification is one change, in our words: DSS has the path to the object there. A stock client fails without an
// action.
type ObjectModification struct {
	Value     string  `json:"value"`
	Action    string  `json:"action"`
	FieldName none    `json:"fieldName"`
	Type      *string `json:"type"`
}

// SignatureField is a field by its full name.
type SignatureField struct {
	SigFieldLock none   `json:"SigFieldLock"`
	Name         string `json:"name"`
}

// SignatureDictionary is the one of the value.
type SignatureDictionary struct {
	SignerName         *string    `json:"SignerName"`
	Type               *string    `json:"Type"`
	Filter             *string    `json:"Filter"`
	SubFilter          *string    `json:"SubFilter"`
	ContactInfo        *string    `json:"ContactInfo"`
	Location           *string    `json:"Location"`
	Reason             *string    `json:"Reason"`
	SignatureByteRange *ByteRange `json:"SignatureByteRange"`
	DocMDP             none       `json:"DocMDP"`
	FieldMDP           none       `json:"FieldMDP"`
	Consistent         bool       `json:"consistent"`
}

// ByteRange is what is covered, offsets and lengths in octets.
type ByteRange struct {
	Value []int64 `json:"value"`
	Valid bool    `json:"valid"`
}

func revision(p *trace.PDF) *PDFRevision {
	if p == nil || len(p.Fields) == 0 {
		return nil
	}
	d := &PDFRevision{PDFSignatureDictionary: SignatureDictionary{SignerName: orNil(p.SignerName),
		Type: orNil(p.Type), Filter: orNil(p.Filter),
		SubFilter: orNil(p.SubFilter), ContactInfo: orNil(p.ContactInfo), Location: orNil(p.Location),
		Reason: orNil(p.Reason), Consistent: true}}
	for _, f := range p.Fields {
		d.SignatureField = append(d.SignatureField, SignatureField{Name: f})
	}
	if len(p.ByteRange) > 0 {
		d.PDFSignatureDictionary.SignatureByteRange = &ByteRange{p.ByteRange, true}
	}
	d.ModificationDetection = modifications(p.Changes)
	return d
}

// modifications are changes by DSS's groups, nil for none.
func modifications(changes []trace.Change) *ModificationDetection {
	if len(changes) == 0 {
		return nil
	}
	o := &ObjectModifications{ExtensionChange: []ObjectModification{}, SignatureOrFormFill: []ObjectModification{},
		AnnotationChange: []ObjectModification{}, Undefined: []ObjectModification{}}
	d := &ModificationDetection{AnnotationOverlap: []PageModification{}, VisualDifference: []PageModification{},
		PageDifference: []PageModification{}, ObjectModifications: o}
	for _, c := range changes {
		m := ObjectModification{Value: strings.TrimSpace(c.What + " " + c.Object), Type: orNil(changedTypes[c.Kind]),
			Action: "MODIFICATION"}
		switch c.Kind {
		case "validation-data", "metadata":
			o.ExtensionChange = append(o.ExtensionChange, m)
		case "timestamp", "signature":
			m.Action = "CREATION" // of a field
			o.SignatureOrFormFill = append(o.SignatureOrFormFill, m)
		case "field":
			o.SignatureOrFormFill = append(o.SignatureOrFormFill, m)
		case "annotation":
			m.Action = "CREATION"
			o.AnnotationChange = append(o.AnnotationChange, m)
		case "removal":
			m.Action = "DELETION"
			o.Undefined = append(o.Undefined, m)
		default:
			o.Undefined = append(o.Undefined, m)
		}
		switch {
		case c.Forbidden == "PdfPageDifference":
			d.PageDifference = append(d.PageDifference, PageModification{c.Page})
		case c.Forbidden == "PdfVisualDifference" && c.Page > 0:
			d.VisualDifference = append(d.VisualDifference, PageModification{c.Page})
		}
	}
	return d
}

// changedTypes are DSS's names of what was changed, by our kinds.
var changedTypes = map[string]string{"validation-data": "DSS", "timestamp": "DocTimeStamp", "signature": "Sig",
	"metadata": "Metadata"}

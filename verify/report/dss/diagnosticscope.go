package dss

import (
	"strings"

	"trustcore/verify/trace"
)

// Representations says whether digests stood in for documents.
type Representations struct {
	HashOnly    bool `json:"HashOnly"`
	DocHashOnly bool `json:"DocHashOnly"`
}

// DiagnosticScope is what of a data object is covered.
type DiagnosticScope struct {
	Scope          string   `json:"Scope"`
	Name           string   `json:"Name"`
	Description    string   `json:"Description"`
	Transformation []string `json:"Transformation"`
	SignerData     string   `json:"SignerData"`
}

// SignerData is a data object.
type SignerData struct {
	ID             string  `json:"Id"`
	ReferencedName *string `json:"ReferencedName"`
	Digest         Digest  `json:"DigestAlgoAndValue"`
	Duplicated     *bool   `json:"Duplicated"`
	Parent         *string `json:"Parent"`
}

func diagnosticScopes(scopes []trace.Scope, counter bool) []DiagnosticScope {
	d := []DiagnosticScope{}
	for _, s := range scopes {
		d = append(d, DiagnosticScope{Scope: scopeType(s, counter), Name: s.Name, Description: s.Description,
			Transformation: transformations(s.Transforms), SignerData: s.SignedData})
	}
	return d
}

// transformations are DSS's words for transforms, nil for none. Of one that it has no words for, the URI stands there.
func transformations(uris string) []string {
	var list []string
	for _, uri := range strings.Fields(uris) {
		if words := transforms[uri]; words != "" {
			uri = words
		}
		list = append(list, uri)
	}
	return list
}

var transforms = map[string]string{
	"http://www.w3.org/2000/09/xmldsig#base64":                     "Base64 Decoding",
	"http://www.w3.org/2000/09/xmldsig#enveloped-signature":        "Enveloped Signature Transform",
	"http://www.w3.org/TR/1999/REC-xpath-19991116":                 "XPath filtering",
	"http://www.w3.org/2002/06/xmldsig-filter2":                    "XPath Filter 2.0 Transform",
	"http://www.w3.org/TR/1999/REC-xslt-19991116":                  "XSLT Transform",
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315":              "Canonical XML 1.0 (omits comments)",
	"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments": "Canonical XML 1.0 with Comments",
	"http://www.w3.org/2006/12/xml-c14n11":                         "Canonical XML 1.1 (omits comments)",
	"http://www.w3.org/2006/12/xml-c14n11#WithComments":            "Canonical XML 1.1 with Comments",
	"http://www.w3.org/2001/10/xml-exc-c14n#":                      "Exclusive Canonical XML (omits comments)",
	"http://www.w3.org/2001/10/xml-exc-c14n#WithComments":          "Exclusive Canonical XML with Comments",
}

package policy

import "strings"

// Context is what a constraint is about: a signed thing, or a certificate within its chain.
type Context uint8

// The contexts. Of a thing that is signed there are three: itself, its signing certificate and the CA certificates
// above that (Signer and CA lead from the first to the others).
const (
	Signature Context = iota // the main signature
	SignatureSigner
	SignatureCA
	CounterSignature
	CounterSignatureSigner
	CounterSignatureCA
	Timestamp
	TimestampSigner
	TimestampCA
	Revocation // OCSP answers and CRLs
	RevocationSigner
	RevocationCA
	EvidenceRecord
	Container    // ASiC
	PDFA         // PDF/A
	TrustedLists // DSS's eIDAS block
	Product      // what has no name in DSS
	contextCount
)

// contextPaths are the elements of DSS's policy that hold the constraints of a context.
var contextPaths = [contextCount]string{
	Signature:              "SignatureConstraints",
	SignatureSigner:        "SignatureConstraints/BasicSignatureConstraints/SigningCertificate",
	SignatureCA:            "SignatureConstraints/BasicSignatureConstraints/CACertificate",
	CounterSignature:       "CounterSignatureConstraints",
	CounterSignatureSigner: "CounterSignatureConstraints/BasicSignatureConstraints/SigningCertificate",
	CounterSignatureCA:     "CounterSignatureConstraints/BasicSignatureConstraints/CACertificate",
	Timestamp:              "Timestamp",
	TimestampSigner:        "Timestamp/BasicSignatureConstraints/SigningCertificate",
	TimestampCA:            "Timestamp/BasicSignatureConstraints/CACertificate",
	Revocation:             "Revocation",
	RevocationSigner:       "Revocation/BasicSignatureConstraints/SigningCertificate",
	RevocationCA:           "Revocation/BasicSignatureConstraints/CACertificate",
	EvidenceRecord:         "EvidenceRecord",
	Container:              "ContainerConstraints",
	PDFA:                   "PDFAConstraints",
	TrustedLists:           "eIDAS",
	Product:                "ProductConstraints",
}

// String is the path of the context's element in DSS's policy, such as "Timestamp".
func (c Context) String() string { return contextPaths[c] }

// Signer is the context of the signing certificate of what is signed; of any other context it is the context itself.
func (c Context) Signer() Context { return c.within(1) }

// CA is the context of the CA certificates above the signer; of any other context it is the context itself.
func (c Context) CA() Context { return c.within(2) }

func (c Context) within(step Context) Context {
	if c > RevocationCA {
		return c
	}
	return c - c%3 + step
}

// suitePath is where the cryptographic constraints of a context stand, "" where it has none.
func (c Context) suitePath() string {
	switch {
	case c > EvidenceRecord:
		return ""
	case c == EvidenceRecord, c%3 != 0:
		return contextPaths[c] + "/" + suiteElement
	}
	return contextPaths[c] + "/" + groupBasic + "/" + suiteElement
}

// suiteElement is DSS's name of the cryptographic constraints, of a context and of the whole policy.
const suiteElement = "Cryptographic"

// The groups that DSS divides the constraints of a signed thing into.
const (
	groupNone     = ""
	groupBasic    = "BasicSignatureConstraints"
	groupSigned   = "SignedAttributes"
	groupUnsigned = "UnsignedAttributes"
)

// suitePaths are the places of the contexts' own cryptographic constraints.
var suitePaths = indexSuites()

func indexSuites() map[string]Context {
	index := map[string]Context{}
	for c := range contextCount {
		if path := c.suitePath(); path != "" {
			index[path] = c
		}
	}
	return index
}

// groups are the elements that hold constraints and are none.
var groups = indexGroups()

func indexGroups() map[string]bool {
	index := map[string]bool{}
	for path := range byPath {
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path, '/') {
			path = path[:i]
			index[path] = true
		}
	}
	return index
}

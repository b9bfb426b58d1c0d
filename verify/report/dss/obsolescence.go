package dss

import (
	"strconv"

	"trustcore/verify/trace"
)

// AOV is the obsolescence of algorithms, which DSS has as a block of its own.
type AOV struct {
	SignatureCryptographicValidation        *CryptographicValidation `json:"SignatureCryptographicValidation"`
	SignedAttributesValidation              *CryptographicValidation `json:"SignedAttributesValidation"`
	DigestMatchersValidation                *CryptographicValidation `json:"DigestMatchersValidation"`
	CertificateChainCryptographicValidation *ChainCryptography       `json:"CertificateChainCryptographicValidation"`
	Block
	ValidationTime *Time `json:"ValidationTime"`
}

// ChainCryptography is that of the certificates of a path.
type ChainCryptography struct {
	CertificateCryptographicValidation []CryptographicValidation `json:"CertificateCryptographicValidation"`
}

// CryptographicValidation is one use of an algorithm.
type CryptographicValidation struct {
	Algorithm                    Algorithm  `json:"Algorithm"`
	NotAfter                     *Time      `json:"NotAfter"`
	ConcernedMaterialDescription *string    `json:"ConcernedMaterialDescription"`
	Conclusion                   Conclusion `json:"Conclusion"`
	TokenID                      string     `json:"TokenId"`
}

// Algorithm is named for persons and by a URI, "" where there is none.
type Algorithm struct {
	Name      string  `json:"Name"`
	URI       string  `json:"Uri"`
	KeyLength *string `json:"KeyLength"`
}

// obsolescence tells of the uses of algorithms: of all, where the trace does, else of those that the blocks came to. Of
// each group the use that fails first, or the first, is described.
func (w *writer) obsolescence(o object) AOV {
	d := AOV{Block: Block{Constraint: []Constraint{}, Title: "Algorithm obsolescence validation"}}
	uses := o.uses
	if uses == nil {
		uses = usesOf(o.blocks)
	}
	all := newWhole()
	for _, u := range uses {
		asked := w.constraint(constraintOn(u), nil, o.of)
		use := cryptographicValidation(u, o.id, asked)
		asked.ID = &use.TokenID
		block := "AOV"
		asked.BlockType = &block
		d.Constraint = append(d.Constraint, asked)
		all.include(&use.Conclusion)
		d.add(u, use)
	}
	d.Conclusion = all.conclusion()
	return d
}

// add enters the use where DSS has it.
func (a *AOV) add(u trace.Crypto, use CryptographicValidation) {
	switch u.Purpose {
	case "certificate":
		if a.CertificateChainCryptographicValidation == nil {
			a.CertificateChainCryptographicValidation = &ChainCryptography{}
		}
		chain := a.CertificateChainCryptographicValidation
		chain.CertificateCryptographicValidation = append(chain.CertificateCryptographicValidation, use)
		return
	case signingCertificate:
		graver(&a.SignedAttributesValidation, use)
	case "signature", "timestamp-signature", "revocation":
		graver(&a.SignatureCryptographicValidation, use)
	default:
		graver(&a.DigestMatchersValidation, use)
	}
	a.ValidationTime = momentOrNil(&u.Time)
}

// signingCertificate is the purpose of digests by which the signer names certificates. Who could use their weakness
// would have to be the signer: it is a remark.
const signingCertificate = "signing-certificate"

// constraintOn is the constraint that the use is acceptable.
func constraintOn(u trace.Crypto) trace.Constraint {
	c := trace.Constraint{Name: "Cryptographic", Status: trace.OK, Subject: u.Purpose, Object: u.Object, Crypto: &u}
	switch {
	case !u.Secure && u.Purpose == signingCertificate:
		c.Status = trace.Warning
	case !u.Secure:
		c.Status = trace.NotOK
	case u.Why != "":
		c.Status = trace.Warning
	}
	if c.Status != trace.OK {
		c.Message = u.Why
	}
	return c
}

// usesOf are the uses in the constraints of blocks.
func usesOf(blocks []trace.Block) []trace.Crypto {
	var list []trace.Crypto
	for _, b := range blocks {
		for _, c := range b.Constraints {
			if c.Crypto == nil {
				continue
			}
			u := *c.Crypto
			if u.Object == "" {
				u.Object = c.Object
			}
			if u.Why == "" {
				u.Why = c.Message
			}
			list = append(list, u)
		}
		list = append(list, usesOf(b.Blocks)...)
	}
	return list
}

// asked is the constraint by which the acceptance validation, which came to the indication, asks for the block.
func (a *AOV) asked(id, indication string) Constraint {
	status, text := trace.OK, ""
	switch {
	case a.Conclusion.Indication != "PASSED" && indication == "PASSED":
		status = trace.Warning // acceptance was decided without it
	case a.Conclusion.Indication != "PASSED":
		status = trace.NotOK
	}
	if len(a.Conclusion.Errors) > 0 {
		text = a.Conclusion.Errors[0].Value
	}
	c := newConstraint("ACCM", "ACCM_ANS", entries["Cryptographic"].asks, status, text)
	block, id := "AOV", id+"-AOV"
	c.BlockType, c.ID = &block, &id
	for _, one := range a.Constraint[:min(1, len(a.Constraint))] {
		c.AdditionalInfo = one.AdditionalInfo
	}
	return c
}

func graver(at **CryptographicValidation, use CryptographicValidation) {
	if *at == nil || (*at).Conclusion.Indication == "PASSED" && use.Conclusion.Indication != "PASSED" {
		*at = &use
	}
}

func cryptographicValidation(u trace.Crypto, id string, asked Constraint) CryptographicValidation {
	d := CryptographicValidation{TokenID: id, NotAfter: momentOrNil(u.NotAfter),
		Algorithm: Algorithm{Name: algorithmName(u.Algorithm), URI: uris[u.Algorithm]}}
	d.ConcernedMaterialDescription = orNil(materials[u.Purpose])
	if u.Object != "" {
		d.TokenID = u.Object
	}
	if u.KeyBits > 0 {
		size := strconv.Itoa(u.KeyBits)
		d.Algorithm.KeyLength = &size
	}
	found, indication := newMessages(), "PASSED"
	found.constraint(asked)
	var sub *string
	if asked.Error != nil {
		indication, sub = "INDETERMINATE", orNil("CRYPTO_CONSTRAINTS_FAILURE_NO_POE")
	}
	d.Conclusion = found.concluded(indication, sub)
	return d
}

// materials are DSS's words for what digests are of.
var materials = map[string]string{"reference": "signature creation", "message-digest": "signature creation",
	"timestamp-imprint": "time-stamp message imprint", "evidence-record": "evidence record"}

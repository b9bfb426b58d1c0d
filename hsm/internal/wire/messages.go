package wire

import "trustcore/hsm/mechanism"

// OpenRequest tells the worker which module and token it serves. It names files that hold the PINs, never the PINs.
type OpenRequest struct {
	ModulePath string
	TokenDir   string // state of SoftHSM and the worker's lock; made when it is not there
	TokenLabel string
	PINFile    string // made with a random PIN at the first start when it is not there
	SOPINFile  string // likewise, for the security officer's PIN
	Sessions   int    // parallel signatures, at least 1

	// MayInitialise lets a first start make folders, PINs and the token. It is false where keys are registered: then
	// a token that is not there is a loss, and an empty one in its place would hide it.
	MayInitialise bool
	// RefusedBy is the serial number of the token that has refused this PIN. It is not asked again, since tokens lock
	// after a few wrong ones.
	RefusedBy string
}

// PINRefusal is the answer to an OpenRequest whose PIN the token refuses.
type PINRefusal struct {
	Serial string // of the token
	Reason string
	Tried  bool // the token was asked, and not only RefusedBy
}

// OpenAnswer describes the token.
type OpenAnswer struct {
	Manufacturer, Model, Serial, Label string
	Firmware, Hardware, Library        string // versions; the library's maker and name are part of Library
	Created                            bool   // the token was initialised by this call
	Known                              bool   // the serial number is the one that the token's folder remembers
}

// Algorithm is the kind of a key.
type Algorithm string

// The algorithms of keys.
const (
	RSA2048 Algorithm = "RSA-2048"
	RSA3072 Algorithm = "RSA-3072"
	RSA4096 Algorithm = "RSA-4096"
	P256    Algorithm = "P-256"
	P384    Algorithm = "P-384"
)

// GenerateRequest asks for a new key pair under an ID that the caller has chosen and recorded before.
type GenerateRequest struct {
	ID         ID
	Label      string
	Algorithm  Algorithm
	Mechanisms []mechanism.Mechanism
}

// GenerateAnswer describes the new key.
type GenerateAnswer struct {
	PublicKey   []byte // SubjectPublicKeyInfo, DER
	Attestation Attestation
}

// Attestation is what the token itself says about a private key, read back after its generation (PKCS#11 2.40, 4.9
// and 4.4).
type Attestation struct {
	Token, Private, Sensitive, AlwaysSensitive bool
	Extractable, NeverExtractable              bool
	Local, Modifiable, Copyable                bool
	LocalNotKept                               bool `json:",omitempty"` // the maker's tokens say CKA_LOCAL of no key
	Sign, SignRecover, Decrypt, Unwrap, Derive bool
	Mechanisms                                 []uint `json:",omitempty"` // CKA_ALLOWED_MECHANISMS, where the token keeps it
}

// Refusal says which of the attributes is not as a hardened key must have it that signs alone, or decrypts alone;
// empty when all are.
func (a Attestation) Refusal(decrypts bool) string {
	for _, want := range []struct {
		name      string
		got, want bool
	}{
		{"CKA_TOKEN", a.Token, true},
		{"CKA_PRIVATE", a.Private, true},
		{"CKA_SENSITIVE", a.Sensitive, true},
		{"CKA_ALWAYS_SENSITIVE", a.AlwaysSensitive, true},
		{"CKA_EXTRACTABLE", a.Extractable, false},
		{"CKA_NEVER_EXTRACTABLE", a.NeverExtractable, true},
		{"CKA_LOCAL", a.Local || a.LocalNotKept, true},
		{"CKA_MODIFIABLE", a.Modifiable, false},
		{"CKA_SIGN", a.Sign, !decrypts},
		{"CKA_SIGN_RECOVER", a.SignRecover, false},
		{"CKA_DECRYPT", a.Decrypt, decrypts},
		{"CKA_UNWRAP", a.Unwrap, false},
		{"CKA_DERIVE", a.Derive, false},
	} {
		if want.got != want.want {
			return want.name
		}
	}
	return ""
}

// MaxWeak is how many weak keys a SurveyAnswer names, so that it fits into a frame.
const MaxWeak = 1000

// SurveyAnswer is what the token's private keys are.
type SurveyAnswer struct {
	IDs     []byte // those that are as ours, one after the other; one that several keys share stands there for each
	Weak    []Weak // keys that are less hardened than we make them; the first MaxWeak
	Foreign int    // keys with an ID that is not as ours, or none
}

// Weak is a key that is less hardened than we make them.
type Weak struct {
	ID        ID
	Attribute string // the first one that is not as it has to be
}

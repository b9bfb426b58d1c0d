package p11kit

// Names of PKCS#11 2.40, without their prefixes where the type says them.

// rv is a CK_RV. It is an error; zero is none.
type rv uint64

const (
	ckrSlotInvalid          rv = 0x03
	ckrArgumentsBad         rv = 0x07
	ckrAttributeSensitive   rv = 0x11
	ckrAttributeType        rv = 0x12
	ckrDataInvalid          rv = 0x20
	ckrDataLength           rv = 0x21
	ckrCiphertext           rv = 0x40
	ckrCiphertextLength     rv = 0x41
	ckrDeviceError          rv = 0x30
	ckrFunctionNotSupported rv = 0x54
	ckrKeyHandle            rv = 0x60
	ckrKeyFunction          rv = 0x68
	ckrMechanism            rv = 0x70
	ckrMechanismParam       rv = 0x71
	ckrObjectHandle         rv = 0x82
	ckrOperationActive      rv = 0x90
	ckrOperationMissing     rv = 0x91
	ckrSessionCount         rv = 0xb1
	ckrSessionHandle        rv = 0xb3
	ckrSignatureInvalid     rv = 0xc0
	ckrSignatureLength      rv = 0xc1
	ckrWriteProtected       rv = 0xe2
	ckrAlreadyLoggedIn      rv = 0x100
	ckrNotLoggedIn          rv = 0x101
	ckrUserType             rv = 0x103
	ckrBufferTooSmall       rv = 0x150
	ckrNotInitialized       rv = 0x190
	ckrFunctionRejected     rv = 0x200
)

// Error is for the log.
func (r rv) Error() string { return "CKR " + hex(uint64(r)) }

func hex(n uint64) string {
	const digits = "0123456789abcdef"
	text := ""
	for ; n > 0 || text == ""; n >>= 4 {
		text = string(digits[n&15]) + text
	}
	return "0x" + text
}

// Attributes.
const (
	ckaClass           = 0x00
	ckaToken           = 0x01
	ckaPrivate         = 0x02
	ckaLabel           = 0x03
	ckaValue           = 0x11
	ckaCertificateType = 0x80
	ckaIssuer          = 0x81
	ckaSerialNumber    = 0x82
	ckaTrusted         = 0x86
	ckaCategory        = 0x87
	ckaKeyType         = 0x100
	ckaSubject         = 0x101
	ckaID              = 0x102
	ckaSensitive       = 0x103
	ckaEncrypt         = 0x104
	ckaDecrypt         = 0x105
	ckaWrap            = 0x106
	ckaUnwrap          = 0x107
	ckaSign            = 0x108
	ckaSignRecover     = 0x109
	ckaVerify          = 0x10a
	ckaVerifyRecover   = 0x10b
	ckaDerive          = 0x10c
	ckaStartDate       = 0x110
	ckaEndDate         = 0x111
	ckaModulus         = 0x120
	ckaModulusBits     = 0x121
	ckaPublicExponent  = 0x122
	ckaPrivateExponent = 0x123 // to ckaCoefficient, 0x128: all of the private key
	ckaCoefficient     = 0x128
	ckaExtractable     = 0x162
	ckaLocal           = 0x163
	ckaNeverExtract    = 0x164
	ckaAlwaysSensitive = 0x165
	ckaModifiable      = 0x170
	ckaCopyable        = 0x171
	ckaECParams        = 0x180
	ckaECPoint         = 0x181
	ckaAlwaysAuth      = 0x202
	ckaWrapWithTrusted = 0x210
)

// form is how the protocol writes an attribute's value.
type form byte

const (
	formOctets form = iota
	formOctet
	formULong
	formArray
)

// forms are those of the attributes whose values are no octets.
var forms = map[uint32]form{
	ckaClass: formULong, ckaCertificateType: formULong, ckaCategory: formULong, ckaKeyType: formULong, ckaModulusBits: formULong,
	0x88: formULong, 0x133: formULong, 0x134: formULong, 0x160: formULong, 0x161: formULong, 0x166: formULong,
	0x201: formULong, 0x300: formULong, 0x400: formULong, 0x401: formULong, 0x402: formULong, 0x403: formULong, 0x404: formULong,
	0x406: formULong, 0x500: formULong,
	ckaToken: formOctet, ckaPrivate: formOctet, ckaTrusted: formOctet, ckaSensitive: formOctet, ckaEncrypt: formOctet, ckaDecrypt: formOctet,
	ckaWrap: formOctet, ckaUnwrap: formOctet, ckaSign: formOctet, ckaSignRecover: formOctet, ckaVerify: formOctet, ckaVerifyRecover: formOctet,
	ckaDerive: formOctet, ckaExtractable: formOctet, ckaLocal: formOctet, ckaNeverExtract: formOctet, ckaAlwaysSensitive: formOctet,
	ckaModifiable: formOctet, ckaCopyable: formOctet, 0x200: formOctet, ckaAlwaysAuth: formOctet, ckaWrapWithTrusted: formOctet,
	0x301: formOctet, 0x302: formOctet, 0x405: formOctet,
	0x40000211: formArray, 0x40000212: formArray, 0x40000213: formArray, 0x40000600: formArray,
}

func formOf(kind uint32) form { return forms[kind] }

// Classes of objects, and kinds of keys.
const (
	ckoCertificate = 1
	ckoPublicKey   = 2
	ckoPrivateKey  = 3
	ckkRSA         = 0
	ckkEC          = 3
)

// Mechanisms.
const (
	ckmRSA         = 0x01
	ckmRSAOAEP     = 0x09
	ckmRSAPSS      = 0x0d
	ckmSHA256RSA   = 0x40 // SHA384 and SHA512 are the next two
	ckmSHA256PSS   = 0x43
	ckmECDSA       = 0x1041
	ckmECDSASHA256 = 0x1044
)

// Flags.
const (
	ckfTokenPresent   = 0x01
	ckfRNG            = 0x01
	ckfWriteProtected = 0x02
	ckfPINSet         = 0x08
	ckfInitialized    = 0x400
	ckfRWSession      = 0x02
	ckfSerialSession  = 0x04
	ckfHW             = 0x01
	ckfDecrypt        = 0x200
	ckfSign           = 0x800
	ckfVerify         = 0x2000
	ckfEC             = 0x1900000 // over GF(p), named curves, uncompressed points
)

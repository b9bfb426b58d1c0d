package p11kit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"hash"
	"math/big"
	"slices"

	"trustcore/hsm/mechanism"
)

// maxData is how much may be gathered for a signature over data that are hashed already, in octets: a DigestInfo or a
// digest.
const maxData = 256

// operation is a signature or its verification that was begun.
type operation struct {
	key  *Key
	how  how
	hash hash.Hash // of the data; nil where they come hashed
	data []byte    // that came hashed
}

// how is what a program named as its mechanism.
type how struct {
	kind   uint32
	hash   crypto.Hash // 0 where the data say it (CKM_RSA_PKCS, CKM_ECDSA)
	hashed bool        // the data are a digest already
}

// offered lists the mechanisms that keys like these have, as PKCS#11 names them.
func offered(keys []Key) []uint64 {
	found := map[uint64]bool{}
	for _, k := range keys {
		for _, m := range k.Mechanisms {
			for _, name := range names(m) {
				found[uint64(name)] = true
			}
		}
	}
	all := make([]uint64, 0, len(found))
	for name := range found {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// step is the place of a mechanism's hash among SHA-256, SHA-384 and SHA-512.
func step(h crypto.Hash) uint32 { return uint32(h - crypto.SHA256) }

// names are what PKCS#11 has for a mechanism: over a digest, and over data.
func names(m mechanism.Mechanism) [2]uint32 {
	switch {
	case m.Decrypts():
		return [2]uint32{ckmRSAOAEP, ckmRSAOAEP}
	case m.Fits(&ecdsa.PublicKey{}):
		return [2]uint32{ckmECDSA, ckmECDSASHA256 + step(m.Hash())}
	case isPSS(m):
		return [2]uint32{ckmRSAPSS, ckmSHA256PSS + step(m.Hash())}
	}
	return [2]uint32{ckmRSA, ckmSHA256RSA + step(m.Hash())}
}

func isPSS(m mechanism.Mechanism) bool {
	_, pss := m.Options().(*rsa.PSSOptions)
	return pss
}

// hashes of PSS parameters: CKM_SHA256 and so on, with their mask generation functions.
var hashes = map[[2]uint64]crypto.Hash{
	{0x250, 2}: crypto.SHA256, {0x260, 3}: crypto.SHA384, {0x270, 4}: crypto.SHA512,
}

// mechanism reads a CK_MECHANISM.
func (r *reader) mechanism() (how, error) {
	h := how{kind: r.uint32()}
	switch h.kind {
	case ckmRSAPSS, ckmSHA256PSS, ckmSHA256PSS + 1, ckmSHA256PSS + 2:
		params, salt := [2]uint64{r.ulong(), r.ulong()}, r.ulong()
		h.hash, h.hashed = hashes[params], h.kind == ckmRSAPSS
		switch {
		case r.err != nil:
		case h.hash == 0, salt != uint64(h.hash.Size()), !h.hashed && step(h.hash) != h.kind-ckmSHA256PSS:
			return h, ckrMechanismParam
		}
		return h, r.err
	case ckmRSAOAEP:
		return h.oaep(r)
	}
	r.octets() // parameters of mechanisms that have none
	switch h.kind {
	case ckmRSA, ckmECDSA:
		h.hashed = true
	case ckmSHA256RSA, ckmSHA256RSA + 1, ckmSHA256RSA + 2:
		h.hash = crypto.SHA256 + crypto.Hash(h.kind-ckmSHA256RSA)
	case ckmECDSASHA256, ckmECDSASHA256 + 1, ckmECDSASHA256 + 2:
		h.hash = crypto.SHA256 + crypto.Hash(h.kind-ckmECDSASHA256)
	default:
		return h, ckrMechanism
	}
	return h, r.err
}

// oaeps are the parameters of OAEP that are taken: CKM_SHA_1 or CKM_SHA256 with the mask generation function of the
// same, and CKZ_DATA_SPECIFIED.
var oaeps = map[[3]uint64]crypto.Hash{{0x220, 1, 1}: crypto.SHA1, {0x250, 2, 1}: crypto.SHA256}

// oaep reads CK_RSA_PKCS_OAEP_PARAMS. The label has to be empty. Programs that mean no label leave the source 0
// (pkcs11-tool).
func (h how) oaep(r *reader) (how, error) {
	params := [3]uint64{r.ulong(), r.ulong(), r.ulong()}
	label := r.octets()
	if params[2] == 0 && len(label) == 0 {
		params[2] = 1
	}
	h.hash, h.hashed = oaeps[params], true
	if r.err == nil && (h.hash == 0 || len(label) > 0) {
		return h, ckrMechanismParam
	}
	return h, r.err
}

// begin begins an operation of the key by the mechanism, if the key is of its kind.
func begin(k *Key, h how) (*operation, error) {
	if !slices.ContainsFunc(k.Mechanisms, func(m mechanism.Mechanism) bool {
		name := names(m)
		return slices.Contains(name[:], h.kind) && (h.hash == 0 || m.Hash() == h.hash)
	}) {
		return nil, ckrKeyFunction
	}
	o := &operation{key: k, how: h}
	if !h.hashed {
		o.hash = h.hash.New()
	}
	return o, nil
}

// add takes data.
func (o *operation) add(data []byte) error {
	if o.hash != nil {
		o.hash.Write(data)
		return nil
	}
	if len(o.data)+len(data) > maxData {
		return ckrDataLength
	}
	o.data = append(o.data, data...)
	return nil
}

// digest is what is to be signed, and the mechanism of ours, which the key has to have. Data that say their hash
// themselves are taken only as what they have to be: a DigestInfo, or a digest of a known length.
func (o *operation) digest() (mechanism.Mechanism, []byte, error) {
	h, digest := o.how.hash, o.data
	switch {
	case o.hash != nil:
		digest = o.hash.Sum(nil)
	case o.how.kind == ckmRSA:
		var err error
		if h, digest, err = mechanism.ParseDigestInfo(o.data); err != nil {
			return "", nil, ckrDataInvalid
		}
	case o.how.kind == ckmECDSA:
		for _, known := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			if known.Size() == len(digest) {
				h = known
			}
		}
	}
	if h == 0 || len(digest) != h.Size() {
		return "", nil, ckrDataLength
	}
	for _, m := range o.key.Mechanisms {
		if name := names(m); m.Hash() == h && slices.Contains(name[:], o.how.kind) {
			return m, digest, nil
		}
	}
	return "", nil, ckrKeyFunction
}

// size is how long a signature of the key is, in octets.
func (k *Key) size() int {
	switch p := k.Public.(type) {
	case *rsa.PublicKey:
		return p.Size()
	case *ecdsa.PublicKey:
		return 2 * half(p)
	}
	return 0
}

// half is the length of r and of s.
func half(p *ecdsa.PublicKey) int { return (p.Curve.Params().N.BitLen() + 7) / 8 }

// fromDER makes of an ECDSA signature in DER the one of PKCS#11: r and s, one behind the other. RSA's is left as it is.
func (k *Key) fromDER(signature []byte) ([]byte, error) {
	p, ok := k.Public.(*ecdsa.PublicKey)
	if !ok {
		return signature, nil
	}
	var value struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &value)
	if err != nil || len(rest) > 0 || max(value.R.BitLen(), value.S.BitLen()) > 8*half(p) {
		return nil, ckrDeviceError
	}
	out := make([]byte, 2*half(p))
	value.R.FillBytes(out[:half(p)])
	value.S.FillBytes(out[half(p):])
	return out, nil
}

// verify checks a signature by the public key.
func (o *operation) verify(signature []byte) error {
	m, digest, err := o.digest()
	if err != nil {
		return err
	}
	if len(signature) != o.key.size() {
		return ckrSignatureLength
	}
	if p, ec := o.key.Public.(*ecdsa.PublicKey); ec {
		r, s := new(big.Int).SetBytes(signature[:half(p)]), new(big.Int).SetBytes(signature[half(p):])
		if signature, err = asn1.Marshal(struct{ R, S *big.Int }{r, s}); err != nil {
			return err
		}
	}
	if !m.Verify(o.key.Public, digest, signature) {
		return ckrSignatureInvalid
	}
	return nil
}

package worker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
)

// maxKeys bounds the list of the token's keys: what one frame holds.
const maxKeys = wire.MaxBody / wire.IDSize

// findStep is how many objects one call of a search returns at most.
const findStep = 1000

// signAll signs one digest after the other, up to the first that fails.
func (t *token) signAll(id wire.ID, m mechanism.Mechanism, digests [][]byte) (signatures [][]byte, err error) {
	for _, d := range digests {
		signature, err := t.sign(id, m, d)
		if err != nil {
			return signatures, err
		}
		signatures = append(signatures, signature)
	}
	return signatures, nil
}

// sign signs a digest whose length the caller has checked.
func (t *token) sign(id wire.ID, m mechanism.Mechanism, digest []byte) ([]byte, error) {
	var signature []byte
	err := t.attempt(func(session *crypto11.Context) error {
		key, err := t.key(session, id)
		if err != nil {
			return err
		}
		if !m.Fits(key.Public()) || m.Decrypts() {
			return fmt.Errorf("%w: %s does not fit the key", errRequest, m)
		}
		signature, err = key.Sign(nil, truncate(key.Public(), digest), m.Options())
		return err
	})
	return signature, err
}

// truncate shortens a digest to the size of the curve's order (FIPS 186-5, 6.4.1), which some tokens leave to their
// caller.
func truncate(pub crypto.PublicKey, digest []byte) []byte {
	if p, ok := pub.(*ecdsa.PublicKey); ok {
		return digest[:min(len(digest), (p.Curve.Params().N.BitLen()+7)/8)]
	}
	return digest
}

// key returns the key with its handles, looking it up at its first use in a session. The caller holds t.mu.
func (t *token) key(session *crypto11.Context, id wire.ID) (crypto11.Signer, error) {
	t.keysMu.RLock()
	key := t.keys[id]
	t.keysMu.RUnlock()
	if key != nil {
		return key, nil
	}
	t.manage.Lock()
	defer t.manage.Unlock()
	found, err := session.FindKeyPairs(id[:], nil)
	if err != nil {
		return nil, fmt.Errorf("looking up key %x: %w", id, err)
	}
	switch len(found) {
	case 0:
		if err := t.loggedIn(); err != nil {
			return nil, err
		}
		return nil, errNoKey
	case 1:
	default:
		return nil, fmt.Errorf("%d keys have the ID %x", len(found), id)
	}
	t.keysMu.Lock()
	defer t.keysMu.Unlock()
	t.keys[id] = found[0]
	return found[0], nil
}

// generate makes a key pair and reads back what the token made of it. A key that is not as hardened as asked is
// destroyed again. After a failure it cleans up and tries once more, for SoftHSM's key generation fails now and then.
func (t *token) generate(r wire.GenerateRequest) (*wire.GenerateAnswer, error) {
	var answer *wire.GenerateAnswer
	err := t.attempt(func(session *crypto11.Context) error {
		t.manage.Lock()
		defer t.manage.Unlock()
		if err := t.erase(r.ID); err != nil && !errors.Is(err, errNoKey) {
			return err
		}
		key, err := t.makePair(session, r)
		if err != nil {
			return err
		}
		answer, err = t.examine(key, r)
		if err != nil {
			return errors.Join(err, t.erase(r.ID))
		}
		t.keysMu.Lock()
		defer t.keysMu.Unlock()
		t.keys[r.ID] = key
		return nil
	})
	return answer, err
}

// optional are the attributes of private keys that not every token knows. They bind the key to what Refusal and this
// package's own checks ask of it anyway.
var optional = []crypto11.AttributeType{crypto11.CkaCopyable, crypto11.CkaAllowedMechanisms}

// makePair makes a key pair with all attributes that the token knows. When one can't be made, the token is asked which
// those are: by what it says of a key that was made without the optional ones, since modules tell an attribute that
// they don't know by any error. The caller holds t.manage.
func (t *token) makePair(session *crypto11.Context, r wire.GenerateRequest) (crypto11.Signer, error) {
	key, err := generatePair(session, r, t.unknown)
	if err == nil || errors.Is(err, errRequest) || t.unknown != nil {
		return key, err
	}
	unknown, asked := t.unknownAttributes(session, r.ID)
	if len(unknown) == 0 {
		return nil, errors.Join(err, asked)
	}
	t.unknown = unknown
	return generatePair(session, r, unknown)
}

// unknownAttributes are the optional ones that the token doesn't know. It leaves no key under the ID.
func (t *token) unknownAttributes(session *crypto11.Context, id wire.ID) (unknown []crypto11.AttributeType, err error) {
	gone := func() error {
		if err := t.erase(id); !errors.Is(err, errNoKey) {
			return err
		}
		return nil
	}
	if err := gone(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, gone()) }()
	trial := wire.GenerateRequest{ID: id, Algorithm: wire.P256, Mechanisms: []mechanism.Mechanism{mechanism.ECDSASHA256}}
	if _, err := generatePair(session, trial, optional); err != nil {
		return nil, err
	}
	err = t.objects(id, pkcs11.CKO_PRIVATE_KEY, func(session pkcs11.SessionHandle, keys []pkcs11.ObjectHandle) error {
		for _, a := range optional {
			for _, key := range keys {
				_, err := t.module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(uint(a), nil)})
				if errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
					unknown = append(unknown, a)
				}
			}
		}
		return nil
	})
	return unknown, err
}

// generatePair generates with templates in which everything but signing, or decrypting, is switched off, but for the
// attributes that are left out.
func generatePair(session *crypto11.Context, r wire.GenerateRequest, without []crypto11.AttributeType) (crypto11.Signer, error) {
	public, err := crypto11.NewAttributeSetWithIDAndLabel(r.ID[:], []byte(r.Label))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	if err := mechanism.OnePurpose(r.Mechanisms); err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	private, decrypts := public.Copy(), decrypts(r.Mechanisms)
	err = errors.Join(
		set(public, map[crypto11.AttributeType]any{
			crypto11.CkaPrivate: false, crypto11.CkaVerify: !decrypts, crypto11.CkaVerifyRecover: false,
			crypto11.CkaEncrypt: decrypts, crypto11.CkaWrap: false, crypto11.CkaModifiable: false,
		}),
		set(private, map[crypto11.AttributeType]any{
			crypto11.CkaPrivate: true, crypto11.CkaSensitive: true, crypto11.CkaExtractable: false,
			crypto11.CkaModifiable: false, crypto11.CkaCopyable: false,
			crypto11.CkaSign: !decrypts, crypto11.CkaSignRecover: false,
			crypto11.CkaDecrypt: decrypts, crypto11.CkaUnwrap: false, crypto11.CkaDerive: false,
			crypto11.CkaAllowedMechanisms: allowedMechanisms(r.Mechanisms),
		}))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	for _, a := range without {
		private.Unset(a)
	}
	switch r.Algorithm {
	case wire.RSA2048:
		return session.GenerateRSAKeyPairWithAttributes(public, private, 2048)
	case wire.RSA3072:
		return session.GenerateRSAKeyPairWithAttributes(public, private, 3072)
	case wire.RSA4096:
		return session.GenerateRSAKeyPairWithAttributes(public, private, 4096)
	case wire.P256:
		return session.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P256())
	case wire.P384:
		return session.GenerateECDSAKeyPairWithAttributes(public, private, elliptic.P384())
	}
	return nil, fmt.Errorf("%w: algorithm %q", errRequest, r.Algorithm)
}

func set(attributes crypto11.AttributeSet, values map[crypto11.AttributeType]any) error {
	var errs []error
	for name, value := range values {
		errs = append(errs, attributes.Set(name, value))
	}
	return errors.Join(errs...)
}

// allowedMechanisms is the value of CKA_ALLOWED_MECHANISMS: the token's own mechanisms behind ours, each once, as C's
// unsigned longs.
func allowedMechanisms(mechanisms []mechanism.Mechanism) []byte {
	var value []byte
	seen := map[uint64]bool{}
	for _, m := range mechanisms {
		var ckm uint64 = pkcs11.CKM_ECDSA
		if _, ok := m.Options().(*rsa.PSSOptions); ok {
			ckm = pkcs11.CKM_RSA_PKCS_PSS
		} else if m.Decrypts() {
			ckm = pkcs11.CKM_RSA_PKCS_OAEP
		} else if m.Fits(new(rsa.PublicKey)) {
			ckm = pkcs11.CKM_RSA_PKCS
		}
		if !seen[ckm] {
			seen[ckm] = true
			value = binary.NativeEndian.AppendUint64(value, ckm)
		}
	}
	return value
}

func decrypts(mechanisms []mechanism.Mechanism) bool {
	return len(mechanisms) > 0 && mechanisms[0].Decrypts()
}

// examine reads the private key's attributes back, and proves with one signature, or a decryption by each mechanism,
// that both halves belong together.
func (t *token) examine(key crypto11.Signer, r wire.GenerateRequest) (*wire.GenerateAnswer, error) {
	attestation, err := t.attestation(r.ID)
	if err != nil {
		return nil, err
	}
	if a := attestation.Refusal(decrypts(r.Mechanisms)); a != "" {
		return nil, fmt.Errorf("%w: the token made a key whose %s is not as asked", errRequest, a)
	}
	if err := provePair(key, r.Mechanisms); err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return &wire.GenerateAnswer{PublicKey: spki, Attestation: *attestation}, nil
}

func provePair(key crypto11.Signer, mechanisms []mechanism.Mechanism) error {
	if len(mechanisms) == 0 {
		return fmt.Errorf("%w: no mechanism", errRequest)
	}
	m := mechanisms[0]
	if public, is := key.Public().(*rsa.PublicKey); is && m.Decrypts() {
		return proveDecryption(public, mechanisms, func(m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
			return decryptBy(key, m, ciphertext)
		})
	}
	h := m.Hash().New()
	h.Write([]byte("trustcore: the two halves of this key belong together"))
	digest := h.Sum(nil)
	signature, err := key.Sign(nil, truncate(key.Public(), digest), m.Options())
	if err != nil {
		return fmt.Errorf("first signature: %w", err)
	}
	if !m.Verify(key.Public(), digest, signature) {
		return errors.New("the token's first signature does not verify with the public key it gave")
	}
	return nil
}

// attest reads the attributes of a key that is in the token; errNoKey when it is not.
func (t *token) attest(id wire.ID) (a *wire.Attestation, err error) {
	err = t.attempt(func(session *crypto11.Context) error {
		if _, err := t.key(session, id); err != nil {
			return err
		}
		t.manage.Lock()
		defer t.manage.Unlock()
		a, err = t.attestation(id)
		return err
	})
	return a, err
}

// attestation reads the private key's attributes. The caller holds t.manage.
func (t *token) attestation(id wire.ID) (a *wire.Attestation, err error) {
	err = t.objects(id, pkcs11.CKO_PRIVATE_KEY, func(session pkcs11.SessionHandle, handles []pkcs11.ObjectHandle) error {
		if len(handles) != 1 {
			return fmt.Errorf("%d private keys have the ID %x", len(handles), id)
		}
		a, err = t.attestationOf(session, handles[0])
		return err
	})
	return a, err
}

// attestationOf reads the attributes of a private key.
func (t *token) attestationOf(session pkcs11.SessionHandle, key pkcs11.ObjectHandle) (*wire.Attestation, error) {
	a := &wire.Attestation{LocalNotKept: t.localNotKept()}
	for _, f := range []struct {
		attribute uint
		value     *bool
	}{
		{pkcs11.CKA_TOKEN, &a.Token}, {pkcs11.CKA_PRIVATE, &a.Private},
		{pkcs11.CKA_SENSITIVE, &a.Sensitive}, {pkcs11.CKA_ALWAYS_SENSITIVE, &a.AlwaysSensitive},
		{pkcs11.CKA_EXTRACTABLE, &a.Extractable}, {pkcs11.CKA_NEVER_EXTRACTABLE, &a.NeverExtractable},
		{pkcs11.CKA_LOCAL, &a.Local}, {pkcs11.CKA_MODIFIABLE, &a.Modifiable}, {pkcs11.CKA_COPYABLE, &a.Copyable},
		{pkcs11.CKA_SIGN, &a.Sign}, {pkcs11.CKA_SIGN_RECOVER, &a.SignRecover},
		{pkcs11.CKA_DECRYPT, &a.Decrypt}, {pkcs11.CKA_UNWRAP, &a.Unwrap}, {pkcs11.CKA_DERIVE, &a.Derive},
	} {
		read, err := t.module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(f.attribute, nil)})
		if f.attribute == pkcs11.CKA_COPYABLE && errors.Is(err, pkcs11.Error(pkcs11.CKR_ATTRIBUTE_TYPE_INVALID)) {
			a.Copyable = true // what holds where nothing is said (PKCS#11 3.0, 4.4.1)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading attribute %#x back: %w", f.attribute, err)
		}
		*f.value = len(read[0].Value) == 1 && read[0].Value[0] == 1 // CK_TRUE
	}
	read, err := t.module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ALLOWED_MECHANISMS, nil)})
	if err == nil { // not every token keeps it
		for v := read[0].Value; len(v) >= 8; v = v[8:] {
			a.Mechanisms = append(a.Mechanisms, uint(binary.NativeEndian.Uint64(v)))
		}
	}
	return a, nil
}

// destroy removes both halves of a key; errNoKey when there was neither.
func (t *token) destroy(id wire.ID) error {
	return t.attempt(func(*crypto11.Context) error {
		t.manage.Lock()
		defer t.manage.Unlock()
		return t.erase(id)
	})
}

// erase is destroy for a caller that holds t.manage and t.mu.
func (t *token) erase(id wire.ID) error {
	t.keysMu.Lock()
	delete(t.keys, id)
	t.keysMu.Unlock()
	gone := 0
	classes := []uint{pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY}
	for _, class := range classes {
		err := t.objects(id, class, func(session pkcs11.SessionHandle, handles []pkcs11.ObjectHandle) error {
			for _, h := range handles {
				if err := t.module.DestroyObject(session, h); err != nil {
					return fmt.Errorf("destroying key %x: %w", id, err)
				}
				gone++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if gone == 0 {
		return errNoKey
	}
	for _, class := range classes { // what the token says is not what it holds
		err := t.objects(id, class, func(_ pkcs11.SessionHandle, left []pkcs11.ObjectHandle) error {
			if len(left) > 0 {
				return fmt.Errorf("key %x is still in the token after its destruction", id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// random returns n octets of the token's generator.
func (t *token) random(n int) ([]byte, error) {
	random := make([]byte, n)
	err := t.attempt(func(session *crypto11.Context) error {
		r, err := session.NewRandomReader()
		if err == nil {
			_, err = io.ReadFull(r, random)
		}
		return err
	})
	return random, err
}

// list returns the IDs of the private keys, one after the other. Objects with an ID of another length are not ours.
func (t *token) list() ([]byte, error) {
	var ids []byte
	err := t.attempt(func(*crypto11.Context) error {
		t.manage.Lock()
		defer t.manage.Unlock()
		ids = nil
		return t.objects(wire.ID{}, pkcs11.CKO_PRIVATE_KEY, func(session pkcs11.SessionHandle, handles []pkcs11.ObjectHandle) error {
			for _, h := range handles {
				read, err := t.module.GetAttributeValue(session, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
				if err != nil {
					return fmt.Errorf("reading a key's ID: %w", err)
				}
				if len(read[0].Value) == wire.IDSize {
					ids = append(ids, read[0].Value...)
				}
			}
			return nil
		})
	})
	return ids, err
}

// findAll takes what a search finds, to its end.
func (t *token) findAll(session pkcs11.SessionHandle) ([]pkcs11.ObjectHandle, error) {
	var all []pkcs11.ObjectHandle
	for {
		some, _, err := t.module.FindObjects(session, findStep)
		if err != nil || len(some) == 0 {
			return all, err
		}
		if all = append(all, some...); len(all) > maxKeys {
			return nil, fmt.Errorf("the token holds more than %d keys, which no list of them holds", maxKeys)
		}
	}
}

// objects finds the objects of a class, those of one ID unless it is zero, and hands them to do with a session of its
// own. The caller holds t.manage.
func (t *token) objects(id wire.ID, class uint, do func(pkcs11.SessionHandle, []pkcs11.ObjectHandle) error) (err error) {
	session, err := t.module.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}
	defer func() { err = errors.Join(err, t.module.CloseSession(session)) }()
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if id != (wire.ID{}) {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, id[:]))
	}
	if err := t.module.FindObjectsInit(session, template); err != nil {
		return fmt.Errorf("finding keys: %w", err)
	}
	handles, err := t.findAll(session)
	if final := t.module.FindObjectsFinal(session); err == nil {
		err = final
	}
	if err != nil {
		return fmt.Errorf("finding keys: %w", err)
	}
	if err := t.loggedIn(); err != nil {
		return err
	}
	return do(session, handles)
}

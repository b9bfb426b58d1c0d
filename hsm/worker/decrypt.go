package worker

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/wire"
	"trustcore/hsm/mechanism"
)

// errUndecryptable is all that is said of a ciphertext which the key does not decrypt. What was wrong with it, the
// leading octet, the padding or the label, is what an attacker asks for (Manger 2001).
var errUndecryptable = errors.New("the key does not decrypt this")

// decrypt decrypts a ciphertext. Tokens tell what they can't decrypt by various errors, some of which elsewhere mean
// that the session is broken: that is looked at here, and nothing else is made of them.
func (t *token) decrypt(id wire.ID, m mechanism.Mechanism, ciphertext []byte) (plaintext []byte, err error) {
	senseless := false
	err = t.attempt(func(session *crypto11.Context) error {
		key, err := t.key(session, id)
		if err != nil {
			return err
		}
		plaintext, err = decryptBy(key, m, ciphertext)
		if !saysUndecryptable(err) {
			return err
		}
		if err := t.loggedIn(); err != nil {
			return err
		}
		senseless = true
		return nil
	})
	if err == nil && senseless {
		return nil, errUndecryptable
	}
	return plaintext, err
}

func decryptBy(key crypto.Signer, m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
	public, isRSA := key.Public().(*rsa.PublicKey)
	decrypter, can := key.(crypto.Decrypter)
	if !isRSA || !can {
		return nil, fmt.Errorf("%w: %s does not fit the key", errRequest, m)
	}
	if err := m.CheckCiphertext(public, ciphertext); err != nil {
		return nil, fmt.Errorf("%w: %w", errRequest, err)
	}
	if new(big.Int).SetBytes(ciphertext).Cmp(public.N) >= 0 { // RFC 8017, 5.1.2; some tokens blame their caller for it
		return nil, errUndecryptable
	}
	return decrypter.Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: m.Hash()})
}

// saysUndecryptable sorts the return values of C_Decrypt (PKCS#11 2.40, 5.9).
func saysUndecryptable(err error) bool {
	var rv pkcs11.Error
	if !errors.As(err, &rv) {
		return false
	}
	switch rv {
	case pkcs11.CKR_ENCRYPTED_DATA_INVALID, pkcs11.CKR_ENCRYPTED_DATA_LEN_RANGE, pkcs11.CKR_DATA_INVALID, pkcs11.CKR_DATA_LEN_RANGE,
		pkcs11.CKR_GENERAL_ERROR, pkcs11.CKR_FUNCTION_FAILED:
		return true
	}
	return false
}

// lacks reports whether the token does not know the mechanism with its parameters (of C_DecryptInit).
func lacks(err error) bool {
	var rv pkcs11.Error
	if !errors.As(err, &rv) {
		return false
	}
	switch rv {
	case pkcs11.CKR_MECHANISM_INVALID, pkcs11.CKR_MECHANISM_PARAM_INVALID, pkcs11.CKR_ARGUMENTS_BAD:
		return true
	}
	return false
}

// known is what first decryptions are tried on.
var known = []byte("trustcore: the two halves of this key belong together")

// proveDecryption decrypts by each of the mechanisms what was encrypted with the public half.
func proveDecryption(public *rsa.PublicKey, mechanisms []mechanism.Mechanism, decrypt func(mechanism.Mechanism, []byte) ([]byte, error)) error {
	for _, m := range mechanisms {
		ciphertext, err := rsa.EncryptOAEP(m.Hash().New(), rand.Reader, public, known, nil)
		if err != nil {
			return fmt.Errorf("first ciphertext: %w", err)
		}
		plaintext, err := decrypt(m, ciphertext)
		switch {
		case lacks(err):
			return fmt.Errorf("%w: the token can't decrypt by %s (%w)", errRequest, m, err)
		case err != nil:
			return fmt.Errorf("first decryption: %w", err)
		case string(plaintext) != string(known):
			return errors.New("the token's first decryption is not of what was encrypted with the public key it gave")
		}
	}
	return nil
}

// probe tells whether the token decrypts by the mechanism, with a key that lives as long as the question; errRequest
// when it does not.
func (t *token) probe(m mechanism.Mechanism) error {
	return t.attempt(func(*crypto11.Context) (err error) {
		t.manage.Lock()
		defer t.manage.Unlock()
		session, err := t.module.OpenSession(t.slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
		if err != nil {
			return fmt.Errorf("opening a session: %w", err)
		}
		defer func() { err = errors.Join(err, t.module.CloseSession(session)) }() // its objects end with it
		public, private, err := t.passingPair(session)
		if err != nil {
			return err
		}
		return proveDecryption(public, []mechanism.Mechanism{m}, func(m mechanism.Mechanism, ciphertext []byte) ([]byte, error) {
			how := pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_OAEP, oaepParameters(m))
			if err := t.module.DecryptInit(session, []*pkcs11.Mechanism{how}, private); err != nil {
				return nil, err
			}
			return t.module.Decrypt(session, ciphertext)
		})
	})
}

func oaepParameters(m mechanism.Mechanism) *pkcs11.OAEPParams {
	if m.Hash() == crypto.SHA1 {
		return pkcs11.NewOAEPParams(pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1, pkcs11.CKZ_DATA_SPECIFIED, nil)
	}
	return pkcs11.NewOAEPParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, pkcs11.CKZ_DATA_SPECIFIED, nil)
}

// passingPair makes a key pair of the session's, which decrypts.
func (t *token) passingPair(session pkcs11.SessionHandle) (*rsa.PublicKey, pkcs11.ObjectHandle, error) {
	no, yes := []byte{0}, []byte{1}
	public, private, err := t.module.GenerateKeyPair(session,
		[]*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil)},
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, no), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, yes),
			pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}), pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, 2048)},
		[]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_TOKEN, no), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, yes),
			pkcs11.NewAttribute(pkcs11.CKA_SIGN, no), pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, yes),
			pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, no)})
	if err != nil {
		return nil, 0, fmt.Errorf("a key to try with: %w", err)
	}
	read, err := t.module.GetAttributeValue(session, public, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_MODULUS, nil)})
	if err != nil {
		return nil, 0, fmt.Errorf("a key to try with: %w", err)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(read[0].Value), E: 65537}, private, nil
}

package worker

import (
	"fmt"

	"github.com/ThalesGroup/crypto11"
	"github.com/miekg/pkcs11"

	"trustcore/hsm/internal/wire"
)

// survey reads every private key of the token: those that are nobody's too.
func (t *token) survey() (found *wire.SurveyAnswer, err error) {
	err = t.attempt(func(*crypto11.Context) error {
		t.manage.Lock()
		defer t.manage.Unlock()
		found = new(wire.SurveyAnswer)
		return t.objects(wire.ID{}, pkcs11.CKO_PRIVATE_KEY, func(session pkcs11.SessionHandle, handles []pkcs11.ObjectHandle) error {
			for _, h := range handles {
				if err := t.look(session, h, found); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return found, err
}

// look adds one key to what was found. One that signs and decrypts is weak, whichever of them it is for.
func (t *token) look(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, found *wire.SurveyAnswer) error {
	read, err := t.module.GetAttributeValue(session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_ID, nil)})
	if err != nil {
		return fmt.Errorf("reading a key's ID: %w", err)
	}
	if len(read[0].Value) != wire.IDSize {
		found.Foreign++
		return nil
	}
	found.IDs = append(found.IDs, read[0].Value...)
	a, err := t.attestationOf(session, key)
	if err != nil {
		return err
	}
	if attribute := a.Refusal(a.Decrypt); attribute != "" && len(found.Weak) < wire.MaxWeak {
		found.Weak = append(found.Weak, wire.Weak{ID: wire.ID(read[0].Value), Attribute: attribute})
	}
	return nil
}

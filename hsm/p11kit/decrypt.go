package p11kit

import (
	"context"
	"slices"

	"trustcore/hsm/mechanism"
)

// decrypts reports whether the key decrypts, and signs nothing.
func (k *Key) decrypts() bool {
	return slices.ContainsFunc(k.Mechanisms, mechanism.Mechanism.Decrypts)
}

func decrypting(s *session) **operation { return &s.decrypt }

func decryptInit(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.prepare(r, ckoPrivateKey, true, decrypting)
}

// decrypt decrypts, if there is room for the longest plaintext of the key: else the program learns how much, and the
// operation goes on. How long the plaintext is, nobody knows before it is there.
func decrypt(c *client, ctx context.Context, r *reader, w *writer) error {
	handle, ciphertext, room := r.ulong(), r.buffer(), r.uint32()
	if r.err != nil || len(r.rest) > 0 {
		return ckrArgumentsBad // before anything is used
	}
	var o *operation
	err := c.in(handle, func(s *session) error {
		if s.decrypt == nil {
			return ckrOperationMissing
		}
		if most := s.decrypt.key.size() - 2*s.decrypt.how.hash.Size() - 2; uint64(room) < uint64(most) {
			w.result(make([]byte, most), room)
			return nil
		}
		o, s.decrypt = s.decrypt, nil
		return nil
	})
	if err != nil || o == nil {
		return err
	}
	if len(ciphertext) != o.key.size() {
		return ckrCiphertextLength
	}
	for _, m := range o.key.Mechanisms {
		if m.Decrypts() && m.Hash() == o.how.hash {
			plaintext, err := c.cfg.Backend.Decrypt(ctx, o.key.ID, m, ciphertext)
			if err == nil {
				w.result(plaintext, room)
			}
			return err
		}
	}
	return ckrKeyFunction
}

package p11kit

import "context"

// prepare begins an operation of a session: with the private key, or with the public one. A mechanism that decrypts
// begins no other operation, and no other mechanism begins that.
func (c *client) prepare(r *reader, class uint64, decrypts bool, of func(*session) **operation) error {
	handle := r.ulong()
	h, err := r.mechanism()
	if err == nil && decrypts != (h.kind == ckmRSAOAEP) {
		err = ckrMechanism
	}
	if err != nil {
		return err
	}
	object := r.ulong()
	return c.in(handle, func(s *session) error {
		to, o := of(s), c.object(object)
		switch {
		case *to != nil:
			return ckrOperationActive
		case o == nil:
			return ckrKeyHandle
		case o.key == nil || o.class() != class:
			return ckrKeyFunction
		}
		*to, err = begin(o.key, h)
		return err
	})
}

func signing(s *session) **operation   { return &s.sign }
func verifying(s *session) **operation { return &s.verify }

func signInit(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.prepare(r, ckoPrivateKey, false, signing)
}

func verifyInit(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.prepare(r, ckoPublicKey, false, verifying)
}

// update adds data to an operation; one that can't take them is over.
func (c *client) update(r *reader, of func(*session) **operation) error {
	handle, data := r.ulong(), r.buffer()
	return c.in(handle, func(s *session) error {
		o := of(s)
		if *o == nil {
			return ckrOperationMissing
		}
		err := (*o).add(data)
		if err != nil {
			*o = nil
		}
		return err
	})
}

func signUpdate(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.update(r, signing)
}

func verifyUpdate(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.update(r, verifying)
}

func sign(c *client, ctx context.Context, r *reader, w *writer) error {
	handle, data, room := r.ulong(), r.buffer(), r.uint32()
	return c.finish(ctx, r, w, handle, data, room)
}

func signFinal(c *client, ctx context.Context, r *reader, w *writer) error {
	handle, room := r.ulong(), r.uint32()
	return c.finish(ctx, r, w, handle, nil, room)
}

// finish signs, if there is room for the signature: else the program learns its length, and the operation goes on.
// While the data centre signs, other threads of the program are served.
func (c *client) finish(ctx context.Context, r *reader, w *writer, handle uint64, data []byte, room uint32) error {
	if r.err != nil || len(r.rest) > 0 {
		return ckrArgumentsBad // before anything is used
	}
	var o *operation
	err := c.in(handle, func(s *session) error {
		if s.sign == nil {
			return ckrOperationMissing
		}
		if size := s.sign.key.size(); uint64(room) < uint64(size) {
			w.result(make([]byte, size), room)
			return nil
		}
		o, s.sign = s.sign, nil
		return o.add(data)
	})
	if err != nil || o == nil {
		return err
	}
	m, digest, err := o.digest()
	if err != nil {
		return err
	}
	signature, err := c.cfg.Backend.Sign(ctx, o.key.ID, m, digest)
	if err != nil {
		return err
	}
	if signature, err = o.key.fromDER(signature); err != nil {
		return err
	}
	w.result(signature, room)
	return nil
}

func verify(c *client, _ context.Context, r *reader, _ *writer) error {
	handle, data, signature := r.ulong(), r.buffer(), r.buffer()
	return c.check(handle, data, signature)
}

func verifyFinal(c *client, _ context.Context, r *reader, _ *writer) error {
	handle, signature := r.ulong(), r.buffer()
	return c.check(handle, nil, signature)
}

func (c *client) check(handle uint64, data, signature []byte) error {
	return c.in(handle, func(s *session) error {
		o := s.verify
		if o == nil {
			return ckrOperationMissing
		}
		s.verify = nil
		if err := o.add(data); err != nil {
			return err
		}
		return o.verify(signature)
	})
}

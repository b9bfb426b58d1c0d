package p11kit

import (
	"context"
	"crypto/rand"
)

// slot is the only one, and has the token.
const slot = 1

// maxRandom is how many random octets one call gives.
const maxRandom = 64 << 10

// call is one function of PKCS#11: the signatures of its request and answer, and what does it; nil where nothing does.
type call struct {
	request, answer string
	do              func(*client, context.Context, *reader, *writer) error
}

// calls are in the order of their numbers, which begin with 1 (C_Initialize). What a token that is read only has no use
// for is not done.
var calls = [...]call{
	{},
	{"ayyay", "", initialize},
	{"", "", finalize},
	{"", "vsusv", getInfo},
	{"yfu", "au", getSlotList},
	{"u", "ssuvv", getSlotInfo},
	{"u", "ssssuuuuuuuuuuuvvs", getTokenInfo},
	{"ufu", "au", getMechanismList},
	{"uu", "uuu", getMechanismInfo},
	{"uayz", "", nil}, // C_InitToken
	{"uu", "u", openSession},
	{"u", "", closeSession},
	{"u", "", closeAllSessions},
	{"u", "uuuu", getSessionInfo},
	{"uay", "", nil},      // C_InitPIN
	{"uayay", "", nil},    // C_SetPIN
	{"ufy", "ay", nil},    // C_GetOperationState
	{"uayuu", "", nil},    // C_SetOperationState
	{"uuay", "", login},   //
	{"u", "", logout},     //
	{"uaA", "u", protect}, // C_CreateObject
	{"uuaA", "u", protect},
	{"uu", "", protect}, // C_DestroyObject
	{"uu", "u", nil},    // C_GetObjectSize
	{"uufA", "aAu", getAttributeValue},
	{"uuaA", "", protect}, // C_SetAttributeValue
	{"uaA", "", findObjectsInit},
	{"ufu", "au", findObjects},
	{"u", "", findObjectsFinal},
	{"uMu", "", nil}, // C_EncryptInit
	{"uayfy", "ay", nil}, {"uayfy", "ay", nil}, {"ufy", "ay", nil},
	{"uMu", "", decryptInit},
	{"uayfy", "ay", decrypt}, {"uayfy", "ay", nil}, {"ufy", "ay", nil},
	{"uM", "", nil}, // C_DigestInit
	{"uayfy", "ay", nil}, {"uay", "", nil}, {"uu", "", nil}, {"ufy", "ay", nil},
	{"uMu", "", signInit},
	{"uayfy", "ay", sign},
	{"uay", "", signUpdate},
	{"ufy", "ay", signFinal},
	{"uMu", "", nil}, // C_SignRecoverInit
	{"uayfy", "ay", nil},
	{"uMu", "", verifyInit},
	{"uayay", "", verify},
	{"uay", "", verifyUpdate},
	{"uay", "", verifyFinal},
	{"uMu", "", nil}, // C_VerifyRecoverInit
	{"uayfy", "ay", nil},
	{"uayfy", "ay", nil}, {"uayfy", "ay", nil}, {"uayfy", "ay", nil}, {"uayfy", "ay", nil},
	{"uMaA", "u", protect},    // C_GenerateKey
	{"uMaAaA", "uu", protect}, // C_GenerateKeyPair: keys are made by orders
	{"uMuufy", "ay", nil},     // C_WrapKey
	{"uMuayaA", "u", protect}, // C_UnwrapKey
	{"uMuaA", "u", nil},       // C_DeriveKey
	{"uay", "", seedRandom},
	{"ufy", "ay", generateRandom},
	{"u", "u", nil}, // C_WaitForSlotEvent
}

// greeting is what C_Initialize of p11-kit says first.
const greeting = "PRIVATE-GNOME-KEYRING-PKCS11-PROTOCOL-V-1"

func initialize(c *client, _ context.Context, r *reader, _ *writer) error {
	said := r.buffer()
	r.octet()
	r.buffer()
	if string(said) != greeting {
		return ckrArgumentsBad
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = true
	return nil
}

func finalize(c *client, _ context.Context, _ *reader, _ *writer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up, c.loggedIn = false, false
	clear(c.sessions)
	return nil
}

// locked holds the client for a call that needs C_Initialize before it.
func (c *client) locked(do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.up {
		return ckrNotInitialized
	}
	return do()
}

// in is locked for a call within a session.
func (c *client) in(handle uint64, do func(*session) error) error {
	return c.locked(func() error {
		s := c.sessions[handle]
		if s == nil {
			return ckrSessionHandle
		}
		return do(s)
	})
}

const maker = "trustcore"

func getInfo(_ *client, _ context.Context, _ *reader, w *writer) error {
	w.version(2, 40)
	w.text(maker, 32)
	w.ulong(0)
	w.text("keys of the data centre", 32)
	w.version(1, 0)
	return nil
}

func getSlotList(_ *client, _ context.Context, r *reader, w *writer) error {
	r.octet() // only slots with a token: it is always there
	w.list([]uint64{slot}, r.uint32())
	return nil
}

// ofSlot refuses a slot that there is not.
func ofSlot(r *reader) error {
	if r.ulong() != slot && r.err == nil {
		return ckrSlotInvalid
	}
	return nil
}

func getSlotInfo(_ *client, _ context.Context, r *reader, w *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	w.text("HSM gateway", 64)
	w.text(maker, 32)
	w.ulong(ckfTokenPresent)
	w.version(1, 0)
	w.version(1, 0)
	return nil
}

func getTokenInfo(c *client, _ context.Context, r *reader, w *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	c.mu.Lock()
	sessions := uint64(len(c.sessions))
	c.mu.Unlock()
	w.text(c.cfg.Label, 32)
	w.text(maker, 32)
	w.text("gateway", 16)
	w.text(c.cfg.Serial, 16)
	const unknown = ^uint64(0)
	w.ulong(ckfRNG|ckfWriteProtected|ckfPINSet|ckfInitialized,
		maxSessions, sessions, maxSessions, 0, 255, 0, unknown, unknown, unknown, unknown)
	w.version(1, 0)
	w.version(1, 0)
	w.text("", 16)
	return nil
}

func getMechanismList(c *client, ctx context.Context, r *reader, w *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	room := r.uint32()
	return c.locked(func() error {
		if err := c.refresh(ctx); err != nil {
			return err
		}
		w.list(offered(c.keys), room)
		return nil
	})
}

func getMechanismInfo(c *client, _ context.Context, r *reader, w *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	kind := r.ulong()
	switch {
	case kind == ckmRSA, kind == ckmRSAPSS, kind >= ckmSHA256RSA && kind <= ckmSHA256PSS+2:
		w.ulong(2048, 4096, ckfHW|ckfSign|ckfVerify)
	case kind == ckmECDSA, kind >= ckmECDSASHA256 && kind <= ckmECDSASHA256+2:
		w.ulong(256, 384, ckfHW|ckfSign|ckfVerify|ckfEC)
	case kind == ckmRSAOAEP:
		w.ulong(2048, 4096, ckfHW|ckfDecrypt)
	default:
		return ckrMechanism
	}
	return nil
}

func openSession(c *client, ctx context.Context, r *reader, w *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	flags := r.ulong()
	return c.locked(func() error {
		if len(c.sessions) >= maxSessions {
			return ckrSessionCount
		}
		if err := c.refresh(ctx); err != nil {
			return err
		}
		c.next++
		c.sessions[c.next] = &session{flags: flags | ckfSerialSession}
		w.ulong(c.next)
		return nil
	})
}

func closeSession(c *client, _ context.Context, r *reader, _ *writer) error {
	handle := r.ulong()
	return c.in(handle, func(*session) error {
		delete(c.sessions, handle)
		c.loggedIn = c.loggedIn && len(c.sessions) > 0
		return nil
	})
}

func closeAllSessions(c *client, _ context.Context, r *reader, _ *writer) error {
	if err := ofSlot(r); err != nil {
		return err
	}
	return c.locked(func() error {
		clear(c.sessions)
		c.loggedIn = false
		return nil
	})
}

func getSessionInfo(c *client, _ context.Context, r *reader, w *writer) error {
	return c.in(r.ulong(), func(s *session) error {
		var state uint64 // a public session that only reads
		if c.loggedIn {
			state++
		}
		if s.flags&ckfRWSession != 0 {
			state += 2
		}
		w.ulong(slot, state, s.flags, 0)
		return nil
	})
}

// login is for programs that think that they must: any PIN will do, for none protects anything.
func login(c *client, _ context.Context, r *reader, _ *writer) error {
	handle, user := r.ulong(), r.ulong()
	r.buffer()
	return c.in(handle, func(*session) error {
		switch {
		case user != 1: // CKU_USER
			return ckrUserType
		case c.loggedIn:
			return ckrAlreadyLoggedIn
		}
		c.loggedIn = true
		return nil
	})
}

func logout(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.in(r.ulong(), func(*session) error {
		if !c.loggedIn {
			return ckrNotLoggedIn
		}
		c.loggedIn = false
		return nil
	})
}

// protect refuses what would write to the token.
func protect(_ *client, _ context.Context, r *reader, _ *writer) error {
	r.rest = nil
	return ckrWriteProtected
}

func getAttributeValue(c *client, _ context.Context, r *reader, w *writer) error {
	handle, object, asked := r.ulong(), r.ulong(), r.wanted()
	return c.in(handle, func(*session) error {
		o := c.object(object)
		if o == nil {
			return ckrObjectHandle
		}
		var code rv
		w.uint32(uint32(len(asked)))
		for _, a := range asked {
			value, why := o.tell(a)
			w.value(a.kind, value)
			if code == 0 {
				code = why
			}
		}
		w.ulong(uint64(code))
		return nil
	})
}

// tell is the value of an attribute, nil with why there is none.
func (o *object) tell(a wanted) ([]byte, rv) {
	value, has := o.attributes[a.kind]
	switch {
	case o.secret(a.kind):
		return nil, ckrAttributeSensitive
	case !has:
		return nil, ckrAttributeType
	case a.room > 0 && int64(a.room) < int64(len(value)):
		return nil, ckrBufferTooSmall
	case value == nil:
		return []byte{}, 0
	}
	return value, 0
}

func findObjectsInit(c *client, ctx context.Context, r *reader, _ *writer) error {
	handle, template := r.ulong(), r.attributes()
	return c.in(handle, func(s *session) error {
		if s.find != nil {
			return ckrOperationActive
		}
		if err := c.refresh(ctx); err != nil {
			return err
		}
		s.find = []uint64{}
		for place, o := range c.objects {
			if c.present[o.name] && o.matches(template) {
				s.find = append(s.find, uint64(place)+1)
			}
		}
		return nil
	})
}

func findObjects(c *client, _ context.Context, r *reader, w *writer) error {
	handle, room := r.ulong(), r.uint32()
	return c.in(handle, func(s *session) error {
		if s.find == nil {
			return ckrOperationMissing
		}
		n := min(int64(len(s.find)), int64(room))
		w.list(s.find[:n], room)
		s.find = s.find[n:]
		return nil
	})
}

func findObjectsFinal(c *client, _ context.Context, r *reader, _ *writer) error {
	return c.in(r.ulong(), func(s *session) error {
		if s.find == nil {
			return ckrOperationMissing
		}
		s.find = nil
		return nil
	})
}

func seedRandom(c *client, _ context.Context, r *reader, _ *writer) error {
	handle := r.ulong()
	r.buffer() // the kernel needs none of it
	return c.in(handle, func(*session) error { return nil })
}

func generateRandom(c *client, _ context.Context, r *reader, w *writer) error {
	handle, n := r.ulong(), r.uint32()
	return c.in(handle, func(*session) error {
		if n > maxRandom {
			return ckrArgumentsBad
		}
		random := make([]byte, n)
		if _, err := rand.Read(random); err != nil {
			return err
		}
		w.result(random, n)
		return nil
	})
}

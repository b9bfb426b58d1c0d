package p11kit

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"io"
	"log/slog"
	"testing"
	"time"

	"trustcore/hsm/mechanism"
	"trustcore/internal/budget/budgettest"
)

// shelf is a backend with one key on P-256 and a made-up RSA key.
type shelf struct {
	key  *ecdsa.PrivateKey
	keys []Key
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{key, []Key{{ID: []byte("0123456789abcdef"), Label: "seal", Public: &key.PublicKey, Mechanisms: []mechanism.Mechanism{mechanism.ECDSASHA256}}}}
}

func (s *shelf) Keys(context.Context) ([]Key, error) { return s.keys, nil }

func (s *shelf) Sign(_ context.Context, _ []byte, _ mechanism.Mechanism, digest []byte) ([]byte, error) {
	return s.key.Sign(rand.Reader, digest, crypto.SHA256)
}

func (s *shelf) Decrypt(context.Context, []byte, mechanism.Mechanism, []byte) ([]byte, error) {
	return nil, ErrUndecryptable
}

// ask makes a call: its number and signature, and values that are appended by with.
func ask(c *client, number uint32, with func(*writer)) (code rv, answer *reader) {
	w := new(writer)
	w.uint32(number)
	w.octets([]byte(calls[number].request))
	if with != nil {
		with(w)
	}
	return told(c.answer(context.Background(), w.out))
}

func told(body []byte) (rv, *reader) {
	r := &reader{rest: body}
	if id := r.uint32(); id == 0 {
		r.octets()
		return rv(r.ulong()), r
	}
	r.octets()
	return 0, r
}

// numbers of calls.
const (
	callInitialize = 1
	callOpen       = 10
	callGet        = 24
	callFindInit   = 26
	callFind       = 27
	callFindFinal  = 28
	callSignInit   = 42
	callSign       = 43
	callUpdate     = 44
	callFinal      = 45
	callCreate     = 20
)

func buffer(w *writer, b []byte) { w.octet(1); w.octets(b) }

// begun is a client that has called C_Initialize and C_OpenSession.
func begun(t testing.TB) (*client, uint64) {
	t.Helper()
	c := newClient(Config{Backend: newShelf(t), Label: "office", Logger: slog.New(slog.DiscardHandler)}, io.Discard)
	hello := func(w *writer) { buffer(w, []byte(greeting)); w.octet(0); buffer(w, nil) }
	if code, _ := ask(c, callInitialize, hello); code != 0 {
		t.Fatal(code)
	}
	code, r := ask(c, callOpen, func(w *writer) { w.ulong(slot, ckfSerialSession) })
	if code != 0 {
		t.Fatal(code)
	}
	return c, r.ulong()
}

func find(t testing.TB, c *client, session uint64, class uint64) (handle uint64) {
	t.Helper()
	code, _ := ask(c, callFindInit, func(w *writer) { w.ulong(session); w.uint32(1); w.value(ckaClass, ulong(class)) })
	if code != 0 {
		t.Fatal(code)
	}
	code, r := ask(c, callFind, func(w *writer) { w.ulong(session); w.uint32(10) })
	if valid, n := r.octet(), r.uint32(); code != 0 || valid != 1 || n != 1 {
		t.Fatalf("%v: %d objects", code, n)
	}
	handle = r.ulong()
	code, r = ask(c, callFind, func(w *writer) { w.ulong(session); w.uint32(10) })
	if valid, n := r.octet(), r.uint32(); code != 0 || valid != 1 || n != 0 {
		t.Fatalf("the end: %v: valid %d, %d objects", code, valid, n)
	}
	if code, _ = ask(c, callFindFinal, func(w *writer) { w.ulong(session) }); code != 0 {
		t.Fatal(code)
	}
	return handle
}

// Handles stay good; a question for the length keeps the operation open; one signature ends it.
func TestSignatureBySteps(t *testing.T) {
	c, session := begun(t)
	key := find(t, c, session, ckoPrivateKey)
	if again := find(t, c, session, ckoPrivateKey); again != key {
		t.Errorf("the key was %d and is %d", key, again)
	}
	start := func() rv {
		code, _ := ask(c, callSignInit, func(w *writer) { w.ulong(session); w.uint32(ckmECDSA); w.uint32(absent); w.ulong(key) })
		return code
	}
	final := func(room uint32) (rv, *reader) {
		return ask(c, callSign, func(w *writer) { w.ulong(session); buffer(w, make([]byte, 32)); w.uint32(room) })
	}
	if code := start(); code != 0 {
		t.Fatal(code)
	}
	if code := start(); code != ckrOperationActive {
		t.Errorf("begun twice: %v", code)
	}
	if code, r := final(0); code != 0 || r.octet() != 0 || r.uint32() != 64 {
		t.Errorf("the length: %v", code)
	}
	code, r := final(64)
	signature := r.buffer()
	if code != 0 || len(signature) != 64 {
		t.Fatalf("%v: %x", code, signature)
	}
	if code, _ := final(64); code != ckrOperationMissing {
		t.Errorf("a second signature: %v", code)
	}
}

// What only pads or signs raw takes what it is for alone.
func TestRawDataAreRefused(t *testing.T) {
	c, session := begun(t)
	key := find(t, c, session, ckoPrivateKey)
	for n, want := range map[int]rv{0: ckrDataLength, 20: ckrDataLength, 31: ckrDataLength, 33: ckrDataLength,
		48: ckrKeyFunction, 64: ckrKeyFunction} {
		if code, _ := ask(c, callSignInit, func(w *writer) { w.ulong(session); w.uint32(ckmECDSA); w.uint32(absent); w.ulong(key) }); code != 0 {
			t.Fatal(code)
		}
		code, _ := ask(c, callSign, func(w *writer) { w.ulong(session); buffer(w, make([]byte, n)); w.uint32(64) })
		if code != want {
			t.Errorf("%d octets: %v, want %v", n, code, want)
		}
	}
	public := find(t, c, session, ckoPublicKey)
	for what, try := range map[string]struct {
		kind uint32
		key  uint64
		want rv
	}{
		"RSA with the EC key": {ckmRSA, key, ckrKeyFunction}, "the public key": {ckmECDSA, public, ckrKeyFunction},
		"a hash that it is not for": {ckmECDSASHA256 + 1, key, ckrKeyFunction}, "no such mechanism": {0x1040, key, ckrMechanism},
		"raw RSA": {0x03, key, ckrMechanism}, "a guessed handle": {ckmECDSA, 99, ckrKeyHandle},
	} {
		code, _ := ask(c, callSignInit, func(w *writer) { w.ulong(session); w.uint32(try.kind); w.uint32(absent); w.ulong(try.key) })
		if code != try.want {
			t.Errorf("%s: %v, want %v", what, code, try.want)
		}
	}
}

// Attributes are told in the order in which they are asked for; private ones never.
func TestAttributes(t *testing.T) {
	c, session := begun(t)
	key := find(t, c, session, ckoPrivateKey)
	asked := []wanted{{ckaID, 16}, {ckaValue, 64}, {ckaLabel, 2}, {ckaExtractable, 1}, {0x7777, 4}, {ckaClass, 0}}
	code, r := ask(c, callGet, func(w *writer) {
		w.ulong(session, key)
		w.uint32(uint32(len(asked)))
		for _, a := range asked {
			w.uint32(a.kind)
			w.uint32(a.room)
		}
	})
	got := r.attributes()
	if code != 0 || len(got) != len(asked) || rv(r.ulong()) != ckrAttributeSensitive || r.err != nil {
		t.Fatalf("%v: %+v, %v", code, got, r.err)
	}
	for i, want := range [][]byte{[]byte("0123456789abcdef"), nil, nil, {0}, nil, ulong(ckoPrivateKey)} {
		if got[i].kind != asked[i].kind || !bytes.Equal(got[i].value, want) {
			t.Errorf("%d: %+v, want %x", i, got[i], want)
		}
	}
}

// Nothing is written to the token, and nothing is done before C_Initialize or in a session that there is not.
func TestWhatIsNotDone(t *testing.T) {
	c, session := begun(t)
	if code, _ := ask(c, callCreate, func(w *writer) { w.ulong(session); w.uint32(0) }); code != ckrWriteProtected {
		t.Errorf("C_CreateObject: %v", code)
	}
	if code, _ := ask(c, 9, nil); code != ckrFunctionNotSupported {
		t.Errorf("C_InitToken: %v", code)
	}
	if code, _ := ask(c, callFindInit, func(w *writer) { w.ulong(session + 1); w.uint32(0) }); code != ckrSessionHandle {
		t.Errorf("another session: %v", code)
	}
	for i := 0; ; i++ {
		code, _ := ask(c, callOpen, func(w *writer) { w.ulong(slot, 0) })
		if code == ckrSessionCount {
			break
		}
		if code != 0 || i > maxSessions {
			t.Fatalf("session %d: %v", i, code)
		}
	}
	fresh := newClient(c.cfg, io.Discard)
	if code, _ := ask(fresh, callOpen, func(w *writer) { w.ulong(slot, 0) }); code != ckrNotInitialized {
		t.Errorf("before C_Initialize: %v", code)
	}
	if code, _ := ask(fresh, callInitialize, func(w *writer) { buffer(w, []byte("hello")); w.octet(0); buffer(w, nil) }); code != ckrArgumentsBad {
		t.Errorf("another protocol: %v", code)
	}
}

// A frame is capped before anything is allocated for it.
func TestFramesAreCapped(t *testing.T) {
	for name, head := range map[string][]uint32{"options": {1, maxOptions + 1, 0}, "body": {1, 0, maxBody + 1}, "all": {1, 1<<32 - 1, 1<<32 - 1}} {
		var data []byte
		for _, n := range head {
			data = binary.BigEndian.AppendUint32(data, n)
		}
		budgettest.Check(t, len(data), budgettest.Limit{Time: time.Second, Alloc: 1 << 20}, func() {
			if _, err := readFrame(bytes.NewReader(data)); err == nil || err == io.ErrUnexpectedEOF {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// FuzzCalls plays octets as a program's calls: nothing breaks, and nothing costs more than their number allows.
func FuzzCalls(f *testing.F) {
	seed := func(parts ...[]byte) []byte {
		return bytes.Join(parts, nil)
	}
	one := func(number uint32, with func(*writer)) []byte {
		w := new(writer)
		w.uint32(number)
		w.octets([]byte(calls[number].request))
		with(w)
		return frame{number, w.out}.encode()
	}
	open := one(callOpen, func(w *writer) { w.ulong(slot, ckfSerialSession) })
	f.Add(seed(open, one(callFindInit, func(w *writer) { w.ulong(1); w.uint32(1); w.value(ckaClass, ulong(ckoPrivateKey)) }),
		one(callFind, func(w *writer) { w.ulong(1); w.uint32(5) })))
	f.Add(seed(open, one(callGet, func(w *writer) { w.ulong(1, 1); w.uint32(1); w.uint32(ckaID); w.uint32(16) })))
	f.Add(seed(open, one(callSignInit, func(w *writer) { w.ulong(1); w.uint32(ckmRSAPSS); w.ulong(0x250, 2, 32, 1) }),
		one(callUpdate, func(w *writer) { w.ulong(1); buffer(w, []byte("x")) }), one(callFinal, func(w *writer) { w.ulong(1); w.uint32(64) })))
	f.Fuzz(func(t *testing.T, data []byte) {
		limit := budgettest.Limit{Time: time.Second, TimeAnOctet: 100 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 8 << 10}
		budgettest.Check(t, len(data), limit, func() {
			c, _ := begun(t)
			for r := bytes.NewReader(data); ; {
				f, err := readFrame(r)
				if err != nil {
					return
				}
				if len(c.answer(context.Background(), f.body)) < 8 {
					t.Fatal("no answer")
				}
			}
		})
	})
}

// A mechanism that decrypts begins no signature, even with a key that has it, and no other begins a decryption.
func TestOAEPBeginsNoSignature(t *testing.T) {
	c, session := begun(t)
	c.keys[0].Mechanisms = []mechanism.Mechanism{mechanism.RSAOAEPSHA1, mechanism.ECDSASHA256}
	key := find(t, c, session, ckoPrivateKey)
	oaep := func(w *writer) {
		w.ulong(session)
		w.uint32(ckmRSAOAEP)
		w.ulong(0x220, 1, 1)
		w.octets(nil)
		w.ulong(key)
	}
	if code, _ := ask(c, callSignInit, oaep); code != ckrMechanism {
		t.Errorf("a signature was begun: %v", code)
	}
	const callDecryptInit = 33
	if code, _ := ask(c, callDecryptInit, func(w *writer) { w.ulong(session); w.uint32(ckmECDSA); w.octets(nil); w.ulong(key) }); code != ckrMechanism {
		t.Errorf("a decryption was begun: %v", code)
	}
}

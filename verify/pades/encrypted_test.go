package pades

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"crypto/rc4"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/verify/signature"
)

// enciphered writes drafts with the encryption of ISO 32000-2 7.6: "RC4" (V 2), "AES" (V 4) or "AES-256" (V 5, R 5).
type enciphered struct {
	kind string
	key  []byte
	dict string // of object 99
}

const fileID = "<30313233>"

var passwordPadding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

func encipher(kind, password string) *enciphered {
	e := &enciphered{kind: kind}
	owner := bytes.Repeat([]byte("o"), 32)
	const filters = "/StmF/StdCF/StrF/StdCF/CF<</StdCF<</CFM/"
	if kind == "AES-256" {
		e.key = sum256("key of the file")
		u := append(sum256(password+"saltsalt"), "saltsaltmoremore"...)
		wrapped := make([]byte, 32)
		cipher.NewCBCEncrypter(blockOf(sum256(password+"moremore")), make([]byte, 16)).CryptBlocks(wrapped, e.key)
		e.dict = fmt.Sprintf("<</Filter/Standard/V 5/R 5/Length 256/P -4/O<%x>/OE<%x>/U<%x>/UE<%x>"+filters+"AESV3>>>>>>",
			bytes.Repeat([]byte("o"), 48), owner, u, wrapped)
		return e
	}
	h := md5.New()
	h.Write(append([]byte(password), passwordPadding...)[:32])
	h.Write(owner)
	h.Write([]byte{0xfc, 0xff, 0xff, 0xff})
	h.Write([]byte("0123"))
	e.key = h.Sum(nil)
	for range 50 {
		sum := md5.Sum(e.key)
		e.key = sum[:]
	}
	check := md5.Sum(append(bytes.Clone(passwordPadding), "0123"...))
	for i := range 20 {
		k := bytes.Clone(e.key)
		for j := range k {
			k[j] ^= byte(i)
		}
		rc4Of(k, check[:])
	}
	e.dict = fmt.Sprintf("<</Filter/Standard/V 2/R 3/Length 128/P -4/O<%x>/U<%x%x>>>", owner, check, make([]byte, 16))
	if kind == "AES" {
		e.dict = strings.Replace(e.dict, "/V 2/R 3", "/V 4/R 4"+filters+"AESV2>>>>", 1)
	}
	return e
}

func sum256(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func blockOf(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return block
}

func rc4Of(key, data []byte) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err)
	}
	c.XORKeyStream(data, data)
}

// data enciphers for one object.
func (e *enciphered) data(number int, plain string) []byte {
	key := e.key
	if e.kind != "AES-256" {
		h := md5.New()
		h.Write(key)
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(number))[:3])
		h.Write([]byte{0, 0})
		if e.kind == "AES" {
			h.Write([]byte("sAlT"))
		}
		key = h.Sum(nil)
	}
	out := []byte(plain)
	if e.kind == "RC4" {
		rc4Of(key, out)
		return out
	}
	pad := 16 - len(out)%16
	out = append(out, bytes.Repeat([]byte{byte(pad)}, pad)...)
	iv := make([]byte, 16, 16+len(out))
	_, _ = rand.Read(iv)
	cipher.NewCBCEncrypter(blockOf(key), iv).CryptBlocks(out, out)
	return append(iv, out...)
}

var literal = regexp.MustCompile(`\(([^()]*)\)`)

// object enciphers the text of an object: strings in parentheses, and the data of a stream.
func (e *enciphered) object(number int, text string) string {
	if number == 99 {
		return text
	}
	dict, data, isStream := strings.Cut(text, "\nstream\n")
	dict = literal.ReplaceAllStringFunc(dict, func(s string) string {
		return fmt.Sprintf("<%x>", e.data(number, s[1:len(s)-1]))
	})
	if !isStream {
		return dict
	}
	body := e.data(number, strings.TrimSuffix(data, "\nendstream"))
	dict = regexp.MustCompile(`/Length \d+`).ReplaceAllString(dict, fmt.Sprintf("/Length %d", len(body)))
	return dict + "\nstream\n" + string(body) + "\nendstream"
}

// update fits an update to the encryption.
func (e *enciphered) update(u update) update {
	objects := draft{}
	for n, text := range u.objects {
		objects[n] = e.object(n, text)
	}
	u.objects = objects
	if !strings.Contains(u.trailer, "/Encrypt") {
		u.trailer += "/Encrypt 99 0 R"
	}
	if !strings.Contains(u.trailer, "/ID") {
		u.trailer += "/ID[" + fileID + fileID + "]"
	}
	return u
}

// sign writes the draft enciphered and signs it; the claimed time and the reason are enciphered, the Contents are not.
func (e *enciphered) sign(t testing.TB, o office, d draft) []byte {
	t.Helper()
	u := e.update(update{objects: d.with(draft{99: e.dict})})
	keys := strings.Replace(approval, "/M(", "/Reason(tajny powod)/M(", 1)
	return o.signPrepared(t, []byte("%PDF-1.7\n"), u, 11, e.object(11, keys))
}

var ciphers = []string{"RC4", "AES", "AES-256"}

// An encrypted document is held against its updates by what its objects say, whatever they are enciphered with.
func TestChangesOfEncryptedDocuments(t *testing.T) {
	o := newOffice(t)
	f := form()
	f[46] = f.edit(46, "(Poczatek)", "()")[46]
	evil := stream("", "BT /F 12 Tf 20 200 Td (Zaplac 9999 zl) Tj ET")
	for _, kind := range ciphers {
		e := encipher(kind, "")
		raw := func(u update) update { // as it stands, not enciphered
			plain := u.objects
			u.objects = nil
			u = e.update(u)
			u.objects = plain
			return u
		}
		same := draft{4: f[4], 7: f[7], 1: f[1]}
		moved := draft{3: f.edit(3, "/Contents 4 0 R", "/Contents 70 0 R")[3], 70: e.object(4, f[4])}
		noise, elsewhere := strings.Repeat("5a", 32), "content"+visual
		if kind == "AES-256" {
			elsewhere = "" // one key for all objects
		}
		rows := []change{
			{"the same in other octets", e.update(update{objects: same}), ""},
			{"field filled", e.update(update{objects: f.edit(7, "/V(10)", "/V(20)")}), "field"},
			{"content replaced", e.update(update{objects: draft{4: evil}}), "content" + visual},
			{"content not enciphered", raw(update{objects: draft{4: f[4]}}), "content" + visual},
			{"content under the key of another object", raw(update{objects: moved}), elsewhere},
			{"text under the key of another object", raw(update{objects: draft{46: e.object(47, f.edit(46, "()", "(Poczatek)")[46])}}), "other" + undefined},
			{"text not enciphered", raw(update{objects: f.edit(46, "()", "(Poczatek)")}), "other" + undefined},
			{"text that cannot be deciphered", raw(update{objects: f.edit(46, "()", "<"+noise+">")}), "other" + undefined},
			{"language", e.update(update{objects: f.edit(1, "(pl)", "(en)")}), "other" + undefined},
			{"own cipher for the content", e.update(update{objects: draft{4: stream("/Filter/Crypt", "BT ET")}}), "content" + visual},
			{"another key", e.update(update{objects: draft{99: strings.Replace(e.dict, "/P -4", "/P -8", 1)}}), "other" + undefined},
			{"another dictionary", e.update(update{objects: draft{98: e.dict}, trailer: "/Encrypt 98 0 R"}), "other" + undefined},
			{"another identifier", e.update(update{trailer: "/ID[<31>" + fileID + "]"}), "other" + undefined},
			{"no encryption any more", update{objects: draft{4: evil}, trailer: "/ID[" + fileID + fileID + "]"}, "content" + visual + " other" + undefined},
		}
		for _, row := range rows {
			t.Run(kind+", "+row.name, func(t *testing.T) {
				signed := e.sign(t, o, f)
				s := first(t, row.append(signed))
				for want := range strings.FieldsSeq(row.want) {
					if !strings.Contains(told(s), want) {
						t.Errorf("told %q, want %q", told(s), want)
					}
				}
				if row.want == "" || row.want == "field" {
					for _, c := range s.Changes {
						if c.Rule != "" {
							t.Errorf("%+v", c)
						}
					}
				}
			})
		}
	}
}

// A document that is locked can be signed all the same: the signature is judged, what is enciphered is not shown, and
// nobody can tell what an update did.
func TestLockedDocument(t *testing.T) {
	o := newOffice(t)
	f := form()
	for _, kind := range ciphers {
		e := encipher(kind, "tajne")
		signed := e.sign(t, o, f)
		s := first(t, signed)
		if s.Unchecked != "" || !s.SigningTime.IsZero() || strings.Contains(fmt.Sprint(s.Notes), "powod") {
			t.Errorf("%s: unchecked %q, time %v, notes %v", kind, s.Unchecked, s.SigningTime, s.Notes)
		}
		for name, u := range map[string]update{
			"content": {objects: draft{4: stream("", "BT ET")}}, "field": {objects: f.edit(7, "/V(10)", "/V(20)")}, "nothing": {},
		} {
			updated := e.update(u).append(signed)
			doc := open(t, updated)
			if s := doc.Signatures[0]; !strings.Contains(s.Unchecked, "password") || !s.Intact || len(doc.Notes) == 0 {
				t.Errorf("%s, %s: unchecked %q, notes %v", kind, name, s.Unchecked, doc.Notes)
			}
			doc = openWith(t, updated, Password([]byte("nie to")), Password([]byte("tajne")))
			if s := doc.Signatures[0]; s.Unchecked != "" || !s.SigningTime.Equal(day) || !strings.Contains(fmt.Sprint(s.Notes), "tajny powod") {
				t.Errorf("%s, %s: unchecked %q, time %v, notes %v", kind, name, s.Unchecked, s.SigningTime, s.Notes)
			}
		}
	}
}

func openWith(t *testing.T, data []byte, opts ...Option) *signature.Document {
	t.Helper()
	doc, err := Open(budget.New(t.Context(), len(data)), data, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Evidence of a locked document is no evidence, and that of an encrypted one is what it is deciphered to.
func TestEncryptedStore(t *testing.T) {
	o := newOffice(t)
	f := form()
	crl := o.crl(t)
	for _, kind := range ciphers {
		for password, want := range map[string]int{"": 1, "tajne": 0} {
			e := encipher(kind, password)
			store := draft{1: f.edit(1, "/Lang", "/DSS 100 0 R/Lang")[1], 100: "<</CRLs[101 0 R]>>", 101: stream("", string(crl))}
			s := open(t, e.update(update{objects: store}).append(e.sign(t, o, f))).Signatures[0]
			if len(s.CRLs) != want || want == 1 && !bytes.Equal(s.CRLs[0], crl) {
				t.Errorf("%s, %q: %d lists", kind, password, len(s.CRLs))
			}
		}
	}
}

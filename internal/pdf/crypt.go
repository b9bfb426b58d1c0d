package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
)

// crypt decrypts the strings and streams of a document that opens with the empty user password
// (ISO 32000-2 7.6, standard security handler). Signed documents are often protected against changes
// that way; a signature's Contents are never encrypted.
type crypt struct {
	key              []byte
	strings, streams method
}

type method byte

const (
	identity method = iota
	rc4Method
	aesV2
	aesV3
)

// openEncryption makes d.crypt, or notes why it cannot: then strings and streams stay unreadable.
func (d *Document) openEncryption() error {
	if !d.Encrypted() {
		return nil
	}
	e := d.Dict(d.trailer["Encrypt"])
	if e == nil {
		return errors.New("pdf: the encryption dictionary cannot be read")
	}
	if d.Name(e["Filter"]) != "Standard" {
		return errors.New("pdf: unknown security handler")
	}
	version, _ := d.Integer(e["V"])
	revision, _ := d.Integer(e["R"])
	c := &crypt{strings: rc4Method, streams: rc4Method}
	length := int64(5)
	switch version {
	case 1:
	case 2, 3:
		if n, ok := d.Integer(e["Length"]); ok {
			length = n / 8
		}
	case 4, 5:
		length = 16
		c.strings, c.streams = d.cryptFilter(e, "StrF"), d.cryptFilter(e, "StmF")
	default:
		return errors.New("pdf: unknown version of encryption")
	}
	if length < 5 || length > 16 {
		return errors.New("pdf: broken encryption dictionary")
	}
	var err error
	if revision >= 5 {
		c.key, err = d.keyFromUE(e, revision)
	} else {
		c.key, err = d.keyFromPassword(e, revision, int(length))
	}
	if err != nil {
		return err
	}
	d.crypt = c
	clear(d.cache) // what was read so far is not decrypted
	if r, ok := d.trailer["Encrypt"].(Ref); ok {
		d.cache[r.Number] = e
	}
	return nil
}

func (d *Document) cryptFilter(e Dict, key Name) method {
	name := d.Name(e[key])
	if name == "" || name == "Identity" {
		return identity
	}
	switch d.Name(d.Dict(d.Dict(e["CF"])[name])["CFM"]) {
	case "V2":
		return rc4Method
	case "AESV2":
		return aesV2
	case "AESV3":
		return aesV3
	}
	return identity
}

// padding fills passwords up to 32 bytes (7.6.4.3.2).
var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

var errPassword = errors.New("pdf: the document opens only with a password")

// octets resolves a string of at least n bytes.
func (d *Document) octets(o Object, n int) []byte {
	s, _ := d.Resolve(o).(String)
	if len(s.Value) < n {
		return make([]byte, n)
	}
	return s.Value
}

// keyFromPassword is algorithm 2, for the empty password, checked with algorithms 4 to 6.
func (d *Document) keyFromPassword(e Dict, revision int64, length int) ([]byte, error) {
	permissions, _ := d.Integer(e["P"])
	ids, id := d.Array(d.trailer["ID"]), []byte(nil)
	if len(ids) > 0 {
		id = d.octets(ids[0], 0)
	}
	h := md5.New()
	h.Write(padding)
	h.Write(d.octets(e["O"], 32)[:32])
	h.Write(binary.LittleEndian.AppendUint32(nil, uint32(permissions)))
	h.Write(id)
	if meta, ok := d.Resolve(e["EncryptMetadata"]).(bool); ok && !meta && revision >= 4 {
		h.Write([]byte{255, 255, 255, 255})
	}
	key := h.Sum(nil)
	if revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:length])
			key = sum[:]
		}
	}
	key = key[:length]
	check := bytes.Clone(padding)
	if revision < 3 {
		rc4Bytes(key, check)
	} else {
		sum := md5.Sum(append(bytes.Clone(padding), id...))
		check = sum[:]
		for i := range 20 {
			k := bytes.Clone(key)
			for j := range k {
				k[j] ^= byte(i)
			}
			rc4Bytes(k, check)
		}
	}
	if !bytes.HasPrefix(d.octets(e["U"], 32), check) {
		return nil, errPassword
	}
	return key, nil
}

func rc4Bytes(key, data []byte) {
	if c, err := rc4.NewCipher(key); err == nil {
		c.XORKeyStream(data, data)
	}
}

// keyFromUE is algorithm 2.A for the empty user password.
func (d *Document) keyFromUE(e Dict, revision int64) ([]byte, error) {
	u, ue := d.octets(e["U"], 48), d.octets(e["UE"], 32)[:32]
	hash := func(salt []byte) []byte {
		if revision == 5 {
			sum := sha256.Sum256(salt)
			return sum[:]
		}
		return hash2B(salt)
	}
	if !bytes.Equal(hash(u[32:40]), u[:32]) {
		return nil, errPassword
	}
	block, err := aes.NewCipher(hash(u[40:48]))
	if err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	cipher.NewCBCDecrypter(block, make([]byte, 16)).CryptBlocks(key, ue)
	return key, nil
}

// hash2B is algorithm 2.B for an empty password and no user key.
func hash2B(salt []byte) []byte {
	sum := sha256.Sum256(salt)
	k := sum[:]
	for i := 0; ; i++ {
		data := bytes.Repeat(k, 64)
		block, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(block, k[16:32]).CryptBlocks(data, data)
		mod := 0
		for _, c := range data[:16] {
			mod += int(c)
		}
		switch mod % 3 {
		case 0:
			s := sha256.Sum256(data)
			k = s[:]
		case 1:
			s := sha512.Sum384(data)
			k = s[:]
		default:
			s := sha512.Sum512(data)
			k = s[:]
		}
		if last := int(data[len(data)-1]); i >= 63 && last <= i-31 {
			return k[:32]
		}
	}
}

// object decrypts the strings inside an object.
func (c *crypt) object(o Object, r Ref, depth int) Object {
	switch o := o.(type) {
	case String:
		data, err := c.decrypt(c.strings, o.Value, r)
		if err != nil {
			data = nil // not text, whatever it was
		}
		o.Value = data
		return o
	case Array:
		for i := range o {
			o[i] = c.object(o[i], r, depth+1)
		}
	case Dict:
		_, signed := o["ByteRange"]
		for k, v := range o {
			if !signed || k != "Contents" {
				o[k] = c.object(v, r, depth+1)
			}
		}
	case *Stream:
		c.object(o.Dict, r, depth+1)
	}
	return o
}

func (c *crypt) stream(s *Stream, data []byte) ([]byte, error) {
	return c.decrypt(c.streams, data, s.ref)
}

// decrypt undoes the encryption of one string or stream of object r (algorithm 1 and 1.A).
func (c *crypt) decrypt(m method, data []byte, r Ref) ([]byte, error) {
	key := c.key
	if m == rc4Method || m == aesV2 {
		h := md5.New()
		h.Write(key)
		h.Write([]byte{byte(r.Number), byte(r.Number >> 8), byte(r.Number >> 16), byte(r.Generation), byte(r.Generation >> 8)})
		if m == aesV2 {
			h.Write([]byte("sAlT"))
		}
		key = h.Sum(nil)[:min(len(c.key)+5, 16)]
	}
	switch m {
	case rc4Method:
		data = bytes.Clone(data)
		rc4Bytes(key, data)
		return data, nil
	case aesV2, aesV3:
		return decryptCBC(key, data)
	}
	return data, nil
}

func decryptCBC(key, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(data) < 32 || len(data)%16 != 0 {
		return nil, errors.New("pdf: broken encrypted data")
	}
	out := make([]byte, len(data)-16)
	cipher.NewCBCDecrypter(block, data[:16]).CryptBlocks(out, data[16:])
	pad := int(out[len(out)-1])
	if pad < 1 || pad > 16 {
		return nil, errors.New("pdf: broken padding of encrypted data")
	}
	return out[:len(out)-pad], nil
}

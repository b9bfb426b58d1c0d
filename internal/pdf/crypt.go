package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"errors"
)

// crypt deciphers the strings and streams of a document (ISO 32000-2 7.6). A signature's Contents are never encrypted.
type crypt struct {
	key              []byte
	strings, streams method
	metadata         bool // metadata streams are encrypted, too
}

type method byte

const (
	identity method = iota
	rc4Method
	aesV2
	aesV3
)

// cipherWork is what it takes to prepare the cipher for a string or stream.
const cipherWork = 1500

var errCipher = errors.New("pdf: encrypted data cannot be deciphered")

func rc4Bytes(key, data []byte) {
	if c, err := rc4.NewCipher(key); err == nil {
		c.XORKeyStream(data, data)
	}
}

// decipher undoes the encryption of the strings inside an object. What cannot be deciphered has no value.
func (d *Document) decipher(o Object, r Ref) Object {
	switch o := o.(type) {
	case String:
		if d.crypt.strings == identity || len(o.Value) == 0 {
			return o
		}
		data, err := d.plain(d.crypt.strings, o.Value, r)
		if err != nil {
			d.problem("a string of object %d cannot be deciphered", r.Number)
			data, o.Broken, o.sealed = nil, true, sealed{string(o.Value), r}
		}
		o.Value = data
		return o
	case Array:
		for i := range o {
			o[i] = d.decipher(o[i], r)
		}
	case Dict:
		_, signed := o["ByteRange"]
		for k, v := range o {
			if !signed || k != "Contents" {
				o[k] = d.decipher(v, r)
			}
		}
	case *Stream:
		d.decipher(o.Dict, r)
	}
	return o
}

// plain pays for what is deciphered, and deciphers it.
func (d *Document) plain(m method, data []byte, r Ref) ([]byte, error) {
	if err := d.meter.Work(cipherWork); err != nil {
		return nil, err
	}
	return d.crypt.decrypt(m, data, r)
}

// cleartext is the data of a stream before its other filters.
func (d *Document) cleartext(s *Stream, where extent) ([]byte, error) {
	filters, params, err := d.filters(s)
	if err != nil {
		return nil, err
	}
	return d.streamData(s, filters, params, d.data[where.start:where.end])
}

// streamData deciphers the data of a stream. Cross references are never encrypted; a Crypt filter, which is the first
// one, says what else is (ISO 32000-2 7.4.10, 7.6.6).
func (d *Document) streamData(s *Stream, filters []Name, params []Dict, data []byte) ([]byte, error) {
	if !d.Encrypted() || s.Dict["Type"] == Name("XRef") {
		return data, nil
	}
	if d.crypt == nil {
		d.lost = true
		return nil, ErrPassword
	}
	m := d.crypt.streams
	switch {
	case len(filters) > 0 && filters[0] == "Crypt":
		var known bool
		if m, known = d.cryptFilter(d.Dict(d.trailer["Encrypt"]), params[0]["Name"], len(d.crypt.key)); !known {
			return nil, errCipher
		}
	case d.Name(s.Dict["Type"]) == "Metadata" && !d.crypt.metadata:
		m = identity
	}
	if m == identity || len(data) == 0 {
		return data, nil
	}
	if err := d.hold(len(data)); err != nil {
		return nil, err
	}
	return d.plain(m, data, s.ref)
}

// decrypt undoes the encryption of one string or stream of object r (algorithms 1 and 1.A).
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
	if m == rc4Method {
		data = bytes.Clone(data)
		rc4Bytes(key, data)
		return data, nil
	}
	return decryptCBC(key, data)
}

// decryptCBC demands the padding to the letter: programs that find another one show other octets each.
func decryptCBC(key, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, errCipher
	}
	out := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(out, data[aes.BlockSize:])
	pad := int(out[len(out)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errCipher
	}
	return out[:len(out)-pad], nil
}

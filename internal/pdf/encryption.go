package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
	"slices"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

var (
	// ErrPassword tells of a document that opens with none of the passwords at hand, the empty one included.
	ErrPassword = errors.New("pdf: the document is encrypted and opens only with a password")

	errEncryption = errors.New("pdf: the document is encrypted in a way that is not known here")
)

// encryption is an encryption dictionary of the standard security handler (ISO 32000-2 tables 20 and 21). What is equal
// leads to one key.
type encryption struct {
	revision         int64
	length           int // of the key in octets
	strings, streams method
	metadata         bool // EncryptMetadata
	o, u, oe, ue     string
	permissions      uint32
	id               string // the first identifier of the file
}

// openEncryption makes d.crypt, or tells why it cannot: then strings and streams stay unreadable.
func (d *Document) openEncryption() error {
	d.crypt = nil
	if !d.Encrypted() {
		return nil
	}
	dict := d.Dict(d.trailer["Encrypt"])
	e, err := d.readEncryption(dict)
	if err != nil {
		return err
	}
	known, tried := d.meter.crypts[e]
	if !tried {
		known = d.unlock(&e)
		d.meter.crypts[e] = known // revisions share it: to make one is dear
	}
	if known == nil {
		return ErrPassword
	}
	d.crypt = known
	clear(d.cache) // what was read so far is not deciphered
	clear(d.objstms)
	if r, ok := d.trailer["Encrypt"].(Ref); ok {
		d.cache[r.Number] = dict
	}
	return nil
}

// readEncryption reads what the standard security handler needs. What it lacks, or does not fit, is not guessed.
func (d *Document) readEncryption(dict Dict) (encryption, error) {
	version, _ := d.Integer(dict["V"])
	e := encryption{metadata: true, strings: rc4Method, streams: rc4Method, length: 5}
	e.revision, _ = d.Integer(dict["R"])
	permissions, ok := d.Integer(dict["P"])
	ok = ok && d.Name(dict["Filter"]) == "Standard"
	e.permissions = uint32(permissions)
	if m, given := d.Resolve(dict["EncryptMetadata"]).(bool); given {
		e.metadata = m
	}
	if ids := d.Array(d.trailer["ID"]); len(ids) > 0 {
		id, _ := d.Resolve(ids[0]).(String)
		e.id = string(id.Value)
	}
	size := 32
	switch {
	case version == 1 && e.revision <= 3, version == 2 && e.revision == 2:
	case (version == 2 || version == 3) && e.revision == 3:
		if bits, given := d.Integer(dict["Length"]); given {
			ok = ok && bits >= 40 && bits <= 128 && bits%8 == 0
			e.length = int(bits / 8)
		}
	case version == 4 && e.revision == 4:
		e.length = 16
	case version == 5 && (e.revision == 5 || e.revision == 6):
		e.length, size = 32, 48
		e.oe, e.ue = d.octets(dict["OE"], 32), d.octets(dict["UE"], 32)
		ok = ok && e.oe != "" && e.ue != ""
	default:
		return e, errEncryption
	}
	e.o, e.u = d.octets(dict["O"], size), d.octets(dict["U"], size)
	if version >= 4 {
		var known bool
		e.strings, known = d.cryptFilter(dict, dict["StrF"], e.length)
		ok = ok && known
		e.streams, known = d.cryptFilter(dict, dict["StmF"], e.length)
		ok = ok && known
	}
	if !ok || e.revision < 2 || e.o == "" || e.u == "" {
		return e, errEncryption
	}
	return e, nil
}

// octets resolves the first n octets of a string, or "".
func (d *Document) octets(o Object, n int) string {
	s, ok := d.Resolve(o).(String)
	if !ok || len(s.Value) < n {
		return ""
	}
	return string(s.Value[:n])
}

// cryptFilter reads the method of a crypt filter by its name, which is Identity where it is left out (ISO 32000-2
// 7.6.6). One that is not there, that another program implements or that does not go with the key is not known.
func (d *Document) cryptFilter(dict Dict, named Object, length int) (m method, known bool) {
	name := d.Name(named)
	if named == nil || name == "Identity" {
		return identity, true
	}
	switch d.Name(d.Dict(d.Dict(dict["CF"])[name])["CFM"]) {
	case "V2":
		return rc4Method, length == 16
	case "AESV2":
		return aesV2, length == 16
	case "AESV3":
		return aesV3, length == 32
	}
	return identity, false
}

// unlock finds the key of the file with the empty password or one that was given, as the user's or the owner's.
func (d *Document) unlock(e *encryption) *crypt {
	for _, password := range append([][]byte{nil}, d.meter.passwords...) {
		if key := d.try(e, password); key != nil {
			return &crypt{key: key, strings: e.strings, streams: e.streams, metadata: e.metadata}
		}
	}
	return nil
}

// try returns the key that a password leads to, or nil. What was made of the password is wiped.
func (d *Document) try(e *encryption, password []byte) []byte {
	if d.meter.Octets(len(password)) != nil {
		return nil
	}
	prepared := e.prepare(password)
	defer clear(prepared)
	for _, find := range []func([]byte) []byte{e.userKey, e.ownerKey} {
		if d.meter.Work(unlockWork) != nil {
			return nil
		}
		if key := find(prepared); key != nil {
			return key
		}
	}
	return nil
}

// unlockWork is what it takes to try a password in the newest revision of the handler.
const unlockWork = 20_000_000

// prepare encodes a password: in PDFDocEncoding before revision 5, of which Latin-1 is the part that is known here, in
// normalised UTF-8 since (ISO 32000-2 7.6.4.3.2, 7.6.4.3.3). What it returns is the caller's to wipe.
func (e *encryption) prepare(password []byte) []byte {
	if e.revision >= 5 {
		text := norm.NFKC.Append(make([]byte, 0, 2*len(password)), password...)
		clear(text[min(len(text), maxUTF8):])
		return text[:min(len(text), maxUTF8)]
	}
	latin, err := charmap.ISO8859_1.NewEncoder().Bytes(password)
	if err != nil {
		latin = password
	}
	out := make([]byte, len(padding))
	copy(out[copy(out, latin):], padding)
	if err == nil {
		clear(latin)
	}
	return out
}

// maxUTF8 is how much of a password counts since revision 5, in octets.
const maxUTF8 = 127

// padding fills passwords up to 32 octets (ISO 32000-2 7.6.4.3.2).
var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

// userKey is algorithm 2 with the check of algorithms 6, or 2.A of the newer revisions; nil for another password.
func (e *encryption) userKey(password []byte) []byte {
	if e.revision >= 5 {
		return e.unwrap(password, e.u, "", e.ue)
	}
	h := md5.New()
	h.Write(password)
	h.Write([]byte(e.o))
	h.Write(binary.LittleEndian.AppendUint32(nil, e.permissions))
	h.Write([]byte(e.id))
	if !e.metadata && e.revision >= 4 {
		h.Write([]byte{255, 255, 255, 255})
	}
	key := e.stretch(h)
	check := bytes.Clone(padding)
	if e.revision >= 3 {
		sum := md5.Sum(append(check, e.id...))
		check = sum[:]
	}
	for i := range e.rounds() {
		rc4Bytes(mixed(key, byte(i)), check)
	}
	if subtle.ConstantTimeCompare([]byte(e.u)[:len(check)], check) != 1 {
		return nil
	}
	return key
}

// ownerKey is algorithm 7 or 2.A: the owner's password leads to the user's, or to the key itself.
func (e *encryption) ownerKey(password []byte) []byte {
	if e.revision >= 5 {
		return e.unwrap(password, e.o, e.u, e.oe)
	}
	h := md5.New()
	h.Write(password)
	key := e.stretch(h)
	user := []byte(e.o)
	for i := e.rounds() - 1; i >= 0; i-- {
		rc4Bytes(mixed(key, byte(i)), user)
	}
	defer clear(user)
	return e.userKey(user)
}

// stretch makes a key of the file's length from a hash.
func (e *encryption) stretch(h hash.Hash) []byte {
	key := h.Sum(nil)
	if e.revision >= 3 {
		for range 50 {
			sum := md5.Sum(key[:e.length])
			key = sum[:]
		}
	}
	return key[:e.length]
}

// rounds is how often RC4 is applied to what checks a password.
func (e *encryption) rounds() int {
	if e.revision >= 3 {
		return 20
	}
	return 1
}

func mixed(key []byte, with byte) []byte {
	out := bytes.Clone(key)
	for i := range out {
		out[i] ^= with
	}
	return out
}

// unwrap is algorithm 2.A: entry is U or O, that holds a hash, the salt of the password and that of the key.
func (e *encryption) unwrap(password []byte, entry, user, wrapped string) []byte {
	if subtle.ConstantTimeCompare(e.hash(password, entry[32:40], user), []byte(entry[:32])) != 1 {
		return nil
	}
	block, err := aes.NewCipher(e.hash(password, entry[40:48], user))
	if err != nil {
		return nil
	}
	key := make([]byte, 32)
	cipher.NewCBCDecrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(key, []byte(wrapped))
	return key
}

// hash is algorithm 2.B, or the plain hash of revision 5.
func (e *encryption) hash(password []byte, salt, user string) []byte {
	first := slices.Concat(password, []byte(salt), []byte(user))
	sum := sha256.Sum256(first)
	clear(first)
	k := sum[:]
	for i := 0; e.revision >= 6; i++ {
		piece := slices.Concat(password, k, []byte(user))
		data := bytes.Repeat(piece, 64) // which is enciphered where it stands
		clear(piece)
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
			break
		}
	}
	return k[:32]
}

package pdf

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"strings"
	"testing"

	"trustcore/internal/budget"
)

func openWith(t *testing.T, data []byte, passwords ...string) (*Document, error) {
	t.Helper()
	var octets [][]byte
	for _, p := range passwords {
		octets = append(octets, []byte(p))
	}
	return OpenWithin(budget.New(context.Background(), len(data)), data, octets...)
}

// What qpdf encrypts in each way reads as it was, with the user's and the owner's password; without one nothing is shown.
func TestEncryption(t *testing.T) {
	for name, args := range map[string][]string{
		"RC4 40":                     {"40"},
		"RC4 128":                    {"128", "--use-aes=n"},
		"RC4 128 V4":                 {"128", "--use-aes=n", "--force-V4"},
		"AES 128":                    {"128", "--use-aes=y"},
		"AES 128, metadata clear":    {"128", "--use-aes=y", "--cleartext-metadata"},
		"AES 256":                    {"256"},
		"AES 256 R5":                 {"256", "--force-R5"},
		"AES 256, metadata clear":    {"256", "--cleartext-metadata"},
		"AES 256, packed":            {"256", "--", "--object-streams=generate"},
		"RC4 40, packed":             {"40", "--", "--object-streams=generate"},
		"AES 128, broken":            {"128", "--use-aes=y"},
		"AES 256, packed and broken": {"256", "--", "--object-streams=generate"},
	} {
		t.Run(name, func(t *testing.T) {
			flags, rest := args[1:], []string(nil)
			for i, a := range flags {
				if a == "--" {
					flags, rest = flags[:i], flags[i+1:]
				}
			}
			encrypted := func(user string) []byte {
				all := append([]string{"--allow-weak-crypto", "--encrypt", user, "właściciel", args[0]}, flags...)
				data := variant(t, append(append(all, "--"), rest...)...)
				if strings.Contains(name, "broken") {
					data = bytes.Replace(data, []byte("startxref\n"), []byte("startxref\n9"), 1)
				}
				return data
			}
			checkDeciphered(t, encrypted(""))
			locked := encrypted("tajne")
			checkDeciphered(t, locked, "inne", "tajne")
			checkDeciphered(t, locked, "właściciel")
			d, err := openWith(t, locked, "inne")
			if err != nil {
				if !errors.Is(err, ErrPassword) {
					t.Errorf("got %v, want ErrPassword", err)
				}
				return
			}
			if !d.Sealed() || d.Text(d.Dict(d.trailer["Info"])["Title"]) != "" {
				t.Error("something is shown without the password")
			}
			if content, ok := d.Resolve(firstPage(d)["Contents"]).(*Stream); ok {
				if _, err := d.Decode(content); !errors.Is(err, ErrPassword) {
					t.Errorf("a stream that cannot be deciphered was read: %v", err)
				}
			}
			if !d.Lost() {
				t.Error("it is not told that something was not read")
			}
		})
	}
}

// TestLockedIsNotRemembered: while objects are searched for, a stream may be read before it is known to be enciphered.
func TestLockedIsNotRemembered(t *testing.T) {
	d, err := openWith(t, variant(t, "--encrypt", "tajne", "tajne", "256", "--"))
	if err != nil {
		t.Fatal(err)
	}
	stream, ok := d.Resolve(firstPage(d)["Contents"]).(*Stream)
	if !ok {
		t.Fatal("the page has no content")
	}
	where, err := d.locate(stream.start, stream.Dict["Length"])
	if err != nil {
		t.Fatal(err)
	}
	d.meter.decoded[coded{where, stream.ref, nil}] = []byte("what the cipher looks like, inflated")
	if _, err := d.Decode(stream); !errors.Is(err, ErrPassword) {
		t.Errorf("a locked stream was read: %v", err)
	}
}

func firstPage(d *Document) Dict {
	kids := d.Array(d.Dict(d.Catalog()["Pages"])["Kids"])
	if len(kids) == 0 {
		return nil
	}
	return d.Dict(kids[0])
}

func checkDeciphered(t *testing.T, data []byte, passwords ...string) {
	t.Helper()
	d, err := openWith(t, data, passwords...)
	if err != nil {
		t.Fatal(err)
	}
	if d.Sealed() || d.Text(d.Dict(d.trailer["Info"])["Title"]) != "Decyzja" {
		t.Fatalf("sealed %v, problems %v", d.Sealed(), d.Problems())
	}
	content, ok := d.Resolve(firstPage(d)["Contents"]).(*Stream)
	if !ok {
		t.Fatal("no content")
	}
	text, err := d.Decode(content)
	if err != nil || !bytes.Contains(text, []byte("Miasta")) {
		t.Errorf("content %q, %v", text, err)
	}
}

// An encryption dictionary that lacks something, or names what is not known, is not guessed at: nothing is read as plain.
func TestEncryptionThatIsNotKnown(t *testing.T) {
	good := variant(t, "--encrypt", "", "x", "128", "--use-aes=y", "--")
	for name, edit := range map[string][2]string{
		"as it is":            {"", ""},
		"another handler":     {"/Standard", "/Adobe.PubSec"},
		"another version":     {"/V 4", "/V 9"},
		"another revision":    {"/R 4", "/R 3"},
		"a filter's method":   {"/CFM /AESV2", "/CFM /None"},
		"a filter's name":     {"/StrF /StdCF", "/StrF /Inny"},
		"a filter's length":   {"/CFM /AESV2", "/CFM /AESV3"},
		"a short password":    {"/U <", "/U <00> /u <"},
		"no permissions":      {"/P -", "/p -"},
		"no method":           {"/CFM /AESV2", ""},
		"filters that aren't": {"/CF <<", "/CG <<"},
	} {
		data := bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1)
		if edit[0] != edit[1] && bytes.Equal(data, good) {
			t.Fatalf("%s: nothing was edited", name)
		}
		d, err := openWith(t, data)
		if err != nil {
			t.Fatal(name, err)
		}
		if d.Sealed() == (edit[0] == edit[1]) {
			t.Errorf("%s: sealed %v: it is opened otherwise", name, d.Sealed())
		}
	}
}

// The padding of the cipher says which octets are the text. Programs that find another one show others each.
func TestPaddingToTheLetter(t *testing.T) {
	key := []byte("0123456789abcdef")
	for text, want := range map[string]bool{
		"Poczatek\x08\x08\x08\x08\x08\x08\x08\x08": true,
		"Poczatek1234567\x01":                      true,
		"Poczatek\x01\x08\x08\x08\x08\x08\x08\x08": false,
		"Poczatek1234567\x00":                      false,
		"Poczatek1234567\x11":                      false,
	} {
		_, err := decryptCBC(key, encryptCBC(key, []byte(text)))
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A stream that says it is read as it stands is, and no other program's filter is guessed.
func TestCryptFilter(t *testing.T) {
	for filter, want := range map[string]string{
		"/Filter/Crypt": "plain",
		"/Filter[/Crypt]/DecodeParms[<</Name/Identity>>]": "plain",
		"/Filter[/Crypt]/DecodeParms[<</Name/Inny>>]":     "",
		"/Filter[/ASCIIHexDecode/Crypt]":                  "",
	} {
		method := aesV2
		if strings.Contains(filter, "ASCIIHex") {
			method = identity // the order of the filters alone is wrong
		}
		d := &Document{data: []byte("plain endstream"), meter: newMeter(budget.New(t.Context(), 1)), crypt: &crypt{key: make([]byte, 16), streams: method},
			trailer: Dict{"Encrypt": Dict{}}}
		p := d.parser([]byte("<<"+filter+"/Length 5>>"), -1)
		o, err := p.object(0)
		if err != nil {
			t.Fatal(err)
		}
		data, err := d.Decode(&Stream{Dict: o.(Dict)})
		if string(data) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", filter, data, err)
		}
	}
}

// Many revisions of a document whose password is dear to try cost one try.
func TestUnlockingCostsOnce(t *testing.T) {
	data := variant(t, "--encrypt", "tajne", "x", "256", "--")
	for range 60 {
		at := bytes.LastIndex(data, []byte("startxref\n"))
		trailer := data[bytes.LastIndex(data[:at], []byte("trailer")):at]
		var prev int
		if _, err := fmt.Sscanf(string(data[at:]), "startxref\n%d", &prev); err != nil {
			t.Fatal(err)
		}
		trailer = bytes.Replace(trailer, []byte("<<"), fmt.Appendf(nil, "<< /Prev %d ", prev), 1)
		xref := len(data)
		data = append(data, "xref\n0 0\n"...)
		data = fmt.Appendf(append(data, trailer...), "startxref\n%d\n%%%%EOF\n", xref)
	}
	d, err := openWith(t, data, "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	before := d.meter.Left()
	for i := range d.Revisions() {
		if _, err := d.At(i); err != nil {
			t.Fatal(err)
		}
	}
	if spent := before - d.meter.Left(); spent > unlockWork {
		t.Errorf("%d units for %d revisions", spent, len(d.Revisions()))
	}
}

func encryptCBC(key, text []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, aes.BlockSize+len(text))
	cipher.NewCBCEncrypter(block, out[:aes.BlockSize]).CryptBlocks(out[aes.BlockSize:], text)
	return out
}

// The octets of a sealed document are nothing: neither certificates nor digests.
func TestSealedOctets(t *testing.T) {
	d := &Document{trailer: Dict{"Encrypt": Dict{}}, meter: newMeter(budget.New(t.Context(), 1))}
	cert := String{Value: []byte("0")}
	if d.bytes(cert) != nil || len(d.certificates(cert)) != 0 || len(d.certificates(Array{cert})) != 0 {
		t.Error("octets of a sealed document are read")
	}
}

// A document that has to be searched for its objects is deciphered as its own trailer says, or not at all.
func TestRebuiltWithoutEncryption(t *testing.T) {
	data := variant(t, "--encrypt", "", "x", "256", "--")
	d := mustOpen(t, data)
	info, ok := d.trailer["Info"].(Ref)
	if !ok {
		t.Fatal("no Info")
	}
	d = mustOpen(t, fmt.Appendf(data, "trailer<</Root 1 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", info.Number, d.sections[0].at))
	if err := d.rebuild(errors.New("a test")); err != nil {
		t.Fatal(err)
	}
	if title := d.Text(d.Dict(d.trailer["Info"])["Title"]); d.Encrypted() || title == "Decyzja" {
		t.Errorf("encrypted %v, title %q", d.Encrypted(), title)
	}
}

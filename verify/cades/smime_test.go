package cades_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// mail is a multipart/signed message in pieces, each of which an attacker may change.
type mail struct {
	header, typ, preamble, first, signed, second, signature, last, epilogue string
}

const signedText = "Content-Type: text/plain; charset=utf-8\r\n\r\nProszę wypłacić 100 zł.\r\n"

func newMail(t testing.TB, id cmstest.Identity) mail {
	t.Helper()
	der := sign(t, id, detachedFrom([]byte(signedText)))
	return mail{
		header: "From: urzad@example.test\r\nSubject: wypłata\r\nMIME-Version: 1.0\r\n",
		typ:    "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=\"bb\"\r\n",
		first:  "--bb\r\n", signed: signedText, second: "\r\n--bb\r\n",
		signature: "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines(der),
		last:      "\r\n--bb--\r\n",
	}
}

func (m mail) text() []byte {
	return []byte(m.header + m.typ + "\r\n" + m.preamble + m.first + m.signed + m.second + m.signature + m.last + m.epilogue)
}

// with puts another CMS into the signature's part.
func (m mail) with(der []byte) mail {
	head, _, _ := strings.Cut(m.signature, "\r\n\r\n")
	m.signature = head + "\r\n\r\n" + lines(der)
	return m
}

func lines(der []byte) string {
	text := base64.StdEncoding.EncodeToString(der)
	var b strings.Builder
	for len(text) > 64 {
		b.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	return b.String() + text
}

// TestSignedMail: the first part of the message is what is signed, in the line ends that it was sent with; its header
// and what stands around the parts is named as signed by nobody.
func TestSignedMail(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	for name, c := range map[string]struct {
		change func(*mail)
		beside string // "" where all of the message that says something is signed
		intact bool
	}{
		"as sent":               {func(m *mail) {}, "header fields (From, Subject)", true},
		"without a header":      {func(m *mail) { m.header = "" }, "", true},
		"technical fields":      {func(m *mail) { m.header = "MIME-Version: 1.0\r\nContent-Language: pl\r\n" }, "", true},
		"an unknown field":      {func(m *mail) { m.header = "X-Pay: Mallory\r\n" }, "header fields", true},
		"Content-Pay":           {func(m *mail) { m.header = "Content-Pay: Mallory\r\n" }, "header fields", true},
		"preamble":              {func(m *mail) { m.header, m.preamble = "", "Pay Mallory\r\n" }, "the text before its parts", true},
		"epilogue":              {func(m *mail) { m.header, m.epilogue = "", "Pay Mallory\r\n" }, "the text after its parts", true},
		"both, and fields":      {func(m *mail) { m.preamble, m.epilogue = "a\r\n", "b\r\n" }, "the text before its parts and the text after its parts", true},
		"blank lines":           {func(m *mail) { m.header, m.preamble, m.epilogue = "", "\r\n", "\r\n" }, "", true},
		"a field beside name":   {func(m *mail) { m.header, m.signature = "", "Content-Description: pay\r\n"+m.signature }, "fields of the signature's part", true},
		"folded":                {func(m *mail) { m.header, m.typ = "", strings.ReplaceAll(m.typ, "; ", ";\r\n\t") }, "", true},
		"x-pkcs7":               {func(m *mail) { m.header, m.typ = "", strings.Replace(m.typ, "/pkcs7", "/x-pkcs7", 1) }, "", true},
		"blanks at a delimiter": {func(m *mail) { m.header, m.second = "", "\r\n--bb \t\r\n" }, "", true},

		"another text":   {func(m *mail) { m.header, m.signed = "", strings.Replace(m.signed, "100", "900", 1) }, "", false},
		"another header": {func(m *mail) { m.header, m.signed = "", strings.Replace(m.signed, "utf-8", "utf-7", 1) }, "", false},
		"a line more":    {func(m *mail) { m.header, m.signed = "", m.signed+"\r\n" }, "", false},
		"blanks more":    {func(m *mail) { m.header, m.signed = "", strings.Replace(m.signed, ".\r\n", ". \r\n", 1) }, "", false},
	} {
		m := newMail(t, id)
		c.change(&m)
		for ends, text := range map[string][]byte{"CRLF": m.text(), "LF": bytes.ReplaceAll(m.text(), []byte("\r\n"), []byte("\n"))} {
			if !cades.LooksLikeMail(text) {
				t.Errorf("%s, %s: not taken for a message", name, ends)
			}
			s := only(t, text)
			r := s.References[0]
			if !s.Intact || !r.Found || r.Intact != c.intact || len(s.Structure) > 0 {
				t.Errorf("%s, %s: intact %t, %+v, %q", name, ends, s.Intact, r, s.Structure)
			}
			if r.Full != (c.beside == "") || !strings.Contains(r.Scope, c.beside) || !strings.HasPrefix(r.Scope, "the signed part of the message (text/plain)") {
				t.Errorf("%s, %s: full %t, scope %q; want %q", name, ends, r.Full, r.Scope, c.beside)
			}
		}
	}
}

// TestBinaryMail: the line ends of a binary part are data: another one in their place is another file.
func TestBinaryMail(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	const data = "\x89PNG\r\n\x1a\r\n1\r\n"
	nested := "Content-Type: multipart/mixed; boundary=cc\r\nContent-Transfer-Encoding:\r\n binary\r\n\r\n--cc\r\n"
	for name, header := range map[string]string{
		"binary":          "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n",
		"in capitals":     "CONTENT-TRANSFER-ENCODING:BINARY\r\n\r\n",
		"folded":          "Content-Type: image/png\r\nContent-Transfer-Encoding:\r\n\tbinary\r\n\r\n",
		"in another part": nested + "Content-Type: image/png\r\n\r\n",
	} {
		m := newMail(t, id).with(sign(t, id, detachedFrom([]byte(header+data))))
		m.signed = header + data
		if s := only(t, m.text()); !s.ReferencesIntact() {
			t.Errorf("%s: as sent: %+v", name, s.References)
		}
		m.signed = header + strings.Replace(data, "PNG\r\n", "PNG\n", 1)
		if s := only(t, m.text()); s.ReferencesIntact() {
			t.Errorf("%s: with another octet: intact", name)
		}
	}
}

// TestMailTricks: what programs read in different ways is refused, each time for its own reason.
func TestMailTricks(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	for name, c := range map[string]struct {
		change func(*mail)
		says   string
	}{
		"a third part":              {func(m *mail) { m.second = "\r\n--bb\r\n\r\nPay Mallory\r\n--bb\r\n" }, "more than two parts"},
		"two signatures":            {func(m *mail) { m.signature += "\r\n--bb\r\n" + m.signature }, "more than two parts"},
		"a part after the end":      {func(m *mail) { m.epilogue = "--bb\r\n\r\nPay Mallory\r\n--bb--\r\n" }, "more than two parts"},
		"a second end":              {func(m *mail) { m.second = "\r\n--bb--\r\n" }, "not two parts and an end"},
		"no end":                    {func(m *mail) { m.last = "" }, "not two parts and an end"},
		"one part":                  {func(m *mail) { m.signed, m.second = "", "" }, "not two parts and an end"},
		"parts swapped":             {func(m *mail) { m.signed, m.signature = m.signature, m.signed }, "the second part of the message is text/plain"},
		"an empty part":             {func(m *mail) { m.signed, m.second = "", "--bb\r\n" }, "one of its parts is empty"},
		"a delimiter that goes on":  {func(m *mail) { m.signed = strings.Replace(m.signed, "Pros", "x\r\n--bbx\r\nPros", 1) }, "begins as a delimiter and is none"},
		"an end that goes on":       {func(m *mail) { m.epilogue = "--bb--x\r\n" }, "begins as a delimiter and is none"},
		"a delimiter after a CR":    {func(m *mail) { m.signed = strings.Replace(m.signed, "Pros", "x\r--bb\r\nPros", 1) }, "carriage return that ends no line"},
		"no boundary":               {func(m *mail) { m.typ = strings.Replace(m.typ, "; boundary=\"bb\"", "", 1) }, "the boundary “” is none"},
		"a long boundary":           {func(m *mail) { m.typ = strings.Replace(m.typ, "bb", strings.Repeat("b", 71), 1) }, "is none"},
		"a boundary with a blank":   {func(m *mail) { m.typ = strings.Replace(m.typ, "bb", "bb ", 1) }, "the boundary “bb ” is none"},
		"a boundary with an escape": {func(m *mail) { m.typ = strings.Replace(m.typ, "bb", "b\\\\b", 1) }, "is none"},
		"two boundaries":            {func(m *mail) { m.typ = strings.Replace(m.typ, "micalg=sha-256", "boundary=cc", 1) }, "duplicate parameter"},
		"a boundary in pieces": {func(m *mail) {
			m.typ = strings.Replace(m.typ, "boundary=\"bb\"", "boundary*0=\"b\"; boundary*1=\"b\"", 1)
		}, "parameters in pieces"},
		"two types":          {func(m *mail) { m.header += "Content-type: text/html\r\n" }, "content-type is there twice"},
		"two encodings":      {func(m *mail) { m.header += "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n" }, "is there twice"},
		"parts in base64":    {func(m *mail) { m.header += "Content-Transfer-Encoding: base64\r\n" }, "multipart/signed in “base64”"},
		"PGP":                {func(m *mail) { m.typ = strings.Replace(m.typ, "pkcs7", "pgp", 1) }, "protocol “application/pgp-signature”"},
		"no protocol":        {func(m *mail) { m.typ = strings.Replace(m.typ, "protocol=\"application/pkcs7-signature\"; ", "", 1) }, "with the protocol “”"},
		"a signature of PGP": {func(m *mail) { m.signature = strings.Replace(m.signature, "pkcs7", "pgp", 1) }, "is application/pgp-signature, not the signature"},
		"within multipart/mixed": {func(m *mail) {
			m.typ = strings.Replace(m.typ, "multipart/signed", "multipart/mixed; x=\"multipart/signed\"", 1)
		}, "the message is multipart/mixed"},
		"within text": {func(m *mail) { m.header, m.typ = "X: multipart/signed\r\n", "" }, "the message is text/plain"},
		"printable":   {func(m *mail) { m.signature = strings.Replace(m.signature, "base64", "quoted-printable", 1) }, "in “quoted-printable”, not in base64"},
		"no encoding": {func(m *mail) {
			m.signature = strings.Replace(m.signature, "Content-Transfer-Encoding: base64\r\n", "", 1)
		}, "in “7bit”, not in base64"},
		"a character set":       {func(m *mail) { m.signature = strings.Replace(m.signature, "name=smime.p7s", "charset=utf-16", 1) }, "character set “utf-16”"},
		"text in the base64":    {func(m *mail) { m.signature += "\r\n*pay*" }, "no base64 of a CMS"},
		"a CR in the header":    {func(m *mail) { m.header = "X: y\rContent-Type: text/plain\r\n" }, "a control character"},
		"a NUL in the header":   {func(m *mail) { m.header = "X: \x00\r\n" }, "a control character"},
		"no field":              {func(m *mail) { m.header = "X: y\r\npay Mallory\r\n" }, "is no field"},
		"a blank in a name":     {func(m *mail) { m.header = "X: y\r\nContent-Type : text/plain\r\n" }, "is no field"},
		"a long header":         {func(m *mail) { m.header = "X: " + strings.Repeat("y", 64<<10) + "\r\n" }, "no empty line ends the header"},
		"many fields":           {func(m *mail) { m.header = strings.Repeat("X: y\r\n", 1001) }, "is no field"},
		"encrypted":             {func(m *mail) { m.typ = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n" }, "holds “enveloped-data”"},
		"opaque, not in base64": {func(m *mail) { m.typ = "Content-Type: application/pkcs7-mime\r\n" }, "in “7bit”, not in base64"},
		"no CMS":                {func(m *mail) { *m = m.with([]byte{0x30, 0, 0}) }, "CMS: "},
	} {
		m := newMail(t, id)
		c.change(&m)
		if doc, err := openAll(t, m.text()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, %v; want %q", name, doc, err, c.says)
		}
	}
}

// TestMailWithContent: the text of the message is what a person reads, whatever the CMS carries.
func TestMailWithContent(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	attach := func(data string) mail {
		return newMail(t, id).with(sign(t, id, func(c *cms.SignConfig) { c.Content = []byte(data) }))
	}
	if s := only(t, attach("Proszę wypłacić 1 zł.").text()); len(s.Structure) != 1 || !strings.Contains(s.Structure[0], "not about the message") {
		t.Errorf("another content: %q", s.Structure)
	}
	if s := only(t, attach(signedText).text()); len(s.Structure) > 0 || !s.Intact || !s.ReferencesIntact() || len(s.Notes) != 3 {
		t.Errorf("the same content: %q, %q", s.Structure, s.Notes)
	}
	doc, err := openAll(t, newMail(t, id).with(cmstest.NewTSU(t, "p256", "TSU").Stamp(t, []byte(signedText), cmstest.Now)).text())
	if err != nil || len(doc.Timestamps) > 0 || len(doc.Signatures) != 1 || len(doc.Signatures[0].Structure) == 0 {
		t.Errorf("a time-stamp for a signature: %+v, %v", doc, err)
	}
}

// TestMailAndFile: a file that is given beside a message must be its signed part.
func TestMailAndFile(t *testing.T) {
	m := newMail(t, cmstest.NewSigner(t, "p256", "officer-1"))
	sum := sha256.Sum256([]byte(signedText))
	for name, c := range map[string]struct {
		file signature.Detached
		ok   bool
	}{
		"the part": {signature.Detached{Content: []byte(signedText)}, true}, "another": {signature.Detached{Content: content}, false},
		"its digest": {signature.Detached{Digests: map[string][]byte{"SHA-256": sum[:]}}, true},
	} {
		if _, err := openAll(t, m.text(), c.file); c.ok != (err == nil) || err != nil && !errors.Is(err, cades.ErrOtherData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMailInAContainer: a message is no signature of another file.
func TestMailInAContainer(t *testing.T) {
	m := newMail(t, cmstest.NewSigner(t, "p256", "officer-1"))
	write := func(w io.Writer) error { _, err := io.WriteString(w, signedText); return err }
	if doc, err := cades.OpenDetached(budget.New(t.Context(), len(m.text())), m.text(), "a", write); err == nil || !strings.Contains(err.Error(), "about itself") {
		t.Errorf("%v, %v", doc, err)
	}
}

// TestMailWithin: a signed part that is signed itself is named, since nobody looked at that signature.
func TestMailWithin(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	inner := strings.ReplaceAll(string(newMail(t, id).text()), "\"bb\"", "\"cc\"")
	inner = strings.ReplaceAll(inner, "--bb", "--cc")
	m := newMail(t, id).with(sign(t, id, detachedFrom([]byte(inner))))
	m.signed = inner
	s := only(t, m.text())
	if !s.Intact || !s.ReferencesIntact() || !strings.Contains(strings.Join(s.Notes, "|"), "multipart/signed itself; the signature within is not looked at") {
		t.Errorf("%+v", s)
	}
}

// TestOpenSSLMail: openssl's messages are read, in both forms, and openssl takes ours.
func TestOpenSSLMail(t *testing.T) {
	dir := t.TempDir()
	id := cmstest.NewSigner(t, "rsa", "officer-1")
	cert, key := id.Files(t, dir, "signer")
	text, file := filepath.Join(dir, "text"), filepath.Join(dir, "mail.eml")
	cmstest.Write(t, text, []byte("Content-Type: text/plain\n\nProszę\nwypłacić\n"))
	for _, form := range [][]string{nil, {"-nodetach"}, {"-crlfeol"}} {
		cmstest.OpenSSL(t, append([]string{"cms", "-sign", "-md", "sha256", "-in", text, "-signer", cert, "-inkey", key, "-out", file,
			"-from", "a@example.test", "-subject", "b"}, form...)...)
		s := only(t, cmstest.Read(t, file))
		if !s.Intact || !s.ReferencesIntact() || s.References[0].Full || s.Level != "B" {
			t.Errorf("%v: %+v", form, s)
		}
	}
	m := newMail(t, id)
	cmstest.Write(t, file, m.text())
	cmstest.OpenSSL(t, "cms", "-verify", "-in", file, "-CAfile", cert, "-purpose", "any", "-attime", cmstest.Unix, "-out", filepath.Join(dir, "out"))
}

// TestSenderOfAMail: who the message says that it is from need not be who signed it, and is told apart.
func TestSenderOfAMail(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	template := *id.Cert
	template.EmailAddresses = []string{"urzad@example.test", "kancelaria@example.test"}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, id.Cert.PublicKey, id.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		header string
		note   bool
	}{
		"its address":   {"From: Urzad <urzad@example.test>\r\n", false},
		"another case":  {"From: Urzad@EXAMPLE.test\r\n", false},
		"both":          {"From: urzad@example.test, kancelaria@example.test\r\n", false},
		"none":          {"Subject: x\r\n", false},
		"another":       {"From: mallory@example.test\r\n", true},
		"one of two":    {"From: urzad@example.test, mallory@example.test\r\n", true},
		"in the name":   {"From: \"urzad@example.test\" <mallory@example.test>\r\n", true},
		"in a comment":  {"From: mallory@example.test (urzad@example.test)\r\n", true},
		"unreadable":    {"From: urzad@example.test <\r\n", true},
		"two fields":    {"From: urzad@example.test\r\nFrom: urzad@example.test\r\n", true},
		"nothing in it": {"From:\r\n", true},
	} {
		m := newMail(t, id).with(sign(t, id, func(c *cms.SignConfig) {
			detachedFrom([]byte(signedText))(c)
			c.Certificate = der
		}))
		m.header = c.header
		s := only(t, m.text())
		if !s.Intact || !s.ReferencesIntact() || strings.Contains(strings.Join(s.Notes, "|"), "RFC 8550") != c.note {
			t.Errorf("%s: notes %q", name, s.Notes)
		}
		opaque := sign(t, id, func(cfg *cms.SignConfig) { cfg.Certificate = der })
		s = only(t, []byte(c.header+"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"+lines(opaque)))
		if !s.ReferencesIntact() || strings.Contains(strings.Join(s.Notes, "|"), "RFC 8550") != c.note {
			t.Errorf("%s, opaque: notes %q", name, s.Notes)
		}
	}
	m := newMail(t, id)
	m.header = "From: mallory@example.test\r\n"
	if s := only(t, m.text()); strings.Contains(strings.Join(s.Notes, "|"), "RFC 8550") {
		t.Errorf("a certificate without an address: notes %q", s.Notes)
	}
}

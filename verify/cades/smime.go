package cades

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"trustcore/internal/budget"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/certificate"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// LooksLikeMail tells whether data begins with the header of a message that says that it is signed (RFC 8551, 3.4).
func LooksLikeMail(data []byte) bool {
	if !beginsAsHeader(data) {
		return false
	}
	header := data[:min(len(data), maxHeader)]
	for _, end := range []string{"\n\r\n", "\n\n"} {
		header, _, _ = bytes.Cut(header, []byte(end))
	}
	return signedType.Match(header)
}

var signedType = regexp.MustCompile(`(?i)multipart/signed|pkcs7-(mime|signature)`)

// signedPart is what a multipart/signed message is about, in its canonical form.
type signedPart struct {
	octets []byte
	typ    string // its media type, or ""
}

// fromMail takes the CMS out of a message: of application/pkcs7-mime, which carries what is signed in it, or of
// multipart/signed, whose first part is what is signed (RFC 8551, 3.5; RFC 1847, 2.1). What a program may read in
// another way than this one is refused: the sentence would be about another text than the reader's.
func (w *wrapping) fromMail(b *budget.Budget, text []byte) ([]byte, error) {
	message, err := readEntity(text)
	if err != nil {
		return nil, err
	}
	w.note("the CMS is wrapped in an S/MIME message")
	w.leaveOut(message.unsignedFields())
	w.from = message.all("from")
	typ, parameters, err := message.mediaType()
	if err != nil {
		return nil, err
	}
	switch typ {
	case "application/pkcs7-mime", "application/x-pkcs7-mime", "application/pkcs7-signature", "application/x-pkcs7-signature":
		if kind := parameters["smime-type"]; kind != "" && !strings.EqualFold(kind, "signed-data") {
			return nil, fmt.Errorf("the message holds %s, no signed data", prose.Name(kind))
		}
		return message.decode(b)
	case "multipart/signed":
		return w.fromParts(b, message, parameters)
	}
	return nil, fmt.Errorf("the message is %s: what is signed within it is not the message", prose.Short(typ))
}

// fromParts reads multipart/signed.
func (w *wrapping) fromParts(b *budget.Budget, message *entity, parameters map[string]string) ([]byte, error) {
	if encoding, err := message.encoding(); err != nil || encoding != "7bit" && encoding != "8bit" && encoding != "binary" {
		return nil, errors.Join(err, fmt.Errorf("multipart/signed in %s (RFC 2045, 6.4)", prose.Name(encoding)))
	}
	protocol := strings.ToLower(parameters["protocol"])
	if !isSignatureType(protocol) {
		return nil, fmt.Errorf("multipart/signed with the protocol %s, not application/pkcs7-signature", prose.Name(protocol))
	}
	parts, err := split(message.body, parameters["boundary"])
	if err != nil {
		return nil, fmt.Errorf("multipart/signed: %w", err)
	}
	if !blank(parts.preamble) {
		w.leaveOut("the text before its parts")
	}
	if !blank(parts.epilogue) {
		w.leaveOut("the text after its parts")
	}
	w.signed = &signedPart{octets: parts.signed}
	w.readSigned()
	return w.signatureOf(b, parts.signature, protocol)
}

// readSigned names the signed part by its type, and says where it holds a signature of its own.
func (w *wrapping) readSigned() {
	part, err := readEntity(w.signed.octets)
	if err != nil {
		return
	}
	typ, _, err := part.mediaType()
	if err != nil {
		return
	}
	w.signed.typ = typ
	if typ == "multipart/signed" || strings.HasSuffix(typ, "pkcs7-mime") {
		w.note("the signed part of the message is " + typ + " itself; the signature within is not looked at")
	}
}

func isSignatureType(typ string) bool {
	return typ == "application/pkcs7-signature" || typ == "application/x-pkcs7-signature"
}

// signatureOf reads the second part. A charset other than ASCII could turn base64 into another text.
func (w *wrapping) signatureOf(b *budget.Budget, octets []byte, protocol string) ([]byte, error) {
	part, err := readEntity(octets)
	if err != nil {
		return nil, fmt.Errorf("the message's signature: %w", err)
	}
	typ, parameters, err := part.mediaType()
	switch charset := strings.ToLower(parameters["charset"]); {
	case err != nil:
		return nil, fmt.Errorf("the message's signature: %w", err)
	case strings.Replace(typ, "/x-", "/", 1) != strings.Replace(protocol, "/x-", "/", 1):
		return nil, fmt.Errorf("the second part of the message is %s, not the signature that the protocol says", prose.Short(typ))
	case charset != "" && charset != "us-ascii" && charset != "utf-8":
		return nil, fmt.Errorf("the message's signature is in the character set %s", prose.Name(charset))
	}
	if part.unsignedFields() != "" {
		w.leaveOut("the header fields of the signature's part")
	}
	return part.decode(b)
}

// decode undoes base64, the one encoding in which a CMS survives every mail program.
func (e *entity) decode(b *budget.Budget) ([]byte, error) {
	encoding, err := e.encoding()
	if err != nil {
		return nil, err
	}
	if encoding != "base64" {
		return nil, fmt.Errorf("the message's CMS is in %s, not in base64", prose.Name(encoding))
	}
	if err := b.Hold(len(e.body)); err != nil {
		return nil, err
	}
	if ber := decodeBase64(bytes.TrimLeft(e.body, "\r\n\t ")); ber != nil {
		return ber, nil
	}
	return nil, errors.New("the message's CMS is no base64 of a CMS")
}

// parts are those of a multipart/signed body, and what stands around them.
type parts struct{ preamble, signed, signature, epilogue []byte }

// split cuts a body at its delimiter lines (RFC 2046, 5.1.1): two, and the closing one. A line that begins as a
// delimiter and goes on is one to some programs and text to others: it is refused wherever it stands.
func split(body []byte, boundary string) (*parts, error) {
	if !isBoundary(boundary) {
		return nil, fmt.Errorf("the boundary %s is none (RFC 2046, 5.1.1)", prose.Name(boundary))
	}
	dashed := []byte("--" + boundary)
	if bytes.Contains(body, append([]byte("\r"), dashed...)) {
		return nil, errors.New("a delimiter stands after a carriage return that ends no line")
	}
	var lines []delimiter
	for from := 0; ; {
		d, found, err := nextDelimiter(body, from, dashed)
		if err != nil {
			return nil, err
		}
		if !found {
			break
		}
		if lines = append(lines, d); len(lines) > 3 {
			return nil, errors.New("it has more than two parts (RFC 1847, 2.1)")
		}
		from = d.end
	}
	if len(lines) != 3 || lines[0].closing || lines[1].closing || !lines[2].closing {
		return nil, errors.New("it has not two parts and an end (RFC 1847, 2.1)")
	}
	p := &parts{preamble: body[:lines[0].start], epilogue: body[lines[2].end:]}
	var ok1, ok2 bool
	p.signed, ok1 = between(body, lines[0], lines[1])
	p.signature, ok2 = between(body, lines[1], lines[2])
	if !ok1 || !ok2 {
		return nil, errors.New("one of its parts is empty")
	}
	return p, nil
}

// isBoundary is the grammar of RFC 2046, 5.1.1.
func isBoundary(s string) bool {
	others := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("'()+_,-./:=? ", r)
	}
	return s != "" && len(s) <= 70 && s[len(s)-1] != ' ' && !strings.ContainsFunc(s, others)
}

// delimiter is a line, with its line end, that parts a body.
type delimiter struct {
	start, end int
	closing    bool
}

// nextDelimiter finds the next line that begins as a delimiter.
func nextDelimiter(body []byte, from int, dashed []byte) (delimiter, bool, error) {
	start := from
	if !bytes.HasPrefix(body[from:], dashed) {
		i := bytes.Index(body[from:], append([]byte("\n"), dashed...))
		if i < 0 {
			return delimiter{}, false, nil
		}
		start = from + i + 1
	}
	d := delimiter{start: start, end: len(body)}
	rest := body[start+len(dashed):]
	line, after, found := bytes.Cut(rest, []byte("\n"))
	if found {
		d.end = len(body) - len(after)
	}
	switch string(bytes.TrimRight(line, " \t\r")) {
	case "":
	case "--":
		d.closing = true
	default:
		return d, false, errors.New("a line begins as a delimiter and is none")
	}
	return d, true, nil
}

// between is the part from one delimiter to the next, whose line end is the delimiter's.
func between(body []byte, d, next delimiter) ([]byte, bool) {
	part := bytes.TrimSuffix(body[d.end:max(d.end, next.start)], []byte("\n"))
	return bytes.TrimSuffix(part, []byte("\r")), next.start > d.end
}

// lineWork is what an octet costs at most that is written line by line.
const lineWork = 12

// content is the part as it was signed: with a carriage return and a line feed at the end of each line (RFC 8551,
// 3.1.1). A file that was saved with the line ends of another machine comes out as it was sent. Binary parts have no
// lines: what looks like the end of one is data, which stays as it stands.
func (p *signedPart) content(b *budget.Budget) *signerinfo.Content {
	if binaryPart.Match(p.octets) {
		return signerinfo.Bytes(b, p.octets)
	}
	return signerinfo.NewContent(b, func(w io.Writer) error {
		if err := b.Work(lineWork * int64(len(p.octets))); err != nil {
			return err
		}
		out := bufio.NewWriterSize(w, 32<<10)
		for line := range bytes.Lines(p.octets) {
			text, ended := bytes.CutSuffix(line, []byte("\n"))
			out.Write(text)
			if ended && !bytes.HasSuffix(text, []byte("\r")) {
				out.WriteByte('\r')
			}
			if ended {
				out.WriteByte('\n')
			}
		}
		return out.Flush()
	})
}

// binaryPart finds the encoding of a part, at any depth, that is binary (RFC 2045, 6.2).
var binaryPart = regexp.MustCompile(`(?im)^content-transfer-encoding:\s*binary`)

// senders notes where the message says that it is from somebody else than the certificate's mail addresses: that has to
// be said, and is no fault of the signature (RFC 8550, 3).
func (w *wrapping) senders(b *budget.Budget, s *signature.Signature) {
	if len(w.from) == 0 || s.Signer == nil || b.Work(senderWork*int64(len(s.Signer)+len(w.from[0].value))) != nil {
		return
	}
	cert, err := certificate.Parse(s.Signer)
	if err != nil {
		return
	}
	known := cert.Subject.All(certificate.AttrEmail)
	for _, n := range cert.SAN {
		if n.Kind == certificate.EmailName {
			known = append(known, string(n.Value))
		}
	}
	if len(known) > 0 && !w.from[0].addresses(known) || len(w.from) > 1 {
		s.Notes = append(s.Notes, "the message does not come from a mail address of the signer's certificate alone (RFC 8550, 3)")
	}
}

// senderWork is what an octet of a certificate or of a field costs at most that is parsed.
const senderWork = 100

// scope says what the signature of the message is about.
func (p *signedPart) scope() string {
	if p.typ == "" {
		return "the signed part of the message"
	}
	return "the signed part of the message (" + prose.Short(p.typ) + ")"
}

package signerinfo

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

// Without signed attributes a value is over the content alone, and that of another kind of signature is over octets
// that anybody can take out of it: they must not pass as a document.
var (
	signedInfo   = regexp.MustCompile(`^<([\w.-]+:)?SignedInfo[\s>/]`)
	signingInput = regexp.MustCompile(`^[\w-]+\.`)
	handshake    = regexp.MustCompile(`^ {64}TLS 1\.3, (server|client) CertificateVerify\x00`)
)

// forms are what keys sign in other protocols that is one SEQUENCE, by its outline. An issuer may be empty (30), or begin
// with a SET of a SEQUENCE of an OBJECT IDENTIFIER.
var forms = []struct {
	what    string
	outline *regexp.Regexp
}{
	{"the part of a certificate that is signed (RFC 5280, 4.1)", outlined(`(a0/02 )?02 30/06 NAME 30/(17|18) `)},
	{"the part of a CRL that is signed (RFC 5280, 5.1)", outlined(`(02 )?30/06 NAME (17|18) `)},
	{"the data of an OCSP answer (RFC 6960, 4.2.1)", outlined(`(a0/02 )?a[12]\S* 18 30`)},
	{"the part of an OCSP request that is signed (RFC 6960, 4.1.1)", outlined(`(a0/02 )?(a1\S* )?30/30/30/30/06 `)},
	{"a TSTInfo (RFC 3161, 2.4.2)", outlined(`02 06 30/30/06 02 18 `)},
	{"a request for a certificate (RFC 2986, 4.1)", outlined(`02 NAME 30/30/06 (a0\S* )?$`)},
	{"a request for a certificate (RFC 4211, 5)", outlined(`02 30/[89ab]\S* (30\S* )?$`)},
	{"a protected message of certificate management (RFC 9810, 5.1.3)", outlined(`30/02 [ab]\S* $`)},
	{"an attribute certificate (RFC 5755, 4.1)", outlined(`(02 )?(30/)?[ab]\S* (a0|30)\S* 30/06 02 30/18 `)},
	{"a public key and challenge", outlined(`30/30/06 16 $`)},
}

func outlined(pattern string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(pattern, "NAME", "30(/31/30/06)?"))
}

// passedOff says which signature's input a content is that begins so, "" where it is none's.
func passedOff(head []byte) string {
	switch {
	case signedInfo.Match(head):
		return "the SignedInfo of an XML signature"
	case handshake.Match(head):
		return "the proof of a key in TLS"
	case bytes.HasPrefix(head, []byte("\x84jSignature1")), bytes.HasPrefix(head, []byte("\x85iSignature")):
		return "the input of a COSE signature (RFC 9052, 4.4)"
	}
	if text := outline(head); text != "" {
		for _, f := range forms {
			if f.outline.MatchString(text) {
				return f.what
			}
		}
	}
	first, _, found := bytes.Cut(head, []byte("."))
	if !found || !signingInput.Match(head) {
		return ""
	}
	header, err := base64.RawURLEncoding.DecodeString(string(first))
	if err == nil && bytes.HasPrefix(header, []byte("{")) && bytes.Contains(header, []byte(`"alg"`)) {
		return "the input of a JSON Web Signature"
	}
	return ""
}

const (
	maxMembers = 8 // of a SEQUENCE that are looked at: the forms are told apart by fewer
	maxLevels  = 5
)

// outline writes the identifier octets of the members of a SEQUENCE, each with those of the first member within it and
// so on: "a0/02 02 30/06 ". It is "" for what is no SEQUENCE. The end may be cut off.
func outline(data []byte) string {
	tag, body, _, ok := element(data)
	if !ok || tag != 0x30 {
		return ""
	}
	var b strings.Builder
	for range maxMembers {
		tag, inner, rest, ok := element(body)
		if !ok {
			break
		}
		fmt.Fprintf(&b, "%02x", tag)
		for level := 1; tag&0x20 != 0 && level < maxLevels; level++ {
			if tag, inner, _, ok = element(inner); !ok {
				break
			}
			fmt.Fprintf(&b, "/%02x", tag)
		}
		b.WriteByte(' ')
		body = rest
	}
	return b.String()
}

// element takes one element off, in BER; its contents end where data does.
func element(data []byte) (tag byte, contents, rest []byte, ok bool) {
	if len(data) < 2 || data[0]&0x1f == 0x1f {
		return 0, nil, nil, false
	}
	length, header := int(data[1]), 2
	if data[1] >= 0x80 {
		header += int(data[1] & 0x7f)
		if header > len(data) || header > 6 {
			return 0, nil, nil, false
		}
		length = 0
		for _, o := range data[2:header] {
			length = length<<8 | int(o)
		}
	}
	if data[1] == 0x80 { // of indefinite length: what is within is what follows
		length = len(data) - header
	}
	end := min(header+length, len(data))
	return data[0], data[header:end], data[end:], true
}

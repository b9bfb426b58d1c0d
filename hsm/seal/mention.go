package seal

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"trustcore/internal/xmldsig"
)

// Mention is a document that a seal says something of without being about it: that which a receipt confirms. An
// enveloped XAdES seal has its name and digest in a signed ds:Manifest (XML Signature 1.1, 5.1): who has the document
// proves by them that it is that one, and who lacks it finds the seal valid nevertheless, and the document not at
// hand.
type Mention struct {
	Name     string // of the file, or its number; at most maxMentionName bytes
	MimeType string // "" is application/octet-stream
	SHA256   [32]byte
}

// Limits of what is mentioned.
const (
	maxMentions    = 100
	maxMentionName = 1000
)

// checkMentions refuses mentions where no manifest can stand, and names that a verifier can't look for.
func (o Options) checkMentions() error {
	switch {
	case len(o.Mentions) == 0:
		return nil
	case o.Format != FormatXAdES || o.Packaging != Enveloped:
		return fmt.Errorf("what is mentioned may stand in enveloped XAdES seals alone, not in %s %s", o.Format, o.Packaging)
	case len(o.Mentions) > maxMentions:
		return fmt.Errorf("%d documents are mentioned, at most %d may be", len(o.Mentions), maxMentions)
	}
	for _, m := range o.Mentions {
		if m.Name == "" || len(m.Name) > maxMentionName || !utf8.ValidString(m.Name) {
			return fmt.Errorf("a document that is mentioned has the name %.40q: write 1 to %d bytes of UTF-8", m.Name, maxMentionName)
		}
		if m.SHA256 == ([32]byte{}) {
			return errors.New("the digest of a document that is mentioned is missing")
		}
	}
	return nil
}

// uriOfMention is a relative reference of one segment: whatever the name is, it leads nowhere else (RFC 3986, 4.2).
func uriOfMention(name string) string {
	segment := url.PathEscape(name)
	switch {
	case segment == "." || segment == "..":
		return strings.ReplaceAll(segment, ".", "%2E")
	case strings.Contains(segment, ":"):
		return strings.ReplaceAll(segment, ":", "%3A")
	}
	return segment
}

// mention adds the manifest, and the reference that makes it a part of what is signed.
func (x *xmlSeal) mention(mentions []Mention) error {
	if len(mentions) == 0 {
		return nil
	}
	id := x.id + "-manifest"
	entries := ""
	for i, m := range mentions {
		entry := xmlReference{id: fmt.Sprintf("%s-%d", id, i+1), mime: m.MimeType}
		x.entries = append(x.entries, entry)
		entries += `<ds:Reference Id="` + entry.id + `" URI="` + escape(uriOfMention(m.Name)) + `">` +
			digestMethod(crypto.SHA256) + `<ds:DigestValue>` + base64.StdEncoding.EncodeToString(m.SHA256[:]) +
			`</ds:DigestValue></ds:Reference>`
	}
	x.objects += `<ds:Object><ds:Manifest Id="` + id + `">` + entries + `</ds:Manifest></ds:Object>`
	manifest, err := x.canonical(x.wrap(x.objects, ""), "Manifest", xmldsig.NamespaceDSig)
	if err != nil {
		return err
	}
	x.manifest = &xmlReference{id: id + "-reference", target: `Type="` + xmldsig.NamespaceDSig + `Manifest" URI="#` + id + `"`,
		transforms: transform(exclusiveURI), digest: digestOf(x.how.hash, []byte(manifest))}
	return nil
}

package signerinfo

import (
	"bytes"
	"encoding/base64"
	"regexp"
)

// Without signed attributes a value is over the content alone, and that of another kind of signature is over octets
// that anybody can take out of it: they must not pass as a document.
var (
	signedInfo   = regexp.MustCompile(`^<([\w.-]+:)?SignedInfo[\s>/]`)
	signingInput = regexp.MustCompile(`^[\w-]+\.`)
)

// passedOff says which signature's input a content is that begins so, "" where it is none's.
func passedOff(head []byte) string {
	if signedInfo.Match(head) {
		return "the SignedInfo of an XML signature"
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

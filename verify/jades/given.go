package jades

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"trustcore/internal/budget"
	"trustcore/internal/jws"
	"trustcore/verify/cades/signerinfo"
	"trustcore/verify/prose"
	"trustcore/verify/signature"
)

// ErrOtherData tells that a file was given to a signature that carries its own data, and is another one.
var ErrOtherData = errors.New(
	"jades: the signature carries the data that was signed, and no detached file that was given is that data")

// givenTwice says which of the files that were given is the payload that the document carries: one must be, or the
// verdict would be read as one about the file.
func givenTwice(b *budget.Budget, d *jws.Document, files []signature.Detached) (note string, err error) {
	sigD := func(s *jws.Signature) bool { return s.Protected.Member("sigD") != nil } // ill-formed beside a payload
	if d.Payload == nil || len(files) == 0 || slices.ContainsFunc(d.Signatures, sigD) {
		return "", nil
	}
	payload := d.Payload
	if len(d.Signatures) > 0 && !d.Signatures[0].Unencoded() {
		if err := b.Hold(len(payload)); err != nil {
			return "", err
		}
		if payload, err = jws.DecodeBase64URL(payload); err != nil {
			return "", ErrOtherData
		}
	}
	for _, f := range files {
		same := bytes.Equal(f.Content, payload)
		if signerinfo.Detached(b, f).DigestOnly() {
			same = signerinfo.Bytes(b, payload).HasDigests(f.Digests)
		}
		if same {
			name := prose.Name(f.Name)
			return fmt.Sprintf("the detached file %s that was given is the payload that the signature carries", name), b.Err()
		}
	}
	return "", cmp.Or(b.Err(), ErrOtherData)
}

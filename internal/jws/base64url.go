package jws

import (
	"encoding/base64"
	"errors"
)

// ErrBase64URL tells that a text is not the one base64url encoding of its octets.
var ErrBase64URL = errors.New("no base64url encoding (RFC 7515, 2)")

// base64url has no padding, and its last character no bits that mean nothing.
var base64url = base64.RawURLEncoding.Strict()

// inBase64URL are the characters of the encoding; what stands for none of them breaks it, line ends too.
var inBase64URL = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		set[c] = true
	}
	return set
}()

// CheckBase64URL tells, without decoding it all, whether text is what Decode takes.
func CheckBase64URL(text []byte) error {
	for _, c := range text {
		if !inBase64URL[c] {
			return ErrBase64URL
		}
	}
	if _, err := base64url.Decode(make([]byte, 3), text[len(text)/4*4:]); err != nil {
		return ErrBase64URL
	}
	return nil
}

// DecodeBase64URL decodes text, which has to be the one encoding of its octets: a signature in which anybody could
// exchange characters would be another file of the same verdict.
func DecodeBase64URL(text []byte) ([]byte, error) {
	if err := CheckBase64URL(text); err != nil {
		return nil, err
	}
	return base64url.AppendDecode(nil, text)
}

package pdf

import "errors"

// crypt decrypts strings and streams.
type crypt struct{}

func (d *Document) openEncryption() {}

func (c *crypt) object(o Object, r Ref, depth int) Object { return o }

func (c *crypt) stream(s *Stream, data []byte) ([]byte, error) {
	return nil, errors.New("pdf: encrypted")
}

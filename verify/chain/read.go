package chain

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"trustcore/verify/cache"
	"trustcore/verify/certificate"
)

// MaxCertificates bounds the certificates of one question; real chains come with fewer than ten.
const MaxCertificates = 200

// ReadCertificates reads what people have: PEM with one or more certificates, DER, or its base64. What known has is not
// parsed anew; nil knows nothing.
func ReadCertificates(data []byte, known *cache.Cache) ([]*certificate.Certificate, error) {
	var ders [][]byte
	text := bytes.TrimSpace(data)
	switch {
	case bytes.Contains(text, []byte("-----BEGIN ")):
		for rest := text; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" || block.Type == "X509 CERTIFICATE" {
				ders = append(ders, block.Bytes)
			}
		}
	case len(data) > 0 && data[0] == 0x30:
		ders = [][]byte{data}
	default:
		der := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		if n, err := base64.StdEncoding.Decode(der, text); err == nil && n > 0 {
			ders = [][]byte{der[:n]}
		}
	}
	switch {
	case len(ders) == 0:
		return nil, errors.New("it holds no certificate: PEM, DER or its base64 is read")
	case len(ders) > MaxCertificates:
		return nil, fmt.Errorf("it holds %d certificates, at most %d are read", len(ders), MaxCertificates)
	}
	list := make([]*certificate.Certificate, len(ders))
	for i, der := range ders {
		var err error
		if list[i], err = known.Parse(der); err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
	}
	return list, nil
}

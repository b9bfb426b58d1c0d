package vectors

import (
	"encoding/json"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"trustcore/verify/algorithm"
)

// A signedDataCase is a case of kind signed_data: one signature over raw data.
type signedDataCase struct {
	ID        any    `json:"id"`
	SPKI      []byte `json:"spki"`
	Algorithm []byte `json:"algorithm_der"`
	Signature []byte `json:"signature"` // BIT STRING, DER
	Data      []byte `json:"data"`
}

type signedDataResult struct {
	ID     any    `json:"id"`
	Valid  bool   `json:"valid"`
	Reason string `json:"reason"`
}

func judgeSignedData(line []byte) (any, error) {
	var c signedDataCase
	if err := json.Unmarshal(line, &c); err != nil {
		return nil, fmt.Errorf("case: %w", err)
	}
	if err := c.verify(); err != nil {
		return signedDataResult{ID: c.ID, Reason: err.Error()}, nil
	}
	return signedDataResult{ID: c.ID, Valid: true}, nil
}

func (c *signedDataCase) verify() error {
	bits := cryptobyte.String(c.Signature)
	var value cryptobyte.String
	if !bits.ReadASN1(&value, asn1.BIT_STRING) || !bits.Empty() || len(value) == 0 || value[0] != 0 {
		return fmt.Errorf("signature is no BIT STRING of whole octets")
	}
	key, err := algorithm.ParsePublicKey(c.SPKI)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	scheme, err := algorithm.FromCertificate(c.Algorithm)
	if err != nil {
		return err
	}
	_, err = scheme.Verify(key, c.Data, value[1:])
	return err
}

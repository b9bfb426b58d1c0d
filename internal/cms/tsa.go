package cms

import (
	"crypto"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Accuracy bounds the deviation of genTime (RFC 3161, 2.4.2). Zero means that none is declared.
type Accuracy struct {
	Seconds int
	Millis  int // 0 to 999
	Micros  int // 0 to 999
}

// TimestampConfig says what SignTimestamp makes: one token of a time-stamping authority.
type TimestampConfig struct {
	Signer      crypto.Signer // the time-stamping unit's key
	Certificate []byte        // DER of its certificate (critical, sole EKU timeStamping)
	// Certificates are further ones to embed (the chain); none, Certificate included, when
	// OmitCertificates is set because the request did not ask (certReq).
	Certificates     [][]byte
	OmitCertificates bool
	// Hash is used for the token's own signature and the ESSCertIDv2, whatever the request's hash is.
	Hash crypto.Hash

	Policy OID
	// HashAlgorithm (AlgorithmIdentifier as encoded) and Imprint are the request's messageImprint.
	HashAlgorithm, Imprint []byte
	Serial                 *big.Int  // positive, at most 20 octets, never used before
	Time                   time.Time // encoded in UTC to the millisecond
	Accuracy               Accuracy
	Ordering               bool
	Nonce                  *big.Int // the request's nonce or nil
	// TSA is the GeneralName of the authority as encoded, or nil.
	TSA []byte
	// Extensions is the content of the TSTInfo extensions: Extension elements as encoded, such as
	// the qualified statement of ETSI EN 319 422.
	Extensions [][]byte
}

// SignTimestamp makes a TimeStampToken: DER of a ContentInfo.
func SignTimestamp(cfg TimestampConfig) ([]byte, error) {
	info, err := cfg.tstInfo()
	if err != nil {
		return nil, fmt.Errorf("sign time-stamp: %w", err)
	}
	token, err := Sign(SignConfig{
		Signer: cfg.Signer, Certificate: cfg.Certificate, Certificates: cfg.Certificates,
		OmitCertificates: cfg.OmitCertificates, Hash: cfg.Hash, ContentType: OIDTSTInfo, Content: info,
	})
	if err != nil {
		return nil, fmt.Errorf("sign time-stamp: %w", err)
	}
	return token, nil
}

// maxSerialOctets is the size of a serial number that RFC 3161 asks every requester to take: 160 bits.
const maxSerialOctets = 20

func (cfg *TimestampConfig) tstInfo() ([]byte, error) {
	switch {
	case cfg.Policy == "":
		return nil, errors.New("no policy")
	case cfg.Time.IsZero():
		return nil, errors.New("no time")
	case cfg.Serial == nil || cfg.Serial.Sign() <= 0 || cfg.Serial.BitLen() > 8*maxSerialOctets-1:
		return nil, fmt.Errorf("serial number is not positive or not below 2^%d", 8*maxSerialOctets-1)
	case len(cfg.HashAlgorithm) == 0 || len(cfg.Imprint) == 0:
		return nil, errors.New("no message imprint")
	case cfg.Nonce != nil && cfg.Nonce.Sign() < 0:
		return nil, errors.New("negative nonce")
	}
	fields := [][]byte{
		integer(1), element(tagOID, []byte(cfg.Policy)),
		element(tagSequence, cfg.HashAlgorithm, element(tagOctetString, cfg.Imprint)),
		bigInteger(cfg.Serial), element(tagGeneralizedTime, []byte(genTime(cfg.Time))),
	}
	accuracy, err := cfg.Accuracy.encode()
	if err != nil {
		return nil, err
	}
	fields = append(fields, accuracy)
	if cfg.Ordering {
		fields = append(fields, []byte{tagBoolean, 1, 0xff})
	}
	if cfg.Nonce != nil {
		fields = append(fields, bigInteger(cfg.Nonce))
	}
	if cfg.TSA != nil {
		fields = append(fields, element(tagContext|tagConstructed, cfg.TSA))
	}
	if len(cfg.Extensions) > 0 {
		fields = append(fields, element(tagContext|tagConstructed|1, cfg.Extensions...))
	}
	return element(tagSequence, fields...), nil
}

// genTime is DER: UTC, milliseconds without trailing zeros (RFC 3161, 2.4.2).
func genTime(t time.Time) string {
	return t.UTC().Truncate(time.Millisecond).Format("20060102150405.999") + "Z"
}

func (a Accuracy) encode() ([]byte, error) {
	if a == (Accuracy{}) {
		return nil, nil
	}
	if a.Seconds < 0 || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return nil, errors.New("accuracy is out of range")
	}
	var fields [][]byte
	if a.Seconds > 0 {
		fields = append(fields, integer(int64(a.Seconds)))
	}
	if a.Millis > 0 {
		fields = append(fields, retag(tagContext, integer(int64(a.Millis))))
	}
	if a.Micros > 0 {
		fields = append(fields, retag(tagContext|1, integer(int64(a.Micros))))
	}
	return element(tagSequence, fields...), nil
}

func retag(tag byte, e []byte) []byte {
	e[0] = tag
	return e
}

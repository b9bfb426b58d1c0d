package judge

import (
	"encoding/json"
	"fmt"

	"trustcore/verify/path"
)

// Indication is the status of what was validated (EN 319 102-1 5.1.3).
type Indication string

// The indications of a signature, then those of a time-stamp, an evidence record or a building block.
const (
	TotalPassed   Indication = "TOTAL-PASSED"
	TotalFailed   Indication = "TOTAL-FAILED"
	Indeterminate Indication = "INDETERMINATE"

	Passed Indication = "PASSED"
	Failed Indication = "FAILED"
)

// SubIndication is the reason of an indication that is not passed (EN 319 102-1, tables 5 and 6); "" for passed.
type SubIndication string

// The sub-indications of TOTAL-FAILED, then those of INDETERMINATE. This is the one list of them.
const (
	FormatFailure    SubIndication = "FORMAT_FAILURE"
	HashFailure      SubIndication = "HASH_FAILURE"
	SigCryptoFailure SubIndication = "SIG_CRYPTO_FAILURE"
	Revoked          SubIndication = "REVOKED"
	Expired          SubIndication = "EXPIRED"
	NotYetValid      SubIndication = "NOT_YET_VALID"

	SigConstraintsFailure     SubIndication = "SIG_CONSTRAINTS_FAILURE"
	ChainConstraintsFailure   SubIndication = "CHAIN_CONSTRAINTS_FAILURE"
	ChainGeneralFailure       SubIndication = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
	CryptoConstraints         SubIndication = "CRYPTO_CONSTRAINTS_FAILURE"
	CryptoConstraintsNoPOE    SubIndication = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
	TimestampOrderFailure     SubIndication = "TIMESTAMP_ORDER_FAILURE"
	NoSigningCertificateFound SubIndication = "NO_SIGNING_CERTIFICATE_FOUND"
	NoCertificateChainFound   SubIndication = "NO_CERTIFICATE_CHAIN_FOUND"
	NoCertificateChainNoPOE   SubIndication = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE"
	RevokedNoPOE              SubIndication = "REVOKED_NO_POE"
	RevokedCANoPOE            SubIndication = "REVOKED_CA_NO_POE"
	OutOfBoundsNoPOE          SubIndication = "OUT_OF_BOUNDS_NO_POE"
	OutOfBoundsNotRevoked     SubIndication = "OUT_OF_BOUNDS_NOT_REVOKED"
	RevocationOutOfBounds     SubIndication = "REVOCATION_OUT_OF_BOUNDS_NO_POE"
	TryLater                  SubIndication = "TRY_LATER"
	SignedDataNotFound        SubIndication = "SIGNED_DATA_NOT_FOUND"
	// Generic is any other reason (EN 319 102-1, table 6): the reasons say which.
	Generic SubIndication = "GENERIC"
)

// MarshalJSON writes null for none.
func (s SubIndication) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// Conclusion is what a validation came to. The reasons say, for experts, what led to it; none where it passed.
type Conclusion struct {
	Indication    Indication
	SubIndication SubIndication
	Reasons       []string
}

// passed begins every chain of checks.
func passed() Conclusion { return Conclusion{Indication: TotalPassed} }

// failed is TOTAL-FAILED.
func failed(sub SubIndication, format string, args ...any) Conclusion {
	return Conclusion{TotalFailed, sub, []string{fmt.Sprintf(format, args...)}}
}

// indeterminate is INDETERMINATE.
func indeterminate(sub SubIndication, format string, args ...any) Conclusion {
	return Conclusion{Indeterminate, sub, []string{fmt.Sprintf(format, args...)}}
}

func (c Conclusion) passed() bool { return c.Indication == TotalPassed }

// then asks the next check where all before it passed.
func (c Conclusion) then(next func() Conclusion) Conclusion {
	if c.passed() {
		return next()
	}
	return c
}

// Block is the indication in the words for what is no signature: PASSED, FAILED or INDETERMINATE.
func (c Conclusion) Block() Indication {
	switch c.Indication {
	case TotalPassed:
		return Passed
	case TotalFailed:
		return Failed
	}
	return c.Indication
}

// ofPath maps the reasons of RFC 5280 to the sub-indications of X.509 validation (EN 319 102-1 5.2.6.4).
var ofPath = map[path.Code]SubIndication{
	path.RevocationUnknown: TryLater, path.OnHold: TryLater,
	path.Revoked:      RevokedNoPOE,
	path.WeakEvidence: CryptoConstraintsNoPOE, path.WeakAlgorithm: CryptoConstraintsNoPOE, path.WeakKey: CryptoConstraintsNoPOE,
	path.Expired: OutOfBoundsNoPOE, path.NotYetValid: OutOfBoundsNoPOE,
	path.AnchorOutOfTime: NoCertificateChainNoPOE,
	path.NameMismatch:    ChainConstraintsFailure, path.PurposeMismatch: ChainConstraintsFailure,
	path.PolicyMismatch: ChainConstraintsFailure, path.NameNotPermitted: ChainConstraintsFailure,
	path.NameExcluded: ChainConstraintsFailure, path.PathTooLong: ChainConstraintsFailure,
	path.ProfileViolation: ChainConstraintsFailure,
	path.BadSignature:     NoCertificateChainFound, path.NoPath: NoCertificateChainFound, path.NoAnchor: NoCertificateChainFound,
}

// OfPath is the sub-indication of a reason for which a path is not valid; "" for path.OK.
func OfPath(r path.Reason) SubIndication {
	switch sub, listed := ofPath[r.Code]; {
	case r.Code == path.OK:
		return ""
	case r.Code == path.Revoked && r.Position > 0:
		return RevokedCANoPOE
	case listed:
		return sub
	}
	return ChainGeneralFailure
}

package revocation

import "errors"

var errMalformed = errors.New("malformed")

// Response is a parsed OCSPResponse.
type Response struct {
	Raw []byte
}

// ParseOCSP reads a DER OCSPResponse.
func ParseOCSP(der []byte) (*Response, error) { return nil, errMalformed }

// CheckOCSP judges by one OCSP response.
func CheckOCSP(q Question, r *Response) Result { return Result{} }

package pki

import "context"

// Stamps reports whether the authority has a time-stamping unit.
func (ca *CA) Stamps() bool { return ca.stamps != nil }

// Stamp answers a time-stamp request in DER (RFC 3161) as /tsa does; what is refused is an answer too. Only for an
// authority that Stamps.
func (ca *CA) Stamp(ctx context.Context, request []byte) []byte {
	return ca.stamps.Respond(ctx, request)
}

//go:build !linux

package tunnel

import (
	"context"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// ofHost has nothing to say on this system.
func ofHost(context.Context, office.Enrolment, string) []vpn.Finding { return nil }

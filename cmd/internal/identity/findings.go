package identity

import (
	"fmt"
	"time"

	"trustcore/cmd/internal/httpserver"
)

// lastDay is when a certificate that is not renewed is red.
const lastDay = 24 * time.Hour

// Findings tells of a daemon's certificate that nobody renews, and of a renewal that failed.
func (r *Renewal) Findings(daemon string) []httpserver.Finding {
	end, failed := r.State()
	f := httpserver.Finding{State: httpserver.Amber}
	if end.Sub(r.Now()) < lastDay {
		f.State = httpserver.Red
	}
	day := end.UTC().Format(time.DateOnly)
	switch {
	case end.IsZero():
		f.What = fmt.Sprintf("%s's own certificate can't be read: %v", daemon, failed)
		f.Remedy = "put it back, or make a new one: trustctl break-glass --daemon " + daemon
	case failed != nil:
		f.What = fmt.Sprintf("%s's own certificate, which ends %s, was not renewed: %v", daemon, day, failed)
		f.Remedy = "look whether trustd runs, is reached and can sign; it is tried again every five minutes"
	case r.Ask == nil:
		f.What, f.Remedy = daemon+"'s own certificate ends "+day+" and is not renewed by itself", "name trustd in the configuration"
	default:
		return nil
	}
	return []httpserver.Finding{f}
}

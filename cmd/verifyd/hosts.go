package main

import (
	"fmt"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/evidence"
)

// maxTold bounds the hosts that /health names.
const maxTold = 20

// hostFindings tells of hosts that give no evidence now: signatures that need it are TRY_LATER.
func hostFindings(g *evidence.Gatherer) (list []httpserver.Finding) {
	for _, h := range g.Hosts() {
		if len(list) == maxTold {
			break
		}
		list = append(list, httpserver.Finding{State: httpserver.Amber,
			What: fmt.Sprintf("%s gives no %s: %d failures in a row, the last: %s", h.Name, h.Use, h.Failures, h.Error),
			Remedy: fmt.Sprintf("it is asked again from %s; if it fails everywhere, look at the proxy and the network",
				h.Until.UTC().Format(time.RFC3339))})
	}
	return list
}

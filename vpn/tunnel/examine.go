package tunnel

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"trustcore/vpn"
	"trustcore/vpn/office"
)

// lookupTime is how long a name server may take to say where the hub is.
const lookupTime = 5 * time.Second

// Examine looks at what is between this office and the hub, and at what of the office's own may stand in the tunnel's
// way: the hub's name, the route to it, how long packets may be, addresses and routes that are the tunnel's too, a
// firewall that drops what it does not permit. It changes nothing and sends nothing but a question to a name server.
// The interface of the name is the tunnel's own. What can't be looked at without root is left out, and on other systems
// than Linux everything but the name.
func Examine(ctx context.Context, e office.Enrolment, ifname string) (all []vpn.Finding) {
	found := func(what, remedy string) { all = append(all, vpn.Finding{What: what, Remedy: remedy}) }
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	endpoint, err := resolve(ctx, e.Hub.Endpoint)
	if err != nil {
		found(err.Error(), "see that this computer has a name server that knows the name")
		return all
	}
	if slices.Contains(e.Reachable(), netip.PrefixFrom(endpoint.Addr(), endpoint.Addr().BitLen())) {
		found(fmt.Sprintf("the hub's endpoint %v lies inside its own tunnel", endpoint),
			"the name server answers with an address of the tunnel: have it answer with the data centre's public one")
	}
	path, err := pathMTU(endpoint)
	if err != nil {
		found(fmt.Sprintf("there is no way to the hub at %v: %v", endpoint, err),
			"see that this computer is connected, and has a default route")
	}
	if mtu := mtuTowards(endpoint); len(fit(mtu, e.Address)) < len(e.Address) {
		found(fmt.Sprintf("the way to the hub carries %d bytes a packet: IPv6 has no room in the tunnel", path),
			"IPv4 goes on; for IPv6 a connection is needed that carries 1,360 bytes")
	}
	return append(all, ofHost(ctx, e, ifname)...)
}

package tunnel

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"

	"trustcore/vpn"
	"trustcore/vpn/internal/device"
	"trustcore/vpn/office"
)

// ofHost looks at addresses, routes and the firewall of this computer.
func ofHost(ctx context.Context, e office.Enrolment, ifname string) (all []vpn.Finding) {
	host, err := device.LookAtHost()
	if err != nil {
		return []vpn.Finding{{What: "this computer's addresses and routes can't be read", Remedy: err.Error()}}
	}
	for _, claim := range host.Claims(ifname, append(e.Reachable(), e.Address...)) {
		all = append(all, vpn.Finding{What: claim + ", an address of the tunnel",
			Remedy: "take it away: packets go there and not into the tunnel"})
	}
	text, err := exec.CommandContext(ctx, "nft", "list", "chains").Output()
	if err != nil {
		return all // there is no nft, or we may not ask
	}
	for _, chain := range dropping(string(text)) {
		all = append(all, vpn.Finding{What: "a firewall drops what it does not permit: " + chain,
			Remedy: fmt.Sprintf("see that it permits UDP to %s and back, and traffic by %s", e.Hub.Endpoint, ifname)})
	}
	return all
}

// baseChain is one in nft's words, with hook and policy; its table stands before.
var baseChain = regexp.MustCompile(`(?m)^table (\S+ \S+) \{|` +
	`^\s+chain (\S+) \{\s+type filter hook (input|output) priority [^;]*; policy drop;`)

// dropping names the chains, of what nft lists, that drop what they do not permit of this computer's own packets.
func dropping(text string) (named []string) {
	table := ""
	for _, m := range baseChain.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			table = m[1]
			continue
		}
		named = append(named, fmt.Sprintf("table %s, chain %s", table, m[2]))
	}
	return named
}

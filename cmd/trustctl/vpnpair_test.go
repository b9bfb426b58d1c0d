package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/vpn"
)

// columns are what stands between those of a table.
var columns = regexp.MustCompile(` {2,}`)

// TestGateways: the table says of each gateway what it does and how it stands to the keys, and all is well only when of each pair the
// other one could carry the tunnels.
func TestGateways(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	active := vpn.PairStatus{Active: true, Ready: true, Other: "standby", OtherReady: true}
	deaf, alone, broken := active, active, active
	deaf.Other, deaf.OtherReady = "", false
	alone.OtherReady = false
	broken.Problem = "its clock is wrong"
	for name, c := range map[string]struct {
		gateway gatewayStatus
		well    bool
		says    string
	}{
		"alone":               {gatewayStatus{PublicKey: "AAAA=", Peers: 3, Up: 2}, true, "alone|1m0s ago|2 of 3|AAAA=|-|-"},
		"never reported":      {gatewayStatus{}, true, "alone|1m0s ago|0 of 0|-|-|-"},
		"lets nobody in":      {gatewayStatus{Problem: "no table"}, false, "gateway g lets nobody in: no table"},
		"active":              {gatewayStatus{Pair: &active}, true, "active|1m0s ago|0 of 0|-|standby|-"},
		"hears nobody":        {gatewayStatus{Pair: &deaf}, false, "active|1m0s ago|0 of 0|-|not heard|-"},
		"other is not ready":  {gatewayStatus{Pair: &alone}, false, "active|1m0s ago|0 of 0|-|standby, not ready|-"},
		"standby":             {gatewayStatus{Pair: &vpn.PairStatus{Ready: true, Other: "active"}}, true, "standby|1m0s ago|0 of 0|-|active|-"},
		"standby that is not": {gatewayStatus{Pair: &vpn.PairStatus{Other: "active"}}, true, "standby, not ready|"},
		"has a problem":       {gatewayStatus{Pair: &broken}, false, "gateway g: its clock is wrong"},
		"keys":                {gatewayStatus{Recipient: "r-1", Approved: true, Serial: 4}, true, "|number 4"},
		"keys of nobody's":    {gatewayStatus{Recipient: "r-1", Serial: 4}, true, "number 4, shared with nobody, its own key is r-1"},
		"wants keys":          {gatewayStatus{Recipient: "r-1", KeysFrom: "h"}, true, "wants those of h, its own key is r-1"},
	} {
		c.gateway.Name, c.gateway.HeardAt = "g", now.Add(-time.Minute)
		all := gateways{c.gateway}
		var out strings.Builder
		if err := all.write(&out, now); err != nil || !strings.Contains(columns.ReplaceAllString(out.String(), "|"), c.says) || all.well() != c.well {
			t.Errorf("%s: well %t, %v\n%s", name, all.well(), err, out.String())
		}
	}
	var out strings.Builder
	none := gateways{}
	if err := none.write(&out, now); err != nil || none.well() || !strings.Contains(out.String(), "no gateway was ever answered") {
		t.Errorf("%s, %v", out.String(), err)
	}
}

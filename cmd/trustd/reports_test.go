package main

import (
	"testing"

	"trustcore/cmd/internal/registry"
)

// TestKeyOfReports: verifyd uses the key of the order that the configuration names, over its renewals, and no other's;
// that order waits for no office, and its change order ends the use as any other's.
func TestKeyOfReports(t *testing.T) {
	o := newInside(t, func(c *Config) { c.Verifyd.Order = "ZU-1" })
	reports := activationOf("ZU-1", "", keysOnly, "verifyd", key("reports", ""), inYears(1))
	o.wantUse("verifyd", "00112233445566778899aabbccddeeff", "no authorisation")
	o.decide("ZU-1", reports)
	o.awaitState("ZU-1", registry.Active)
	o.on("ZU-2", activationOf("ZU-2", "", keysOnly, ezd, key("seal", ""), inYears(1)), "ezd-office")

	own, offices := o.uses("verifyd")["reports"], o.uses("ezd-office")["seal"]
	if own.Order != "ZU-1" || len(own.Chain) == 0 || len(o.uses("verifyd")) != 1 {
		t.Fatalf("verifyd's keys: %+v", o.uses("verifyd"))
	}
	o.wantUse("verifyd", own.ID, "")
	o.wantUse("verifyd", offices.ID, "no authorisation")
	o.wantUse("ezd-office", own.ID, "no authorisation")

	o.decide("ZU-3", activationOf("ZU-3", "renews: ZU-1\n", keysOnly, "verifyd", key("reports", ""), inYears(2)))
	o.awaitState("ZU-3", registry.Active)
	o.wantUse("verifyd", own.ID, "")
	o.off("ZZ-1", "components: [B_HSM]\napplication: verifyd\n")
	o.wantUse("verifyd", own.ID, "withdrawn")
	o.wantUse("ezd-office", offices.ID, "")
}

// TestNoKeyOfReports: without a word in the configuration verifyd uses nobody's key, whatever an order calls its
// application.
func TestNoKeyOfReports(t *testing.T) {
	o := newInside(t, nil)
	o.on("ZU-1", activationOf("ZU-1", "", keysOnly, "verifyd", key("reports", ""), inYears(1)), "office")
	if keys := o.uses("verifyd"); len(keys) != 0 {
		t.Errorf("verifyd's keys: %+v", keys)
	}
	o.wantUse("verifyd", o.uses("office")["reports"].ID, "no authorisation")
}

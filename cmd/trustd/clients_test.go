package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/pki"
)

// clientList is whose certificates count, as verifyd hears it.
func (w *world) clientList() (list rights.Clients) {
	w.t.Helper()
	w.must(json.Unmarshal(w.ask(w.client("verifyd"), "GET", w.url("admin")+"/v1/clients?have=", nil).body, &list))
	return list
}

// TestEveryClientIsListed has more certificates count than one answer of the inventory holds: verifyd would refuse those beyond.
func TestEveryClientIsListed(t *testing.T) {
	o := newInside(t, nil)
	before := len(o.clientList().Clients)
	text := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO pki_certificate (issuer, serial, profile, partner, common_name, names, order_id, actor_kind, actor_id, not_before,
			not_after, created, public_key, fingerprint, der, renews, cut)
		SELECT 'another', printf('%%x', i), 'partner-client', 'um-' || i, 'um-' || i, '', '', 'officer', 'officer-1', 0, %d, 0, 'k' || i,
			'f' || i, x'00', '', '' FROM n`, maxListed+1, time.Now().AddDate(1, 0, 0).Unix())
	_, err := o.custody.DB.ExecContext(t.Context(), text)
	o.must(err)
	if _, err := o.ca.Suspend(t.Context(), audit.Actor{Kind: "officer", ID: "officer-1"}, pki.Selector{Serial: o.serial("ezd")}, ""); err != nil {
		t.Fatal(err)
	}
	if now := len(o.clientList().Clients); now != before+maxListed+1-1 {
		t.Errorf("%d certificates count, want %d", now, before+maxListed)
	}
	var page marked
	o.as("officer-1", "GET", "/v1/certificates?profile=partner-client", nil, 200, &page)
	if len(page.Certificates) != maxListed || !page.More {
		t.Errorf("%d are listed, more: %v", len(page.Certificates), page.More)
	}
	o.as("officer-1", "GET", "/v1/certificates?key=k7", nil, 200, &page)
	if len(page.Certificates) != 1 || page.Certificates[0].Key != "k7" {
		t.Errorf("of one key: %+v", page)
	}
}

// TestMetricsOfWhatExpires holds the figures of alarms against what is known to end.
func TestMetricsOfWhatExpires(t *testing.T) {
	o := newInside(t, nil)
	response, err := http.Get(o.url("operations") + "/metrics")
	o.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	o.must(err)
	for _, line := range []string{
		`trustcore_expires_seconds{kind="root",renewed="by people"} [0-9.e+]+`, `trustcore_expires_seconds{kind="crl",renewed="by itself"} [0-9.e+]+`,
		`trustcore_expires_seconds{kind="officer",renewed="by people"} [0-9.e+]+`, `trustcore_expires_announced{kind="officer"} 0`,
		`trustcore_expires_seconds{kind="daemon-client",renewed="by itself"} [0-9.e+]+`,
		`trustcore_identity_expires_seconds 7\.7[0-9.]+e\+06`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).Match(text) {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(string(text), "um-przykladowo") {
		t.Error("a partner's name is a label")
	}
}

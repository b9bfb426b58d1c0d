package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/keyuse"
	"trustcore/internal/audit"
)

// TestWhoUsedAKey: by its id and by its name, on a day of the officers, with who, how often, under which order, and a file
// that proves it without the log.
func TestWhoUsedAKey(t *testing.T) {
	d := open(t)
	id := strings.Repeat("5c", 16)
	use := func(at time.Time, who, outcome, reason string, details map[string]string) {
		t.Helper()
		_, err := d.audit.Append(t.Context(), audit.Entry{Time: at, Actor: audit.Actor{Kind: "application", ID: who}, Action: "hsm.sign", Subject: id,
			Partner: "um-przykladowo", Order: "ZU-2026-001", Outcome: outcome, Reason: reason, Details: details})
		d.must(err)
	}
	_, err := d.audit.Append(t.Context(), audit.Entry{Time: d.clock(), Actor: one, Action: "hsm.key.generate", Subject: id, Partner: "um-przykladowo",
		Outcome: audit.Granted, Details: map[string]string{"label": "seal"}})
	d.must(err)
	march := time.Date(2026, 3, 2, 23, 30, 0, 0, time.UTC) // half past midnight of 3 March in Warsaw
	use(march, "ezd", audit.Granted, "", map[string]string{"mechanism": "ECDSA-SHA256", "digest": strings.Repeat("ab", 32)})
	use(march.Add(time.Hour), "kadry", audit.Refused, "not named", nil)
	use(march.Add(24*time.Hour), "ezd", audit.Granted, "", nil) // the day after
	b := d.login(two)
	d.recorded("hsm.sign", 3)
	for _, key := range []string{id, "um-przykladowo/seal"} {
		text := b.at("/uses?key=" + key + "&from=2026-03-03&to=2026-03-03")
		d.wants(text, "application:ezd: once (1)", `href="order?id=ZU-2026-001"`, "ECDSA-SHA256", "abababababab…", "not named", "2 uses and refusals", "uses-proof?key=")
		d.lacks(text, "2026-03-04 ")
	}
	d.wants(b.at("/uses?key="+id+"&from=2026-03-05"), "Nobody used this key")
	status, file, header := b.get("/uses-proof?key=" + id + "&from=2026-03-03&to=2026-03-03")
	if status != http.StatusOK || !strings.Contains(header.Get("Content-Disposition"), "uses.json") {
		t.Errorf("status %d, %v", status, header)
	}
	var a keyuse.Answer
	d.must(json.Unmarshal([]byte(file), &a))
	if len(a.Uses) != 2 || len(a.Proofs) != 2 || a.Check() != nil {
		t.Errorf("%+v, %v", a, a.Check())
	}
	for _, p := range a.Proofs {
		if err := audit.VerifyProof(p, d.audit.PublicKey()); err != nil {
			t.Error(err)
		}
	}
	b.post("/preferences", "language", "pl")
	for path, want := range map[string]string{"/uses?key=nonsense": "Nie ma w dzienniku takiego klucza", "/uses?key=um/none": "Nie ma w dzienniku takiego klucza",
		"/uses?key=" + id + "&from=3.03.2026": "nie jest datą", "/uses-proof?key=nonsense": "Nie ma w dzienniku", "/uses-proof?key=" + id + "&to=x": "nie jest datą"} {
		status, text, _ := b.get(path)
		if status != http.StatusUnprocessableEntity {
			t.Errorf("%s: status %d", path, status)
		}
		d.wants(text, want)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/cmd/internal/keyuse"
	"trustcore/internal/audit"
	"trustcore/internal/store"
)

const (
	sealKey = "00112233445566778899aabbccddeeff"
	nextKey = "ffeeddccbbaa99887766554433221100"
)

// usesState is a state whose log has uses of two versions of a key of um, and one of another office's.
func usesState(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cfg := custody.Config{StateDir: filepath.Join(dir, "trustd")}
	db, err := store.Open(t.Context(), cfg.DatabaseURL())
	if err != nil {
		t.Fatal(err)
	}
	log := cfg.AuditLog()
	log.DB = db
	l, err := audit.Open(t.Context(), log)
	if err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	add := func(at time.Time, who, action, key, partner, outcome string, details ...string) {
		t.Helper()
		d := map[string]string{}
		for i := 0; i < len(details); i += 2 {
			d[details[i]] = details[i+1]
		}
		_, err := l.Append(t.Context(), audit.Entry{Time: at, Actor: audit.Actor{Kind: "application", ID: who}, Action: action, Subject: key,
			Partner: partner, Order: "ZU-1", Outcome: outcome, Details: d})
		if err != nil {
			t.Fatal(err)
		}
	}
	add(noon.AddDate(0, -1, 0), "x", "hsm.key.generate", sealKey, "um", audit.Granted, "label", "seal", "version", "1")        // 0
	add(noon.AddDate(0, 0, -1), "ezd", "hsm.sign", sealKey, "um", audit.Granted, "version", "1", "digest", "aa")               // 1, the day before
	add(noon, "ezd", "hsm.sign", sealKey, "um", audit.Granted, "version", "1", "digest", "bb", "mechanism", "ECDSA-SHA256")    // 2
	add(noon.Add(time.Second), "ezd", "hsm.sign", sealKey, "um", audit.Granted, "version", "1", "digest", "cc")                // 3, failed
	add(noon.Add(2*time.Second), "ezd", "hsm.sign", sealKey, "um", audit.Failed, "granted", "3")                               // 4
	add(noon.Add(3*time.Second), "kadry", "hsm.sign", sealKey, "um", audit.Refused)                                            // 5
	add(noon.Add(time.Hour), "x", "hsm.key.generate", nextKey, "um", audit.Granted, "label", "seal", "version", "2")           // 6
	add(noon.Add(2*time.Hour), "ezd", "hsm.decrypt", nextKey, "um", audit.Granted, "version", "2", "ciphertext", "dd")         // 7
	add(noon, "ezd", "hsm.sign", "99999999999999999999999999999999", "gm", audit.Granted)                                      // 8
	add(noon.Add(12*time.Hour-time.Second), "ezd", "hsm.sign", sealKey, "um", audit.Granted, "version", "1", "digest", "ee")   // 9, failed after midnight
	add(noon.Add(12*time.Hour+time.Second), "ezd", "hsm.sign", sealKey, "um", audit.Failed, "granted", "9")                    // 10
	add(noon.Add(12*time.Hour+2*time.Second), "ezd", "hsm.sign", sealKey, "um", audit.Granted, "version", "1", "digest", "ff") // 11, the day after
	if err := errors.Join(l.Close(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Who used a key is told with what came of it, over all of its versions, and proven without the log.
func TestAuditWho(t *testing.T) {
	dir := usesState(t)
	who := func(args ...string) whoAnswer {
		t.Helper()
		out, err := say(t, append([]string{"audit", "who", "--json", "--state", dir}, args...)...)
		var a whoAnswer
		if err := errors.Join(err, json.Unmarshal([]byte(out), &a)); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return a
	}
	outcomes := func(a whoAnswer) (said string) {
		for _, u := range a.Uses {
			said += u.Digest + ":" + u.Outcome + " "
		}
		return said
	}
	if said := outcomes(who("--key", sealKey, "--on", "2026-03-03")); said != "bb:used cc:failed :refused ee:failed " {
		t.Errorf("by its ID: %q", said)
	}
	if said := outcomes(who("--key", "um/seal", "--on", "2026-03-03")); said != "bb:used cc:failed :refused dd:used ee:failed " {
		t.Errorf("all versions: %q", said)
	}
	if said := outcomes(who("--key", sealKey, "--from", "2026-03-02", "--to", "2026-03-02")); said != "aa:used " {
		t.Errorf("the day before: %q", said)
	}
	out, err := say(t, "audit", "who", "--state", dir, "--key", "um/seal", "--on", "2026-03-03")
	if err != nil || !strings.Contains(out, "application ezd used it 2 times") && !strings.Contains(out, "ezd used it 2 times") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, args := range []string{"--on 2026-03-03", "--key x --on 2026-03-03", "--key um/other", "--key " + sealKey + " --on 2026-03-03 --to 2026",
		"--key " + sealKey + " --on 3.03.2026"} {
		if out, err := say(t, strings.Fields("audit who --state "+dir+" "+args)...); err == nil {
			t.Errorf("%s: taken: %s", args, out)
		}
	}
}

// The proofs of uses are checked with the checkpoints' key alone; what tells another thing than its proof, or leaves a proof
// out, is refused.
func TestAuditWhoProves(t *testing.T) {
	dir := usesState(t)
	file, key := filepath.Join(t.TempDir(), "uses.json"), filepath.Join(dir, "trustd", "audit", "checkpoint.pub")
	if out, err := say(t, "audit", "who", "--state", dir, "--key", "um/seal", "--on", "2026-03-03", "--proof", file); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check := func(file string) (string, error) { return say(t, "audit", "check", file, "--key", key) }
	if out, err := check(file); err != nil || strings.Count(out, "stands in the log") != 5 {
		t.Errorf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a whoAnswer
	for what, change := range map[string]func(){
		"another application is told":  func() { a.Uses[0].Who = "application kadry" },
		"a use that is not in the log": func() { a.Uses = append(a.Uses, a.Uses[0]) },
		"a refusal told as a use":      func() { a.Uses[2].Outcome = keyuse.Used },
		"another proof":                func() { a.Proofs[0] = a.Proofs[1] },
		"a changed entry": func() {
			a.Proofs[0].Entry, a.Uses[0].Digest = json.RawMessage(strings.Replace(string(a.Proofs[0].Entry), `"bb"`, `"bc"`, 1)), "bc"
		},
	} {
		a = whoAnswer{}
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatal(err)
		}
		change()
		forged := filepath.Join(t.TempDir(), "forged.json")
		out, err := json.Marshal(a)
		if err := errors.Join(err, os.WriteFile(forged, out, 0o600)); err != nil {
			t.Fatal(err)
		}
		if out, err := check(forged); err == nil {
			t.Errorf("%s: taken\n%s", what, out)
		}
	}
	if _, err := say(t, "audit", "who", "--state", dir, "--key", "um/seal", "--proof", file); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("written over: %v", err)
	}
}

// The report of a month sums by key and user.
func TestAuditUsage(t *testing.T) {
	dir := usesState(t)
	out, err := say(t, "audit", "usage", "--state", dir, "--partner", "um", "--in", "2026-03", "--json")
	var u usage
	if err := errors.Join(err, json.Unmarshal([]byte(out), &u)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	type sums struct{ signatures, decrypted, refused, failed, days int }
	want := map[string]sums{sealKey + " ezd": {3, 0, 0, 2, 3}, sealKey + " kadry": {0, 0, 1, 0, 0}, nextKey + " ezd": {0, 1, 0, 0, 1}}
	if len(u.Rows) != len(want) || !strings.Contains(u.Log, "\n12\n") {
		t.Errorf("%d rows of the checkpoint %q", len(u.Rows), u.Log)
	}
	for _, r := range u.Rows {
		who := r.Who[strings.LastIndexAny(r.Who, " :/")+1:]
		if got := (sums{r.Signatures, r.Decrypted, r.Refused, r.Failed, r.Days}); got != want[r.Key+" "+who] || r.Name != "seal" || r.Partner != "um" {
			t.Errorf("%+v; want %+v", r, want[r.Key+" "+who])
		}
	}
	if out, err := say(t, "audit", "usage", "--state", dir, "--in", "2026-04"); err != nil || strings.Contains(out, "seal") {
		t.Errorf("another month: %v\n%s", err, out)
	}
	if _, err := say(t, "audit", "usage", "--state", dir, "--in", "March"); err == nil || !strings.Contains(err.Error(), "--in: ") {
		t.Errorf("%v", err)
	}
}

// What prove prints is what check takes.
func TestAuditProveAndCheck(t *testing.T) {
	dir := usesState(t)
	file := filepath.Join(t.TempDir(), "proof.json")
	out, err := say(t, "audit", "prove", "7", "--state", dir)
	if err := errors.Join(err, os.WriteFile(file, []byte(out), 0o600)); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "trustd", "audit", "checkpoint.pub")
	if out, err := say(t, "audit", "check", file, "--key", key); err != nil || !strings.Contains(out, "entry 7 stands in the log") {
		t.Errorf("%v\n%s", err, out)
	}
	forged := strings.Replace(out, `"dd"`, `"de"`, 1)
	if err := os.WriteFile(file, []byte(forged), 0o600); err != nil || forged == out {
		t.Fatal(err)
	}
	if _, err := say(t, "audit", "check", file, "--key", key); err == nil {
		t.Error("a changed entry is taken")
	}
}

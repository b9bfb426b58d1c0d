package verify_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/verify"
	"trustcore/verify/scan"
	"trustcore/verify/scan/scantest"
	"trustcore/verify/signature"
	"trustcore/verify/trustlist"
)

// TestScanned: what the scanner says stands beside the verdict, and where it must look nothing is judged without it.
func TestScanned(t *testing.T) {
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(socket string, must bool) *verify.Verifier {
		t.Helper()
		s, err := scan.New(socket, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify.New(verify.Config{Lists: func() *trustlist.Snapshot { return lists }, Policy: verify.DefaultPolicy(), Now: time.Now,
			Scanner: s, MustScan: must})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	clamd, none := scantest.Clamd(t), filepath.Join(t.TempDir(), "none")
	clean := verify.Request{Document: []byte("<a/>")}
	infected := verify.Request{Document: []byte("<a>" + scantest.Harmful + "</a>")}
	beside := verify.Request{Document: []byte("<a/>"), Detached: []signature.Detached{{Name: "b", Content: []byte(scantest.Harmful)}}}
	large := verify.Request{Document: []byte("<a>" + strings.Repeat(" ", 3<<20) + "</a>")}
	for name, c := range map[string]struct {
		v     *verify.Verifier
		r     verify.Request
		state scan.State
		fails error
	}{
		"clean": {with(clamd, true), clean, scan.Clean, nil}, "infected": {with(clamd, true), infected, scan.Infected, nil},
		"infected beside": {with(clamd, false), beside, scan.Infected, nil},
		"too large":       {with(clamd, false), large, scan.TooLarge, nil}, "too large to go on": {with(clamd, true), large, "", verify.ErrTooLargeToScan},
		"away": {with(none, false), clean, scan.Away, nil}, "away, and needed": {with(none, true), clean, "", verify.ErrNotScanned},
	} {
		r, err := c.v.Verify(t.Context(), c.r)
		if !errors.Is(err, c.fails) || (r == nil) != (c.fails != nil) {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		if r == nil {
			continue
		}
		if r.Scan == nil || r.Scan.State != c.state || strings.Contains(r.Scan.Sentence["pl"], "[") {
			t.Errorf("%s: %+v", name, r.Scan)
		}
		if told := strings.Contains(r.Scan.Notice["pl"], scantest.Threat); told != (c.state == scan.Infected) {
			t.Errorf("%s: %+v", name, r.Scan)
		}
	}
}

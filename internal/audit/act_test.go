package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
)

// TestActIsWrittenBeforeAndItsFailureAfter looks into the log while the act is done, and after one that failed and whose caller went away.
func TestActIsWrittenBeforeAndItsFailureAfter(t *testing.T) {
	dir := audittest.Dir(t)
	log := open(t, dir)
	outcomes := func() (all []string) {
		found, err := reader(t, dir).List(t.Context(), audit.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			all = append(all, strings.TrimSpace(e.Outcome+" "+e.Reason))
		}
		return all
	}
	want := func(when, text string) {
		t.Helper()
		if got := strings.Join(outcomes(), ", "); got != text {
			t.Errorf("%s the log has %q, want %q", when, got, text)
		}
	}
	entry := audit.Entry{Actor: audit.Actor{Kind: "officer", ID: "officer-1"}, Action: "key.destroy", Subject: "k"}
	if err := log.Act(t.Context(), entry, time.Now, func() error { want("before", "granted"); return nil }); err != nil {
		t.Fatal(err)
	}
	want("after", "granted")
	gone, leave := context.WithCancel(t.Context())
	broken := errors.New("the token is away")
	if err := log.Act(gone, entry, time.Now, func() error { leave(); return broken }); !errors.Is(err, broken) {
		t.Errorf("the failure became %v", err)
	}
	want("after a failure", "granted, granted, failed the token is away")
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := log.Act(t.Context(), entry, time.Now, func() error { t.Error("done without an entry"); return nil }); err == nil {
		t.Error("a log that is closed takes an entry")
	}
}

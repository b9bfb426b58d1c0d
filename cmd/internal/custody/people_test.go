package custody_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/pki/ceremony"
	"trustcore/pki/ceremony/ceremonytest"
)

func want(t *testing.T, what string, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: want %q, got %v", what, text, err)
	}
}

// TestOfflineRootOfPeopleWithKeys has the people of a root sign for what it answers, and those of a site for what it takes: those whom a
// request names do not speak for the root, and one agreement serves once.
func TestOfflineRootOfPeopleWithKeys(t *testing.T) {
	root, c := open(t, new(atomic.Int64)), open(t, new(atomic.Int64))
	text, people := ceremonytest.Keyed(t, ceremonytest.RootPlan(url), 2, nil)
	plan := parsed(t, text)
	messages, err := root.OpenCeremony(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := root.OpenCeremony(t.Context(), plan); err != nil || !bytes.Equal(again[0].Text, messages[0].Text) {
		t.Errorf("opened again it is another ceremony: %v", err)
	}
	agreed := people.Sign(t, messages, "officer-1", "officer-3")
	_, err = c.PerformRoot(t.Context(), plan, "root", agreed...)
	want(t, "what was agreed to on another machine", err, "no ceremony is open here")
	_, err = root.PerformRoot(t.Context(), plan, "root", agreed[0])
	want(t, "one person", err, "1 of the plan's people signed")
	if _, err := root.PerformRoot(t.Context(), plan, "root", agreed...); err != nil {
		t.Fatal(err)
	}
	site, own := ceremonytest.Keyed(t, belowPlan(), 2, nil)
	request, err := c.Ask(t.Context(), parsed(t, site), site, "")
	if err != nil {
		t.Fatal(err)
	}
	digest := ceremony.Digest(request)
	grant := func(names []string, signatures ...ceremony.Signature) ([]byte, error) {
		return root.Grant(t.Context(), request, digest, names, signatures...)
	}
	_, err = grant(nil)
	want(t, "before the people signed the root's transcript", err, "agreed and did not sign")
	cfg := custody.Config{StateDir: stateOf(t, root)}
	record, err := custody.ToSign(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	if absent, err := custody.SignTranscript(cfg, 1, people.Sign(t, record, "officer-1", "officer-3")); err != nil || len(absent) > 0 {
		t.Fatal(absent, err)
	}
	_, err = grant(two)
	want(t, "by names", err, "the people have keys, and sign")
	messages, err = root.ActMessages(custody.GrantAct, request)
	if err != nil {
		t.Fatal(err)
	}
	_, err = grant(nil, own.Sign(t, messages, "officer-1", "officer-3")...)
	want(t, "by people whom the request names", err, "not by their key")
	_, err = grant(nil, people.Sign(t, messages, "officer-1")...)
	want(t, "by one person", err, "1 of the plan's people signed")
	other, err := root.ActMessages(custody.GrantAct, append(bytes.Clone(request), ' '))
	if err != nil {
		t.Fatal(err)
	}
	_, err = grant(nil, people.Sign(t, other, "officer-1", "officer-3")...)
	want(t, "signed for another file", err, "not by their key")
	answer, err := grant(nil, people.Sign(t, messages, "officer-3", "officer-1")...)
	if err != nil {
		t.Fatal(err)
	}
	take := func(names []string, signatures ...ceremony.Signature) error {
		_, _, err := c.Import(t.Context(), answer, ceremony.Digest(answer), names, signatures...)
		return err
	}
	want(t, "an answer by names", take(two), "the people have keys, and sign")
	until := time.Now().AddDate(0, 0, 90).UTC().Truncate(24 * time.Hour)
	_, err = root.NextRootList(t.Context(), until, nil, 0)
	want(t, "a list by nobody", err, "0 of the plan's people signed")
	if messages, err = root.ListMessages(until, nil, 0); err != nil {
		t.Fatal(err)
	}
	listed := people.Sign(t, messages, "officer-1", "officer-3")
	_, err = root.NextRootList(t.Context(), until.AddDate(0, 0, 1), nil, 0, listed...)
	want(t, "a list for longer", err, "not by their key")
	if _, err := root.NextRootList(t.Context(), until, nil, 0, listed...); err != nil {
		t.Error(err)
	}
	_, err = root.NextRootList(t.Context(), until, nil, 0, listed...)
	want(t, "the list after by the same signatures", err, "not by their key")
	if messages, err = c.ActMessages(custody.ImportAct, answer); err != nil {
		t.Fatal(err)
	}
	want(t, "an answer by the root's people", take(nil, people.Sign(t, messages, "officer-1", "officer-3")...), "not by their key")
	if err := take(nil, own.Sign(t, messages, "officer-1", "officer-2")...); err != nil {
		t.Fatal(err)
	}
}

// TestAgreementServesOnce has a ceremony fail after people agreed, and their agreement tried again, and a transcript taken away.
func TestAgreementServesOnce(t *testing.T) {
	c := open(t, new(atomic.Int64))
	text, people := ceremonytest.Keyed(t, ceremony.Default(url), 2, nil)
	plan := parsed(t, text)
	messages, err := c.OpenCeremony(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	agreed := people.Sign(t, messages, "officer-1", "officer-2")
	session := filepath.Join(stateOf(t, c), "pki", "opening.json")
	opening, err := os.ReadFile(session)
	if err != nil {
		t.Fatal(err)
	}
	moved := bytes.Replace(opening, []byte(`"hsm_serial": "`), []byte(`"hsm_serial": "0`), 1)
	if err := os.WriteFile(session, moved, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = c.Perform(t.Context(), plan, agreed...)
	want(t, "another HSM than people agreed to", err, "HSM or program are not those that people agreed to")
	if err := os.WriteFile(session, opening, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Perform(t.Context(), plan, agreed...); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(session); err == nil {
		t.Error("the agreement is there after it served")
	}
	next := parsed(t, ceremony.DefaultSuccession(url, 2))
	transcript := filepath.Join(stateOf(t, c), "pki", custody.TranscriptFile(1))
	if err := os.Remove(transcript); err != nil {
		t.Fatal(err)
	}
	_, err = c.Succeed(t.Context(), next)
	want(t, "a succession where the transcript was taken away", err, "restore its transcript")
}

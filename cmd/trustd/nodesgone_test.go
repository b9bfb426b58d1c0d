package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/internal/audit"
	"trustcore/internal/audit/audittest"
	"trustcore/internal/lease"
)

// TestNodesThatAreGone: a node that does not live any more is a finding after a while, and is removed by an officer alone when it is
// gone: the log says who did it, and how the node's own log ended.
func TestNodesThatAreGone(t *testing.T) {
	url, _ := databaseFile(t)
	db := openDatabase(t, url)
	open := func(node string) *lease.Leases {
		t.Helper()
		l, err := lease.Open(t.Context(), lease.Config{DB: db, Node: node})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	lost, err := audit.Open(t.Context(), audit.Config{Dir: audittest.Dir(t), Origin: "trustcore/audit/b", DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lost.Append(t.Context(), audit.Entry{Time: time.Now(), Actor: officerOne, Action: "order.approve", Subject: "ZU-1", Outcome: audit.Granted}); err != nil {
		t.Fatal(err)
	}
	if err := lost.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	folder := audittest.Dir(t)
	log, err := audit.Open(t.Context(), audit.Config{Dir: folder})
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{cfg: Defaults(), custody: &custody.Custody{DB: db, Audit: log, Leases: open("a")}}
	gone := open("b")
	if err := gone.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	now := time.Now()
	if found := d.nodeFindings(t.Context(), now); len(found) != 0 {
		t.Errorf("at once: %+v", found)
	}
	found := d.nodeFindings(t.Context(), now.Add(nodeGrace+time.Second))
	if len(found) != 1 || !strings.HasPrefix(found[0].What, `node "b" has not lived since 20`) || !strings.HasSuffix(found[0].Remedy, `trustctl node remove "b"`) {
		t.Errorf("after a while: %+v", found)
	}
	remove := func(name string) error {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/nodes/remove", strings.NewReader(`{"name":"`+name+`"}`))
		_, err := d.removeNode(r, officerOne)
		return err
	}
	for name, why := range map[string]string{"a": "the node lives", "c": "knows no such node"} {
		if err := remove(name); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s removed: %v", name, err)
		}
	}
	if err := remove("b"); err != nil {
		t.Fatal(err)
	}
	if found := d.nodeFindings(t.Context(), now.Add(nodeGrace+time.Second)); len(found) != 0 {
		t.Errorf("removed: %+v", found)
	}
	if err := log.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader, err := audit.OpenReader(folder)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := reader.List(t.Context(), audit.Filter{})
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v: %+v", err, entries)
	}
	e := entries[0].Entry
	if e.Action != "node.remove" || e.Subject != "b" || e.Actor != officerOne || e.Details["log"] != "trustcore/audit/b" || e.Details["entries"] != "1" ||
		e.Details["root"] == "" {
		t.Errorf("%+v", e)
	}
}

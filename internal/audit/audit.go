// Package audit keeps the record of who did what under which authorisation: a journal, where an entry is durable, and
// behind it an append-only Merkle tree (tiles and checkpoints of C2SP tlog-tiles on the local file system, by
// transparency-dev/tessera), which takes the entries over within a second. An entry has one index in both.
//
// Whoever performs an irreversible act appends the entry before the act; if Append fails, the act must
// not happen. Checkpoints are signed, so a changed or removed entry is found by Verify, and Prove gives
// an auditor an entry with the proof that it stands in the log. The database remembers the newest checkpoint, so that a
// log that was taken back as a whole is found too.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"trustcore/internal/audit/journal"
)

// Actor is who performs an act.
type Actor struct {
	Kind string `json:"kind"` // "officer", "auditor", "partner", "application", "daemon" or "host": an account of the machine itself
	ID   string `json:"id"`
}

// String returns kind and identity, such as "officer:officer-1".
func (a Actor) String() string { return a.Kind + ":" + a.ID }

// Entry is one act. Details hold public facts only: digests, serial numbers, mechanisms; never a
// secret, never a document's content.
type Entry struct {
	Time    time.Time         `json:"time"`              // when the act was asked for, UTC
	Actor   Actor             `json:"actor"`             //
	Action  string            `json:"action"`            // such as "hsm.sign", "order.approve", "certificate.revoke"
	Subject string            `json:"subject"`           // what is acted on: key id, order id, serial number
	Partner string            `json:"partner,omitempty"` // whose it is
	Order   string            `json:"order,omitempty"`   // the authorisation: id of the order
	Outcome string            `json:"outcome"`           // "granted", "refused" or "failed"
	Reason  string            `json:"reason,omitempty"`  // why it was refused, or came to nothing
	Details map[string]string `json:"details,omitempty"`
}

// Outcomes of an act.
const (
	Granted = "granted" // may happen, and happens unless a Failed entry follows
	Refused = "refused" // did not happen: who asked had no right to it
	Failed  = "failed"  // was granted before and came to nothing
)

// Receipt says where an entry stands.
type Receipt struct {
	Index uint64 // position in the log, from 0
}

// maxEntry is in bytes of JSON: an entry is facts, not content.
const maxEntry = 32 << 10

// MaxGroup is how many entries AppendAll takes at once.
const MaxGroup = 256

// maxRequest is in bytes of JSON of all entries of one call.
const maxRequest = journal.MaxGroup / 2

// Append writes the entry and returns when it is durable; it waits no longer than ctx allows, and 15 s at most. An
// error means that the act must not happen. After one that says so it is not known whether the entry was recorded.
func (l *Log) Append(ctx context.Context, e Entry) (Receipt, error) {
	return l.AppendAll(ctx, []Entry{e})
}

// AppendAll is Append for up to MaxGroup entries, which become durable together and stand one after the other: the
// receipt is the first one's.
func (l *Log) AppendAll(ctx context.Context, entries []Entry) (Receipt, error) {
	if len(entries) == 0 || len(entries) > MaxGroup {
		return Receipt{}, fmt.Errorf("audit entries: %d at once, 1 to %d are taken", len(entries), MaxGroup)
	}
	r := &request{ctx: ctx, payloads: make([][]byte, len(entries)), done: make(chan committed, 1)}
	for i, e := range entries {
		data, err := e.encode()
		if err != nil {
			return Receipt{}, fmt.Errorf("audit entry: %w", err)
		}
		r.payloads[i], r.size = data, r.size+len(data)
		if e.Time.After(r.newest) {
			r.newest = e.Time
		}
	}
	if r.size > maxRequest {
		return Receipt{}, fmt.Errorf("audit entries: %d bytes at once, at most %d are taken", r.size, maxRequest)
	}
	index, err := l.commit(r)
	if err != nil {
		return Receipt{}, fmt.Errorf("audit entry: %w", err)
	}
	return Receipt{Index: index}, nil
}

// encode is the entry as the log keeps it.
func (e Entry) encode() ([]byte, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	e.Time = e.Time.UTC()
	data, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(data) > maxEntry {
		return nil, fmt.Errorf("%d bytes, at most %d are taken", len(data), maxEntry)
	}
	return data, nil
}

func (e Entry) check() error {
	switch {
	case e.Time.IsZero():
		return errors.New("its time is missing")
	case e.Actor.Kind == "" || e.Actor.ID == "":
		return errors.New("its actor is missing")
	case e.Action == "":
		return errors.New("its action is missing")
	case e.Outcome != Granted && e.Outcome != Refused && e.Outcome != Failed:
		return fmt.Errorf("its outcome %q is none of %q, %q and %q", e.Outcome, Granted, Refused, Failed)
	}
	return nil
}

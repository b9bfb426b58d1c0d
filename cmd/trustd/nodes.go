package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/internal/audit"
	"trustcore/internal/lease"
	"trustcore/internal/problem"
)

// nodeGrace is how long a node may be away before people hear of it: a restart or an upgrade takes less.
const nodeGrace = 5 * time.Minute

// listNodes are the nodes over this database; one that is alone over its own has none.
func (d *daemon) listNodes(r *http.Request, _ audit.Actor) (any, error) {
	nodes, err := d.custody.Leases.Nodes(r.Context())
	if nodes == nil {
		nodes = []lease.Node{}
	}
	return nodes, err
}

// removeNode forgets a node that is gone for good. Its audit log ended with it: what the database knows of that end becomes an
// entry of this node's log.
func (d *daemon) removeNode(r *http.Request, who audit.Actor) (any, error) {
	var in struct {
		Name string `json:"name"`
	}
	if err := httpserver.Decode(r, &in); err != nil {
		return nil, err
	}
	nodes, err := d.custody.Leases.Nodes(r.Context())
	if err != nil {
		return nil, err
	}
	if err := removable(nodes, in.Name); err != nil {
		return nil, refusedNode(err)
	}
	entry := audit.Entry{Actor: who, Action: "node.remove", Subject: in.Name}
	if entry.Details, err = d.logOf(r.Context(), in.Name); err != nil {
		return nil, err
	}
	err = d.custody.Audit.Act(r.Context(), entry, time.Now, func() error { return d.custody.Leases.Forget(r.Context(), in.Name) })
	if err != nil {
		return nil, refusedNode(err)
	}
	return d.listNodes(r, who)
}

func removable(nodes []lease.Node, name string) error {
	for _, n := range nodes {
		if n.Name == name && n.Lives {
			return lease.ErrLives
		}
		if n.Name == name {
			return nil
		}
	}
	return lease.ErrUnknownNode
}

func refusedNode(err error) error {
	if errors.Is(err, lease.ErrLives) || errors.Is(err, lease.ErrUnknownNode) {
		return problem.RefuseField(http.StatusConflict, "name", "%v", err)
	}
	return err
}

// logOf says what the database remembers of a node's audit log: an end that the log itself, wherever it is kept, has to have.
func (d *daemon) logOf(ctx context.Context, node string) (map[string]string, error) {
	cfg := d.cfg.Config
	cfg.Node = node
	known, err := audit.Recall(ctx, d.custody.DB, cfg.AuditLog().Origin)
	if err != nil || known == nil {
		return nil, err
	}
	return map[string]string{"log": known.Origin, "entries": strconv.FormatUint(known.Size, 10),
		"root": base64.StdEncoding.EncodeToString(known.Root), "at": known.At.Format(time.RFC3339)}, nil
}

// nodeFindings tell of nodes that do not live any more: without them nobody takes over from this one.
func (d *daemon) nodeFindings(ctx context.Context, now time.Time) []httpserver.Finding {
	nodes, err := d.custody.Leases.Nodes(ctx)
	if err != nil {
		return nil // that the database does not answer is told elsewhere
	}
	var found []httpserver.Finding
	for _, n := range nodes {
		if n.Lives || now.Sub(n.Until) < nodeGrace {
			continue
		}
		since := ""
		if !n.Until.IsZero() {
			since = " since " + n.Until.Format(time.RFC3339)
		}
		found = append(found, httpserver.Finding{State: httpserver.Amber, What: fmt.Sprintf("node %q has not lived%s", n.Name, since),
			Remedy: fmt.Sprintf("start its trustd; where it is gone for good: trustctl node remove %q", n.Name)})
	}
	return found
}

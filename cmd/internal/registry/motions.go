package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// MotionKind says what two officers decide together beside orders.
type MotionKind string

// The kinds of motions.
const (
	RevokeCertificates  MotionKind = "certificate.revoke"  // for good
	ReleaseCertificates MotionKind = "certificate.release" // from a suspension, which one officer may order
	CertifyOfficer      MotionKind = "officer.certify"     // a new officer, or a new key of one
	StrikeGateway       MotionKind = "gateway.strike"      // a VPN gateway that is gone for ever
	EndHubKey           MotionKind = "gateway.end-key"     // the former key of a hub: who has not followed is cut off
	ShareHubKeys        MotionKind = "gateway.share-keys"  // the keys of a hub, with the other gateway of a pair
	ResumeKeys          MotionKind = "key.resume"          // keys of offices that an officer suspended
	DestroyKeys         MotionKind = "key.destroy"         // keys of offices, for ever
	RotateKeys          MotionKind = "key.rotate"          // other keys sign in the place of keys of offices
	ChangeIssuer        MotionKind = "issuer.change"       // an issuing authority begins to issue, or ends
)

// MotionKinds are all kinds of motions. Nobody changes them.
var MotionKinds = []MotionKind{RevokeCertificates, ReleaseCertificates, CertifyOfficer, StrikeGateway, EndHubKey, ShareHubKeys,
	ResumeKeys, DestroyKeys, RotateKeys, ChangeIssuer}

// motionLife is how long a motion waits for another officer.
const motionLife = 7 * 24 * time.Hour

// maxMotion bounds what a motion asks, in bytes.
const maxMotion = 64 << 10

// Motion asks for something that one officer proposes and another approves.
type Motion struct {
	ID         string          `json:"id"`
	Kind       MotionKind      `json:"kind"`
	Subject    string          `json:"subject"` // what it is about, for people
	Body       json.RawMessage `json:"body"`    // what exactly, for who carries it out
	State      State           `json:"state"`   // submitted, rejected, approved or carried-out
	ProposedBy string          `json:"proposed_by"`
	ProposedAt time.Time       `json:"proposed_at"`
	DecidedBy  string          `json:"decided_by,omitempty"`
	Reason     string          `json:"reason,omitempty"`  // of a rejection
	Outcome    string          `json:"outcome,omitempty"` // what came of it, or why it is not carried out yet
}

// Propose takes a motion for another officer to decide.
func (r *Registry) Propose(ctx context.Context, actor audit.Actor, kind MotionKind, subject string, body any) (*Motion, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("motion: %w", err)
	}
	switch {
	case !slices.Contains(MotionKinds, kind):
		return nil, &FieldError{"kind", fmt.Sprintf("%q is not one of %v", kind, MotionKinds)}
	case len(text) > maxMotion:
		return nil, &FieldError{"body", fmt.Sprintf("it has %d bytes; at most %d are taken", len(text), maxMotion)}
	}
	m := &Motion{ID: "M-" + rand.Text()[:10], Kind: kind, Subject: subject, Body: text, State: Submitted, ProposedBy: actor.ID, ProposedAt: r.now().UTC()}
	err = r.actOn(ctx, actor, "motion.propose", m, "", func() error {
		_, err := r.db.ExecContext(ctx, `INSERT INTO motions (id, kind, subject, body, state, proposed_by, proposed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			m.ID, string(m.Kind), m.Subject, string(m.Body), string(m.State), m.ProposedBy, m.ProposedAt.Format(timeFormat))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("motion %s: %w", m.ID, err)
	}
	return m, nil
}

// Motion returns one motion.
func (r *Registry) Motion(ctx context.Context, id string) (*Motion, error) {
	found, err := r.motions(ctx, `WHERE id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, refuse("motion %s is not there", id)
	}
	return &found[0], nil
}

// Motions returns all motions, newest first.
func (r *Registry) Motions(ctx context.Context) ([]Motion, error) {
	return r.motions(ctx, `ORDER BY proposed_at DESC, id`)
}

// OpenMotions returns those that may still be approved, oldest first.
func (r *Registry) OpenMotions(ctx context.Context) ([]Motion, error) {
	found, err := r.motions(ctx, `WHERE state = $1 ORDER BY proposed_at, id`, string(Submitted))
	return slices.DeleteFunc(found, func(m Motion) bool { return r.lapsed(&m) }), err
}

// lapsed reports whether a motion has waited for too long.
func (r *Registry) lapsed(m *Motion) bool { return r.now().Sub(m.ProposedAt) > motionLife }

// ApprovedMotions returns those that are still to be carried out, oldest first.
func (r *Registry) ApprovedMotions(ctx context.Context) ([]Motion, error) {
	return r.motions(ctx, `WHERE state = $1 ORDER BY proposed_at, id`, string(Approved))
}

func (r *Registry) motions(ctx context.Context, where string, args ...any) ([]Motion, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT id, kind, subject, body, state, proposed_by, proposed_at, decided_by, reason, outcome FROM motions `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("motions: %w", err)
	}
	defer rows.Close()
	found := []Motion{}
	for rows.Next() {
		var m Motion
		var body, proposed string
		if err := rows.Scan(&m.ID, &m.Kind, &m.Subject, &body, &m.State, &m.ProposedBy, &proposed, &m.DecidedBy, &m.Reason, &m.Outcome); err != nil {
			return nil, fmt.Errorf("motions: %w", err)
		}
		m.Body, m.ProposedAt = json.RawMessage(body), parseTime(proposed)
		found = append(found, m)
	}
	return found, rows.Err()
}

// ApproveMotion decides for a motion, by another officer than who proposed it. Who carries it out says so by MotionDone.
func (r *Registry) ApproveMotion(ctx context.Context, actor audit.Actor, id string) (*Motion, error) {
	return r.decideMotion(ctx, actor, "motion.approve", id, Approved, "")
}

// RejectMotion declines a motion for a reason. Who proposed it may take it back so.
func (r *Registry) RejectMotion(ctx context.Context, actor audit.Actor, id, reason string) (*Motion, error) {
	if strings.TrimSpace(reason) == "" {
		return nil, refuse("reason: say why the motion is rejected")
	}
	return r.decideMotion(ctx, actor, "motion.reject", id, Rejected, reason)
}

func (r *Registry) decideMotion(ctx context.Context, actor audit.Actor, action, id string, to State, reason string) (*Motion, error) {
	m, err := r.Motion(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := r.motionDecidable(actor, m, to); err != nil {
		return nil, errors.Join(err, r.recordMotion(ctx, actor, action, m, audit.Refused, err.Error()))
	}
	err = r.actOn(ctx, actor, action, m, reason, func() error {
		return r.db.InTx(ctx, func(tx *sql.Tx) error {
			done, err := tx.ExecContext(ctx, `UPDATE motions SET state = $1, decided_by = $2, reason = $3 WHERE id = $4 AND state = $5`,
				string(to), actor.ID, reason, id, string(Submitted))
			if err != nil {
				return err
			}
			if n, err := done.RowsAffected(); err != nil || n != 1 {
				return errors.Join(err, refuse("motion %s was decided by another officer meanwhile", id))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	r.announce()
	return r.Motion(ctx, id)
}

func (r *Registry) motionDecidable(actor audit.Actor, m *Motion, to State) error {
	switch {
	case m.State != Submitted:
		return refuse("motion %s is %s: nothing is left to decide", m.ID, m.State)
	case to == Approved && m.ProposedBy == actor.ID:
		return refuse("motion %s was proposed by %s: another officer must approve it", m.ID, actor.ID)
	case to == Approved && r.lapsed(m):
		return refuse("motion %s is older than a week: propose it anew", m.ID)
	}
	return nil
}

// MotionDone remembers what came of an approved motion; failed says why it could not be carried out yet.
func (r *Registry) MotionDone(ctx context.Context, id, outcome string, failed error) error {
	to := CarriedOut
	if failed != nil {
		to, outcome = Approved, failed.Error()
	}
	_, err := r.db.ExecContext(ctx, `UPDATE motions SET state = $1, outcome = $2 WHERE id = $3 AND state = $4`, string(to), outcome, id, string(Approved))
	if err != nil {
		return fmt.Errorf("motion %s: %w", id, err)
	}
	return nil
}

// actOn is act for a motion.
func (r *Registry) actOn(ctx context.Context, actor audit.Actor, action string, m *Motion, reason string, do func() error) error {
	return granted(ctx, reason, func(ctx context.Context, outcome, reason string) error {
		return r.recordMotion(ctx, actor, action, m, outcome, reason)
	}, do)
}

func (r *Registry) recordMotion(ctx context.Context, actor audit.Actor, action string, m *Motion, outcome, reason string) error {
	_, err := r.audit.Append(ctx, audit.Entry{Time: r.now(), Actor: actor, Action: action, Subject: m.Subject, Order: m.ID,
		Outcome: outcome, Reason: reason, Details: map[string]string{"kind": string(m.Kind)}})
	return err
}

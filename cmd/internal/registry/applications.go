package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"trustcore/cmd/internal/application"
	"trustcore/internal/audit"
)

// AddApplication registers a program and makes its first token, which is not kept: its digest is. A name that was
// revoked stays taken: the log speaks of one program under one name.
func (r *Registry) AddApplication(ctx context.Context, actor audit.Actor, a application.Application) (token string,
	err error) {
	if err := a.Check(); err != nil {
		return "", fieldOf(err)
	}
	if a.Partner != "" {
		known, err := r.hasPartner(ctx, a.Partner)
		if err != nil {
			return "", err
		}
		if !known {
			return "", &FieldError{"partner",
				fmt.Sprintf("there is no partner %q: write its id as in its orders, or leave it out", a.Partner)}
		}
	}
	terms, err := json.Marshal(a.Terms)
	if err != nil {
		return "", err
	}
	token, kept := application.NewToken(r.now())
	err = r.actOnApplication(ctx, actor, "application.add", &a, "", func(tx *sql.Tx) error {
		added, err := tx.ExecContext(ctx, `INSERT INTO applications (name, partner, terms, created_by, created_at)
			VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (name) DO NOTHING`, a.Name, a.Partner, string(terms), actor.ID, r.stamp())
		if err != nil {
			return err
		}
		if n, err := added.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, refuse("application %s is or was registered: choose another name, or make it a new token",
				a.Name))
		}
		return r.keepToken(ctx, tx, a.Name, kept)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// fieldOf makes this package's error of one of an application's entry.
func fieldOf(err error) error {
	var field *application.FieldError
	if errors.As(err, &field) {
		return &FieldError{field.Field, field.Remedy}
	}
	return err
}

func (r *Registry) hasPartner(ctx context.Context, id string) (bool, error) {
	var count int
	err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM partners WHERE id = $1`, id).Scan(&count)
	return count > 0, err
}

// NewApplicationToken makes a further token; the oldest beyond application.MaxTokens ends.
func (r *Registry) NewApplicationToken(ctx context.Context, actor audit.Actor, name string) (token string, err error) {
	a, err := r.Application(ctx, name)
	if err != nil {
		return "", err
	}
	token, kept := application.NewToken(r.now())
	err = r.actOnApplication(ctx, actor, "application.token", a, "", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM application_tokens WHERE application = $1 AND digest NOT IN
			(SELECT digest FROM application_tokens WHERE application = $2 ORDER BY created_at DESC, digest LIMIT $3)`,
			name, name, application.MaxTokens-1); err != nil {
			return err
		}
		return r.keepToken(ctx, tx, name, kept)
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func (r *Registry) keepToken(ctx context.Context, tx *sql.Tx, name string, kept application.Token) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO application_tokens (digest, application, created_at) VALUES ($1, $2, $3)`,
		kept.SHA256, name, kept.Created.Format(timeFormat))
	return err
}

// RevokeApplication ends what an application may do, for good and for a reason. Its tokens are forgotten.
func (r *Registry) RevokeApplication(ctx context.Context, actor audit.Actor, name, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return &FieldError{"reason", "say why the application is revoked"}
	}
	a, err := r.Application(ctx, name)
	if err != nil {
		return err
	}
	return r.actOnApplication(ctx, actor, "application.revoke", a, reason, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM application_tokens WHERE application = $1`, name); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE applications SET revoked_at = $1 WHERE name = $2`, r.stamp(), name)
		return err
	})
}

// Application returns one that counts; one that is revoked, or not there, is a refusal.
func (r *Registry) Application(ctx context.Context, name string) (*application.Application, error) {
	all, err := r.Applications(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		switch a := &all[i]; {
		case a.Name != name:
		case a.Revoked != nil:
			return nil, refuse("application %s is revoked", name)
		default:
			return a, nil
		}
	}
	return nil, refuse("application %s is not there", name)
}

// Applications returns all of them by their names, revoked ones too.
func (r *Registry) Applications(ctx context.Context) ([]application.Application, error) {
	tokens, err := r.applicationTokens(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := r.db.QueryContext(ctx, `SELECT name, partner, terms, created_by, created_at, revoked_at
		FROM applications ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("applications: %w", err)
	}
	defer rows.Close()
	found := []application.Application{}
	for rows.Next() {
		var a application.Application
		var terms, created, revoked string
		if err := rows.Scan(&a.Name, &a.Partner, &terms, &a.CreatedBy, &created, &revoked); err != nil {
			return nil, fmt.Errorf("applications: %w", err)
		}
		if err := json.Unmarshal([]byte(terms), &a.Terms); err != nil {
			return nil, fmt.Errorf("application %s: %w", a.Name, err)
		}
		a.Created, a.Tokens = parseTime(created), tokens[a.Name]
		if revoked != "" {
			at := parseTime(revoked)
			a.Revoked = &at
		}
		found = append(found, a)
	}
	return found, rows.Err()
}

func (r *Registry) applicationTokens(ctx context.Context) (map[string][]application.Token, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT application, digest, created_at FROM application_tokens
		ORDER BY created_at DESC, digest`)
	if err != nil {
		return nil, fmt.Errorf("applications: %w", err)
	}
	defer rows.Close()
	found := map[string][]application.Token{}
	for rows.Next() {
		var name, created string
		var t application.Token
		if err := rows.Scan(&name, &t.SHA256, &created); err != nil {
			return nil, fmt.Errorf("applications: %w", err)
		}
		t.Created = parseTime(created)
		found[name] = append(found[name], t)
	}
	return found, rows.Err()
}

// actOnApplication is act for an application, with a transaction.
func (r *Registry) actOnApplication(ctx context.Context, actor audit.Actor, action string, a *application.Application,
	reason string,
	do func(tx *sql.Tx) error) error {
	return granted(ctx, reason, func(ctx context.Context, outcome, reason string) error {
		_, err := r.audit.Append(ctx, audit.Entry{Time: r.now(), Actor: actor, Action: action, Subject: a.Name,
			Partner: a.Partner,
			Outcome: outcome, Reason: reason})
		return err
	}, func() error { return r.db.InTx(ctx, do) })
}

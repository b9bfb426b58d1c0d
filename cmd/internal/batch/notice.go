package batch

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/program"
)

// Notices are signed and sent by the rules of Standard Webhooks 1.0.
const (
	secretPrefix  = "whsec_"
	secretBytes   = 32
	noticeFirst   = 30 * time.Second // after a try that failed; doubled each time
	noticeMost    = 3 * time.Hour
	noticeLife    = 3 * 24 * time.Hour
	noticesAtOnce = 100
)

// noticeType is of the one kind of notice that there is.
const noticeType = "batch.finished"

// NewSecret makes the secret that signs an owner's notices, and returns it this once. One that was before ends.
func (b *Batches) NewSecret(ctx context.Context, owner string) (string, error) {
	if err := b.cfg.Record(ctx, Act{Owner: owner, Action: "webhook.secret"}); err != nil {
		return "", err
	}
	random := make([]byte, secretBytes)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	secret := secretPrefix + base64.StdEncoding.EncodeToString(random)
	if _, err := b.cfg.DB.ExecContext(ctx, `INSERT INTO batch_secret (owner, secret) VALUES ($1, $2)
		ON CONFLICT (owner) DO UPDATE SET secret = excluded.secret`, owner, secret); err != nil {
		return "", fmt.Errorf("secret of webhooks: %w", err)
	}
	return secret, nil
}

// noteFinished puts down whom to tell of a batch, in the transaction that finishes it.
func (b *Batches) noteFinished(ctx context.Context, tx *sql.Tx, id string) error {
	var owner, name string
	var documents, refused int64
	if err := tx.QueryRowContext(ctx, `SELECT owner, name, documents, refused FROM batch WHERE id = $1`, id).
		Scan(&owner, &name, &documents, &refused); err != nil {
		return err
	}
	now := b.cfg.Now()
	body, err := json.Marshal(map[string]any{"type": noticeType, "timestamp": now.UTC().Format(time.RFC3339),
		"data": map[string]any{"id": id, "name": name, "documents": documents, "refused": refused}})
	if err != nil {
		return err
	}
	for _, address := range b.terms(owner).Webhooks {
		if _, err := tx.ExecContext(ctx, `INSERT INTO batch_notice (id, owner, address, body, created, tries, due)
			VALUES ($1, $2, $3, $4, $5, 0, 0)`,
			"msg_"+rand.Text(), owner, address, string(body), now.Unix()); err != nil {
			return err
		}
	}
	select {
	case b.notify <- struct{}{}:
	default:
	}
	return nil
}

// notice is one that is to be sent.
type notice struct {
	id, owner, address, body string
	created, tries           int64
}

// Send posts a signed notice to an address.
type Send func(ctx context.Context, address string, header http.Header, body []byte) error

// SendNotices tells owners of finished batches until ctx ends. A notice that can't be sent is tried again for three
// days.
func (b *Batches) SendNotices(ctx context.Context, send Send) error {
	for {
		if err := b.sendDue(ctx, send); err != nil && ctx.Err() == nil {
			b.cfg.Logger.Error("notices can't be read", "error", err)
		}
		timer := time.NewTimer(noticeFirst)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-b.notify:
			timer.Stop()
			if !program.Pause(ctx, 100*time.Millisecond) { // until the transaction has ended
				return nil
			}
		case <-timer.C:
		}
	}
}

func (b *Batches) sendDue(ctx context.Context, send Send) error {
	due, err := b.dueNotices(ctx)
	for _, n := range due {
		if ctx.Err() != nil {
			return nil
		}
		err = errors.Join(err, b.try(ctx, n, send))
	}
	return err
}

func (b *Batches) dueNotices(ctx context.Context) (found []notice, err error) {
	rows, err := b.cfg.DB.QueryContext(ctx, `SELECT id, owner, address, body, created, tries FROM batch_notice
		WHERE due <= $1 ORDER BY due, id LIMIT $2`,
		b.cfg.Now().Unix(), noticesAtOnce)
	if err != nil {
		return nil, fmt.Errorf("notices: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n notice
		if err := rows.Scan(&n.id, &n.owner, &n.address, &n.body, &n.created, &n.tries); err != nil {
			return nil, fmt.Errorf("notices: %w", err)
		}
		found = append(found, n)
	}
	return found, rows.Err()
}

// try sends a notice, and forgets it or notes when it is tried again.
func (b *Batches) try(ctx context.Context, n notice, send Send) error {
	now := b.cfg.Now()
	err := b.sendOne(ctx, n, now, send)
	if err != nil {
		b.cfg.Logger.Warn("a notice was not taken", "notice", n.id, "owner", n.owner, "error", err)
	}
	if err == nil || now.Sub(time.Unix(n.created, 0)) > noticeLife ||
		!slices.Contains(b.terms(n.owner).Webhooks, n.address) {
		_, err := b.cfg.DB.ExecContext(ctx, `DELETE FROM batch_notice WHERE id = $1`, n.id)
		return err
	}
	wait := min(noticeFirst<<min(n.tries, 20), noticeMost)
	_, err = b.cfg.DB.ExecContext(ctx, `UPDATE batch_notice SET tries = tries + 1, due = $1
		WHERE id = $2`, now.Add(wait).Unix(), n.id)
	return err
}

func (b *Batches) sendOne(ctx context.Context, n notice, now time.Time, send Send) error {
	if !slices.Contains(b.terms(n.owner).Webhooks, n.address) {
		return errors.New("the address is none of the application's any more")
	}
	var secret string
	switch err := b.cfg.DB.QueryRowContext(ctx, `SELECT secret FROM batch_secret
		WHERE owner = $1`, n.owner).Scan(&secret); {
	case errors.Is(err, sql.ErrNoRows):
		return errors.New("the application has made no secret for its webhooks")
	case err != nil:
		return err
	}
	signature, err := sign(secret, n.id, now, []byte(n.body))
	if err != nil {
		return err
	}
	return send(ctx, n.address, http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {n.id},
		"Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {signature}}, []byte(n.body))
}

// sign returns the signature of a notice: HMAC-SHA256 over its id, the time at which it is sent, and its body.
func sign(secret, id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		return "", fmt.Errorf("secret of webhooks: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}

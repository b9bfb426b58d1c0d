package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/durable"
	"trustcore/vpn"
	"trustcore/vpn/office"
	"trustcore/vpn/tunnel"
)

const (
	confirmEvery = time.Second      // while a gateway has not changed over
	confirmFor   = 30 * time.Second // the session carries for a minute at least
	shakeEvery   = 20 * time.Millisecond
)

// rotate rotates secrets, one after the other.
func (f *follower) rotate(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		switch name {
		case office.PresharedKey:
			err = f.rotatePreshared(ctx)
		case office.Key:
			err = f.rotateKey(ctx)
		default:
			err = fmt.Errorf("this version can't rotate the %q that the core asks for", name)
		}
		if err != nil {
			return fmt.Errorf("rotate the %s: %w", name, err)
		}
		f.log.Info("a secret of the tunnel was rotated", "secret", name, "serial", f.kept.InUse.Serial)
	}
	return nil
}

// rotatePreshared agrees on another pre-shared key, and puts it on disk before the hub can have it.
func (f *follower) rotatePreshared(ctx context.Context) error {
	x, err := vpn.NewExchange()
	if err != nil {
		return err
	}
	var answer office.PresharedAnswer
	if err := f.call(ctx, http.MethodPost, office.PresharedRoute, office.PresharedOffer{Exchange: x.Public()}, &answer); err != nil {
		return err
	}
	key, err := x.Open(answer.Encapsulated, f.shown.PrivateKey.Public(), answer.Serial)
	if err != nil {
		return err
	}
	f.kept.Offered = &agreed{answer.Serial, key}
	if err := f.state.keepSecrets(f.kept); err != nil {
		return err
	}
	return f.confirmPreshared(ctx)
}

// confirmPreshared has the hub change over, and follows it.
func (f *follower) confirmPreshared(ctx context.Context) error {
	offered := *f.kept.Offered
	proof, err := offered.Key.Proof(f.shown.PrivateKey.Public(), offered.Serial)
	if err != nil {
		return err
	}
	err = f.carried(ctx, office.PresharedConfirmRoute, office.PresharedConfirmation{Serial: offered.Serial, Proof: proof})
	if refusedAs(err, http.StatusConflict) { // the core agreed on another one since
		f.kept.Offered = nil
		return errors.Join(err, f.state.keepSecrets(f.kept))
	}
	if err != nil {
		return err
	}
	return f.change(candidate{tunnel.Credentials{PrivateKey: f.shown.PrivateKey, PresharedKey: offered.Key}, f.shown.file, offered.Serial})
}

// change changes over to credentials that the hub has already, and keeps them as those in use.
func (f *follower) change(c candidate) error {
	if err := f.show(c); err != nil {
		return err
	}
	return f.settle() // by the core's word; should it be wrong the others are tried
}

// rotateKey changes to another key pair. The hub knows both until the office has got through with the new one.
func (f *follower) rotateKey(ctx context.Context) error {
	next, err := vpn.LoadOrCreateKey(f.state.path(nextKeyFile))
	if err != nil {
		return err
	}
	err = f.carried(ctx, office.KeyRoute, office.KeyChange{PublicKey: next.Public().String()})
	if refusedAs(err, http.StatusConflict) || refusedAs(err, http.StatusUnprocessableEntity) {
		return errors.Join(err, durable.Remove(f.state.path(nextKeyFile))) // the next attempt makes another
	}
	if err != nil {
		return err
	}
	before, began := f.shown, time.Now()
	changed := candidate{tunnel.Credentials{PrivateKey: next, PresharedKey: f.shown.PresharedKey}, nextKeyFile, f.shown.serial}
	if err := f.show(changed); err != nil {
		return err
	}
	if err := f.awaitHandshake(ctx, began); err != nil {
		return errors.Join(err, f.show(before))
	}
	if err := f.change(changed); err != nil {
		return err
	}
	return f.confirmKey(ctx, next.Public())
}

func (f *follower) awaitHandshake(ctx context.Context, since time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	tick := time.NewTicker(shakeEvery)
	defer tick.Stop()
	for {
		status, err := f.end.Status(time.Now())
		if err != nil || status.LastHandshake.After(since) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the hub does not answer to the new one")
		case <-tick.C:
		}
	}
}

// confirmKey has the core end the key before.
func (f *follower) confirmKey(ctx context.Context, key vpn.Key) error {
	return f.carried(ctx, office.KeyConfirmRoute, office.KeyChange{PublicKey: key.String()})
}

// carried asks the core to do something until its gateways have done it.
func (f *follower) carried(ctx context.Context, route string, what any) error {
	ctx, cancel := context.WithTimeout(ctx, confirmFor)
	defer cancel()
	for {
		var answer office.Carried
		err := f.call(ctx, http.MethodPost, route, what, &answer)
		if err != nil || answer.InForce {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.New("the data centre's gateways have not carried it out yet: it is asked again")
		case <-time.After(confirmEvery):
		}
	}
}

// refusal is the core's answer that is no success.
type refusal struct {
	status int
	reason string
}

// Error is what the core said.
func (r *refusal) Error() string { return "the core refused: " + r.reason }

func refusedAs(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// call makes one request at the HSM gateway.
func (f *follower) call(ctx context.Context, method, route string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, f.base+route, body)
	if err != nil {
		return err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return &refusal{response.StatusCode, reason(response, text)}
	}
	return json.Unmarshal(text, out)
}

// The files by which trustlink rotate speaks to trustlink up.
const (
	rotateFile  = "rotate.json"
	rotatedFile = "rotated.json"
	rotateWait  = 2 * time.Minute
)

// rotationRequest asks the process that carries the tunnel; its answer has the same id.
type rotationRequest struct {
	ID      string   `json:"id"`
	Secrets []string `json:"secrets,omitempty"`
	Problem string   `json:"problem,omitempty"` // of the answer
}

func rotateCommand(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "rotate [preshared-key] [key]",
		Short: "Rotate the secrets of this office's tunnel now",
		Long: "Has the trustlink up that runs agree with the data centre on another pre-shared key, and make another key\n" +
			"pair: both, or the one that is named. It does so by itself, too, when they are old. Nothing is interrupted.",
		ValidArgs: []string{office.PresharedKey, office.Key},
		Args:      cobra.MatchAll(cobra.OnlyValidArgs, cobra.MaximumNArgs(2)),
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = []string{office.PresharedKey, office.Key}
			}
			if err := (state{*dir}).askRotation(c.Context(), names); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "rotated:", names)
			return err
		},
	}
}

// askRotation has the process that carries the tunnel rotate secrets, and waits for it.
func (s state) askRotation(ctx context.Context, names []string) error {
	now, err := inspect(s, time.Now())
	if err != nil {
		return err
	}
	if !now.Running {
		return errors.New("the tunnel is not running here: start trustlink up, which rotates through it")
	}
	asked := rotationRequest{ID: fmt.Sprint(os.Getpid(), " ", time.Now().UnixNano()), Secrets: names}
	if err := s.writeJSON(rotateFile, asked); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rotateWait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var answer rotationRequest
		if there, err := s.readJSON(rotatedFile, &answer); err != nil {
			return err
		} else if there && answer.ID == asked.ID {
			if answer.Problem != "" {
				return errors.New(answer.Problem)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("trustlink up did not do it in time: see what it logs"), durable.Remove(s.path(rotateFile)))
		case <-tick.C:
		}
	}
}

// takeRequest returns what somebody here asked for, once; nil when nobody did.
func (s state) takeRequest() (*rotationRequest, error) {
	var asked rotationRequest
	there, err := s.readJSON(rotateFile, &asked)
	if err == nil && !there {
		return nil, nil
	}
	if err := errors.Join(err, durable.Remove(s.path(rotateFile))); err != nil {
		return nil, err
	}
	return &asked, nil
}

// answerRequest says what came of it.
func (s state) answerRequest(asked *rotationRequest, failed error) error {
	answer := rotationRequest{ID: asked.ID}
	if failed != nil {
		answer.Problem = failed.Error()
	}
	return s.writeJSON(rotatedFile, answer)
}

func (s state) writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.write(name, data)
}

func (s state) readJSON(name string, into any) (there bool, err error) {
	data, err := durable.ReadFile(s.path(name), maxSecrets)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", s.path(name), err)
	}
	return true, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"trustcore/cmd/internal/program"
	"trustcore/vpn"
)

const (
	pollTimeout   = time.Minute     // trustd answers a long poll within 25 s
	reportTimeout = 5 * time.Second // one report; the gateway does nothing else meanwhile
	retryAfter    = 2 * time.Second // after trustd did not answer
	maxAnswer     = 64 << 10        // bytes of an answer that is not a wish
	maxPairAnswer = 1 << 20         // bytes of where vpn.MaxHeard offices were heard
)

// trustd is the core as the gateway sees it: it serves wishes and takes reports.
type trustd struct {
	url    string
	client *http.Client
	log    *slog.Logger
}

func newTrustd(cfg Config, log *slog.Logger) (*trustd, error) {
	client, err := cfg.Identity.HTTP(0)
	if err != nil {
		return nil, err
	}
	return &trustd{url: strings.TrimSuffix(cfg.Trustd, "/"), client: client, log: log}, nil
}

// listen asks for wishes until ctx ends, and hands on each that is another than the one in hand.
func (g *gateway) listen(ctx context.Context, wishes chan<- wishInHand) error {
	for ctx.Err() == nil {
		asked := g.clock()
		answer, raw, err := g.trustd.ask(ctx, g.inHand())
		if ctx.Err() != nil {
			return nil
		}
		var next *wishInHand
		if err == nil {
			next, err = g.heard(asked, answer, raw)
		}
		g.noteTrustd(err)
		if err != nil {
			g.log.Warn("no wish from trustd", "error", err)
		}
		if next != nil {
			select {
			case wishes <- *next:
				g.hold(next)
			case <-ctx.Done():
			}
		} else if err != nil {
			program.Pause(ctx, retryAfter)
		}
	}
	return nil
}

// ask asks for a wish that is another than the one in hand; raw is nil when there is none.
func (t *trustd) ask(ctx context.Context, have vpn.Applied) (answer vpn.Answer, raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	query := url.Values{"epoch": {have.Epoch}, "revision": {strconv.FormatInt(have.Revision, 10)}, "digest": {have.Digest}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/v1/vpn/wish?"+query.Encode(), nil)
	if err != nil {
		return answer, nil, err
	}
	answer, raw, err = t.do(request, vpn.MaxWishBytes+maxAnswer)
	if err != nil {
		err = fmt.Errorf("ask trustd for the wish: %w", err)
	}
	return answer, raw, err
}

// report tells trustd the state of the gateway.
func (t *trustd) report(ctx context.Context, status vpn.Status) (vpn.Answer, error) {
	body, err := json.Marshal(status)
	if err != nil {
		return vpn.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/v1/vpn/status", bytes.NewReader(body))
	if err != nil {
		return vpn.Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, _, err := t.do(request, maxAnswer)
	if err != nil {
		err = fmt.Errorf("report to trustd: %w", err)
	}
	return answer, err
}

// offerKeys tells trustd of the hub's keys, and returns whom to seal them for, or later ones.
func (t *trustd) offerKeys(ctx context.Context, offer vpn.KeyOffer) (answer vpn.KeyAnswer, err error) {
	body, err := json.Marshal(offer)
	if err != nil {
		return answer, err
	}
	return answer, t.call(ctx, http.MethodPost, "/v1/vpn/keys", body, &answer)
}

// heard asks where the other gateway heard offices since an answer.
func (t *trustd) heard(ctx context.Context, after int64) (heard vpn.HeardOffices, err error) {
	return heard, t.call(ctx, http.MethodGet, "/v1/vpn/heard?after="+strconv.FormatInt(after, 10), nil, &heard)
}

// call asks something of the pair, and reads the JSON of the answer.
func (t *trustd) call(ctx context.Context, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, t.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := t.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answerError(response)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxPairAnswer))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// do sends the request and reads the answer, the wish in it as it stands there.
func (t *trustd) do(request *http.Request, limit int64) (answer vpn.Answer, raw []byte, err error) {
	response, err := t.client.Do(request)
	if err != nil {
		return answer, nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer, nil, answerError(response)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return answer, nil, err
	}
	if int64(len(data)) > limit {
		return answer, nil, fmt.Errorf("the answer is longer than %d bytes", limit)
	}
	var outer struct {
		vpn.Answer
		Wish json.RawMessage `json:"wish"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return answer, nil, fmt.Errorf("the answer: %w", err)
	}
	if string(outer.Wish) == "null" {
		outer.Wish = nil
	}
	return outer.Answer, outer.Wish, nil
}

// answerError carries trustd's own words.
func answerError(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return errors.Join(fmt.Errorf("trustd answered %s: %s", response.Status, bytes.TrimSpace(text)), err)
}

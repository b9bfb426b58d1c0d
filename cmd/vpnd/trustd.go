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
	"strconv"
	"strings"
	"time"

	"trustcore/vpn"
)

const (
	pollTimeout   = time.Minute      // trustd answers a long poll within 25 s
	reportTimeout = 10 * time.Second // one report
	retryAfter    = 2 * time.Second  // after trustd did not answer
	maxAnswer     = 64 << 10         // bytes of an answer that is not a wish
)

// trustd is the core as the gateway sees it: it serves wishes and takes reports.
type trustd struct {
	url    string
	client *http.Client
	log    *slog.Logger
}

func newTrustd(cfg Config, log *slog.Logger) (*trustd, error) {
	settings, err := cfg.Identity.Client()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: settings, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	return &trustd{url: strings.TrimSuffix(cfg.Trustd, "/"), client: &http.Client{Transport: transport}, log: log}, nil
}

// follow sends every new wish, oldest first, until ctx ends. problem hears why trustd does
// not answer, and nil when it does again.
func (t *trustd) follow(ctx context.Context, wishes chan<- vpn.Wish, problem func(error)) error {
	revision := int64(-1) // before any
	for {
		wish, fresh, err := t.wish(ctx, revision)
		if ctx.Err() != nil {
			return nil
		}
		problem(err)
		if err != nil {
			t.log.Warn("no wish from trustd", "error", err)
			if !pause(ctx, retryAfter) {
				return nil
			}
			continue
		}
		if !fresh {
			continue
		}
		select {
		case wishes <- wish:
			revision = wish.Revision
		case <-ctx.Done():
			return nil
		}
	}
}

// wish asks once for a wish newer than the revision. fresh is false when there was none.
func (t *trustd) wish(ctx context.Context, after int64) (wish vpn.Wish, fresh bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/v1/vpn/wish?after="+strconv.FormatInt(after, 10), nil)
	if err != nil {
		return wish, false, err
	}
	response, err := t.client.Do(request)
	if err != nil {
		return wish, false, fmt.Errorf("ask trustd for the wish: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		wish, err = vpn.ReadWish(response.Body)
		return wish, err == nil, err
	case http.StatusNoContent:
		return wish, false, nil
	}
	return wish, false, answerError(response)
}

// report tells trustd the state of the gateway.
func (t *trustd) report(ctx context.Context, status vpn.Status) error {
	body, err := json.Marshal(status)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/v1/vpn/status", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := t.client.Do(request)
	if err != nil {
		return fmt.Errorf("report to trustd: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return answerError(response)
	}
	return nil
}

// answerError carries trustd's own words.
func answerError(response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return errors.Join(fmt.Errorf("trustd answered %s: %s", response.Status, bytes.TrimSpace(text)), err)
}

// pause waits and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

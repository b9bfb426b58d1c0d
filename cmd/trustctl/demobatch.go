package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"trustcore/internal/problem"
)

// batch registers an application, has it send both sealed documents as a batch, and revokes it.
func (d *demonstration) batch(ctx context.Context) (string, error) {
	var t appToken
	name := "demo-" + d.number
	if err := d.one.call(ctx, http.MethodPost, "/v1/applications", map[string]string{"name": name}, &t); err != nil {
		return "", err
	}
	if err := os.WriteFile(d.file("application.token"), []byte(t.Token), 0o600); err != nil {
		return "", err
	}
	b := &batches{}
	var err error
	if b.officer, err = b.asApplication(d.layout.batchd(), d.file("application.token"), d.state.officer("")); err != nil {
		return "", err
	}
	if err := d.until(ctx, func() (bool, error) { // batchd hears of it within a second
		err := b.call(ctx, http.MethodGet, "/v1/batches", nil, nil)
		return isUnauthorized(err), err
	}); err != nil {
		return "", err
	}
	s := submission{batches: b, name: "demonstration", watch: true, folder: d.dir,
		names: []string{"document-sealed.pdf", "document-sealed.xml"}}
	i, err := s.submit(ctx)
	if err != nil {
		return "", err
	}
	var results bytes.Buffer
	if err := b.download(ctx, batchPath(i.ID)+"/results", 0, &results); err != nil {
		return "", err
	}
	if passed := bytes.Count(results.Bytes(), []byte(`"indication":"TOTAL-PASSED"`)); passed != 2 || i.Judged != 2 {
		return "", fmt.Errorf("%d of 2 signatures are TOTAL-PASSED: %s", passed, results.Bytes())
	}
	if err := d.one.call(ctx, http.MethodPost, "/v1/applications/revoke",
		map[string]string{"name": name, "reason": "the demonstration"}, nil); err != nil {
		return "", err
	}
	return "", d.until(ctx, func() (bool, error) {
		switch err := b.call(ctx, http.MethodGet, "/v1/batches", nil, nil); {
		case err == nil:
			return true, errors.New("the token of a revoked application is taken")
		case isUnauthorized(err):
			return false, nil
		default:
			return false, err
		}
	})
}

// until tries again as long as it should.
func (d *demonstration) until(ctx context.Context, try func() (again bool, err error)) error {
	for {
		again, err := try()
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

func isUnauthorized(err error) bool {
	var p *problem.Problem
	return errors.As(err, &p) && p.Status == http.StatusUnauthorized
}

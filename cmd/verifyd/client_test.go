package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"strings"
	"testing"

	"trustcore/verify/client"
)

// TestClientOfTheDaemon asks a verifyd that runs all that the client package can ask.
func TestClientOfTheDaemon(t *testing.T) {
	o := newOffice(t)
	cfg := o.daemonConfig()
	asks := o.serveFor(cfg)
	o.wait("the daemon", func() bool { return get(asks, "https://"+cfg.Listen+"/v1/trust/status", new(client.TrustStatus)) })
	pool := x509.NewCertPool()
	pool.AddCert(o.root)
	c, err := client.New(client.Config{URL: "https://" + cfg.Listen, TLS: &tls.Config{RootCAs: pool}, Language: "pl"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	status, err := c.TrustStatus(ctx)
	if err != nil || !status.Kept || status.Fetches || status.Anchors != 1 || len(status.Findings) != 1 {
		t.Errorf("%+v %v", status, err)
	}
	var p *client.Problem
	if _, err := c.TrustList(ctx, "PL"); !errors.As(err, &p) || p.Status != http.StatusNotFound || !strings.Contains(p.Detail, "nie jest używana") {
		t.Errorf("%v", err)
	}
	v, err := c.Validate(ctx, strings.NewReader("<a/>"), client.Options{Policy: "dss-default", Later: true})
	if err != nil || v.Report.Policy != "dss-default" || v.ID != "" || len(v.Report.Signatures) != 0 {
		t.Errorf("%+v %v", v, err)
	}
	if list, err := c.Originals(ctx, []byte("<a/>"), ""); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
	good, bad := o.leaf(10), o.leaf(11)
	o.revoked["11"] = true
	pemOf := func(c *x509.Certificate) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	answer, err := c.Certificate(ctx, client.CertificateQuestion{Certificate: pemOf(good), Trace: true})
	if err != nil || !answer.Valid || answer.Trace == nil || len(answer.Trace.Certificates) != 2 {
		t.Errorf("%+v %v", answer, err)
	}
	lines, err := c.Certificates(ctx, []client.CertificateQuestion{{Certificate: pemOf(bad)}, {Certificate: pemOf(good)}, {Certificate: "x"}})
	if err != nil || lines[0].Answer.Valid || *lines[0].Answer.SubIndication != "REVOKED_NO_POE" || !lines[1].Answer.Valid || lines[2].Problem.Field != "certificate" {
		t.Errorf("%+v %v", lines, err)
	}
	if services, err := c.Services(ctx); err != nil || len(services) != 0 {
		t.Errorf("%v %v", services, err)
	}
	if _, err := c.Result(ctx, "ABC"); !errors.As(err, &p) || p.Status != http.StatusNotFound || p.Field != "id" {
		t.Errorf("%v", err)
	}
	// Another method of an address that the lists have is none of theirs.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+cfg.Listen+"/v1/trust/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := asks.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("%s %q", response.Status, response.Header.Get("Allow"))
	}
}

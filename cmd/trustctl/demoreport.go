package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"trustcore/cmd/internal/registry"
)

// The order by which verifyd seals its reports, and the report that the demonstration has it seal.
const (
	demoReports = "ZU-REPORTS"
	demoReport  = "report.pdf"
)

// sealedReport has the order carried out, once in the life of a state, and keeps a sealed report.
func (d *demonstration) sealedReport(ctx context.Context) (string, error) {
	if err := d.orderReports(ctx); err != nil {
		return "", err
	}
	document, err := os.ReadFile(d.file("document-sealed.pdf"))
	if err != nil {
		return "", err
	}
	report, err := d.askVerifyd(ctx, "?report=pdf&seal=true", document)
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(report, []byte("%PDF-")) || !bytes.HasSuffix(report, []byte("%%EOF\n")) {
		return "", fmt.Errorf("that is no PDF to its end: %.20q ... %q", report, report[max(0, len(report)-20):])
	}
	return fmt.Sprintf(" (%d KB)", len(report)>>10), os.WriteFile(d.file(demoReport), report, 0o600)
}

func (d *demonstration) orderReports(ctx context.Context) error {
	rec, err := d.one.order(ctx, demoReports)
	if err != nil { // nobody has submitted it yet
		now := time.Now().UTC()
		if rec, err = d.one.submit(ctx, fmt.Appendf(nil, `id: %s
kind: activation
partner: {id: demonstration, name: %s}
agreement: {number: UR/0/2026, signed: 2026-01-15}
components: [B_HSM]
hsm_authorization:
  application: verifyd
  limits: {per_second: 20, per_day: 10000, documents: [verification-report]}
  keys:
    - {name: reports, algorithm: P-256, mechanisms: [ECDSA-SHA256]}
  not_before: %s
  not_after: %s
`, demoReports, leaderName, now.Format(time.RFC3339), now.AddDate(2, 0, 0).Format(time.RFC3339))); err != nil {
			return err
		}
	}
	if rec.State == registry.Submitted {
		if err := d.two.call(ctx, "POST", "/v1/orders/approve", map[string]string{"id": demoReports}, nil); err != nil {
			return err
		}
	}
	return d.awaitActive(ctx, demoReports)
}

// awaitActive waits until an order is carried out.
func (d *demonstration) awaitActive(ctx context.Context, id string) error {
	for {
		rec, err := d.one.order(ctx, id)
		if err != nil || rec.State == registry.Active {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("order %s is %s: %s", id, rec.State, rec.Waiting)
		case <-time.After(pollInterval):
		}
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"trustcore/cmd/internal/console"
	"trustcore/cmd/internal/registry"
	"trustcore/cmd/internal/rights"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
	"trustcore/pki"
	"trustcore/vpn"
)

// Limits of what verifyd is asked.
const (
	maxReport     = 16 << 20 // bytes of its answer
	verifyTimeout = 2 * time.Minute
)

// openConsole makes the officers' page on loopback.
func (d *daemon) openConsole() (*console.Console, error) {
	pin, err := d.enrolmentPin()
	if err != nil {
		return nil, err
	}
	cfg := console.Config{
		Registry: d.registry, Audit: d.custody.Audit, Now: time.Now, Logger: d.cfg.Logger, Away: away,
		Certificates: d.certificateViews, Keys: d.keyViews, Tunnels: d.tunnelViews,
		Expiring: d.expiryViews, Motions: console.Motions{Waiting: d.motionViews, Approve: d.approveAndCarry}, Acts: d.consoleActs(),
		EnrolmentURL: "https://" + d.cfg.Enrolment, EnrolmentPin: pin,
	}
	if d.cfg.Verifyd.URL != "" {
		trust, err := d.cfg.Identity.Client()
		if err != nil {
			return nil, err
		}
		v := verifier{url: strings.TrimSuffix(d.cfg.Verifyd.URL, "/") + "/v1/validations",
			client: &http.Client{Transport: &http.Transport{TLSClientConfig: trust}, Timeout: verifyTimeout}}
		cfg.Verify = v.verify
	}
	return console.New(cfg)
}

// enrolmentPin is the digest of the root, which ends the chain that the enrolment server shows.
func (d *daemon) enrolmentPin() (string, error) {
	ders := d.ca.Authorities()
	if len(ders) == 0 {
		return "", errors.New("the authority's chain holds no certificate")
	}
	sum := sha256.Sum256(ders[len(ders)-1])
	return hex.EncodeToString(sum[:]), nil
}

// consoleLogin makes the one-time link with which an officer enters the console. The session holds as
// long as the certificate that asked for it opens the console.
func (d *daemon) consoleLogin(r *http.Request, who audit.Actor) (any, error) {
	c := r.TLS.PeerCertificates[0] // who was admitted has shown one
	guard := d.guard(rights.Console)
	held, err := guard.AdmitCertificate(r.Context(), c, console.Start)
	if err != nil {
		return nil, err
	}
	code, err := d.page.Code(r.Context(), who, held.Role(), func(route string) bool {
		_, err := guard.AdmitCertificate(context.Background(), c, route)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]string{"url": "https://" + d.cfg.Console + "/login?code=" + code}, nil
}

// expiryViews lists what ends, with what is announced of it.
func (d *daemon) expiryViews(ctx context.Context) ([]console.Expiry, error) {
	found, err := d.expiring(ctx)
	if err != nil {
		return nil, err
	}
	views, now := make([]console.Expiry, len(found)), time.Now()
	for i, e := range found {
		views[i] = e.view(now)
	}
	return views, nil
}

func (e expiry) view(now time.Time) console.Expiry {
	_, act := e.finding(now)
	return console.Expiry{Kind: e.Kind, Subject: e.Subject, Partner: e.Partner, Order: e.Order, NotAfter: e.NotAfter,
		ByItself: e.Renewed == byItself, Act: act, Step: step(e.NotAfter.Sub(now)), Remedy: e.remedyWord(), Failure: e.Failure}
}

// remedyWord names what people do, of the console's list.
func (e expiry) remedyWord() string {
	ofAuthority := slices.Contains([]string{"crl", string(pki.OCSPResponder), string(pki.TimeStamping)}, e.Kind)
	switch {
	case e.Renewed == byItself && ofAuthority:
		return "authority"
	case e.Renewed == byItself:
		return "holder"
	case e.Kind == "crl":
		return "root-list"
	case e.Kind == string(pki.Officer):
		return "officer"
	case e.Kind == registry.EndOfToken:
		return "token"
	case e.Kind == endOfMechanism:
		return "mechanism"
	case e.Kind == registry.EndOfAuthorisation, e.Cut == string(pki.CutByAuthorisation):
		return "authorisation"
	}
	return "ceremony"
}

// peers returns what the gateways that are not silent say, by public key; of two the one that heard the
// office last, with its health as of now.
func (g *gateways) peers(now time.Time) map[string]vpn.PeerStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	peers := map[string]vpn.PeerStatus{}
	for _, r := range g.reports {
		if now.Sub(r.at) > reportLife {
			continue
		}
		for _, p := range r.status.Peers {
			key := p.PublicKey.String()
			if before, there := peers[key]; there && before.LastHandshake.After(p.LastHandshake) {
				continue
			}
			p.State = vpn.StateAt(p.LastHandshake, now)
			peers[key] = p
		}
	}
	return peers
}

// verifier hands documents to verifyd as octets: trustd looks into none.
type verifier struct {
	url    string
	client *http.Client
}

// verify sends a document with what it signs, and returns the report.
func (v verifier) verify(ctx context.Context, next func() (*console.File, error)) ([]byte, error) {
	out, in := io.Pipe()
	form := multipart.NewWriter(in)
	written := make(chan error, 1)
	go func() {
		err := pipeFiles(form, next)
		written <- err
		in.CloseWithError(err)
	}()
	answer, err := v.post(ctx, form.FormDataContentType(), out)
	out.CloseWithError(io.ErrClosedPipe) // an answer that came early ends the writing
	// The writer reads from the caller's request: it must have ended before that goes on.
	if failed := <-written; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return nil, failed
	}
	return answer, err
}

// pipeFiles writes one multipart body as verifyd takes it.
func pipeFiles(form *multipart.Writer, next func() (*console.File, error)) error {
	for {
		f, err := next()
		if errors.Is(err, io.EOF) {
			return form.Close()
		}
		if err != nil {
			return err
		}
		name := "document"
		if f.Signed {
			name = "detached"
		}
		part, err := form.CreateFormFile(name, f.Name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(part, f.Body); err != nil {
			return err
		}
	}
}

func (v verifier) post(ctx context.Context, contentType string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := v.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("verifyd does not answer: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxReport+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("verifyd's answer: %w", err)
	case len(answer) > maxReport:
		return nil, fmt.Errorf("verifyd's answer has more than %d bytes", maxReport)
	case response.StatusCode == http.StatusOK:
		return answer, nil
	}
	p := problem.Problem{Title: response.Status}
	if err := json.Unmarshal(answer, &p); err != nil {
		return nil, fmt.Errorf("verifyd answers %s", response.Status)
	}
	p.Status = response.StatusCode
	return nil, &p
}

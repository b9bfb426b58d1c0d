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
	"trustcore/hsm"
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
		Expiring: d.expiryViews, Motions: console.Motions{Waiting: d.motionViews, Approve: d.approveAndCarry},
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
	code, err := d.page.Code(r.Context(), who, func() bool {
		_, err := guard.AdmitCertificate(context.Background(), c, "/")
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]string{"url": "https://" + d.cfg.Console + "/login?code=" + code}, nil
}

// certificateViews lists the inventory for the console.
func (d *daemon) certificateViews(ctx context.Context) ([]console.Certificate, error) {
	found, err := d.ca.Certificates(ctx, pki.Filter{})
	if err != nil {
		return nil, err
	}
	views := make([]console.Certificate, len(found))
	for i, c := range found {
		views[i] = certificateView(c)
	}
	return views, nil
}

func certificateView(c pki.Certificate) console.Certificate {
	return console.Certificate{Serial: c.Serial, Subject: c.CommonName, Profile: string(c.Profile), Partner: c.Partner, Order: c.Order,
		State: string(c.State), NotBefore: c.NotBefore, NotAfter: c.NotAfter, RevokedAt: c.RevokedAt}
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

// motionViews lists the motions that wait, oldest first.
func (d *daemon) motionViews(ctx context.Context) ([]console.Motion, error) {
	open, err := d.registry.OpenMotions(ctx)
	if err != nil {
		return nil, err
	}
	var views []console.Motion
	for _, m := range open {
		view, err := d.motionView(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("motion %s: %w", m.ID, err)
		}
		views = append(views, view)
	}
	return views, nil
}

// motionView shows what a motion is about: the key that it certifies, or the certificates that it changes.
func (d *daemon) motionView(ctx context.Context, m registry.Motion) (console.Motion, error) {
	view := console.Motion{Motion: m}
	switch m.Kind {
	case registry.StrikeGateway, registry.EndHubKey, registry.ResumeKeys, registry.DestroyKeys, registry.RotateKeys: // its subject names it
		return view, nil
	case registry.CertifyOfficer:
		var body certifying
		if err := json.Unmarshal(m.Body, &body); err != nil {
			return view, err
		}
		request, err := requestIn(body.CSR)
		if err != nil {
			return view, err
		}
		sum := sha256.Sum256(request.RawSubjectPublicKeyInfo)
		view.Key = hex.EncodeToString(sum[:])
		return view, nil
	}
	var body marking
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return view, err
	}
	view.Reason = body.Reason
	reason := reasons[body.Reason]
	if m.Kind == registry.ReleaseCertificates {
		reason = pki.RemoveFromCRL
	}
	found, err := d.ca.Preview(ctx, body.Which.which(), reason)
	if errors.Is(err, pki.ErrUnknownCertificate) {
		return view, nil // it touches none, which the page says
	}
	for _, c := range found {
		view.Certificates = append(view.Certificates, certificateView(c))
	}
	return view, err
}

// approveAndCarry decides for a motion, and carries it out.
func (d *daemon) approveAndCarry(ctx context.Context, who audit.Actor, id string) (*registry.Motion, error) {
	m, err := d.registry.ApproveMotion(ctx, who, id)
	if err != nil {
		return nil, err
	}
	d.carryMotion(context.WithoutCancel(ctx), *m)
	return d.registry.Motion(ctx, id)
}

func (d *daemon) keyViews(ctx context.Context) ([]console.Key, error) {
	found, err := d.custody.HSM.Keys(ctx, hsm.Filter{})
	if err != nil {
		return nil, err
	}
	views := make([]console.Key, len(found))
	for i, k := range found {
		views[i] = console.Key{ID: k.ID, Partner: k.Partner, Order: k.Order, Label: k.Name(), Algorithm: string(k.Algorithm), State: string(k.State),
			NeverExtractable: k.Attestation.NeverExtractable && !k.Attestation.Extractable, Created: k.Created}
	}
	return views, nil
}

// tunnelViews joins the wish with what the VPN gateways report: a tunnel that no gateway speaks of
// lately is unknown, one that a gateway still has without a wish is being removed.
func (d *daemon) tunnelViews(ctx context.Context) ([]console.Tunnel, error) {
	_, wished, err := d.registry.Wish(ctx)
	if err != nil {
		return nil, err
	}
	peers := d.gateways.peers(time.Now())
	var views []console.Tunnel
	for _, t := range wished {
		view := console.Tunnel{Partner: t.Partner, Site: t.Site, Order: t.Order, Address: t.Address.String(), State: "unknown"}
		if p, reported := peers[t.PublicKey]; reported {
			view.State, view.LastHandshake, view.Received, view.Sent = string(p.State), p.LastHandshake, p.Received, p.Sent
			delete(peers, t.PublicKey)
		}
		views = append(views, view)
	}
	for _, p := range peers {
		views = append(views, console.Tunnel{Partner: p.Partner, Site: p.Site, State: "removing", LastHandshake: p.LastHandshake, Received: p.Received, Sent: p.Sent})
	}
	return views, nil
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

package pki

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"trustcore/internal/problem"
	"trustcore/pki/tsa"
)

// openStamps makes the time-stamping unit where Config has one.
func (ca *CA) openStamps() error {
	if ca.cfg.TSA.Certificate == nil {
		return nil
	}
	var err error
	ca.stamps, err = tsa.New(tsa.Config{Certificate: ca.cfg.TSA.Certificate, Chain: []*x509.Certificate{ca.cfg.Issuing}, Key: ca.cfg.TSA.Key,
		Policy: ca.cfg.TSAPolicy, Clock: ca.cfg.TSAClock, Journal: ca.journal.append, Logger: ca.cfg.Logger})
	return err
}

// Handler answers for the authority under the path of BaseURL: /ocsp (GET and POST), /crl/issuing.crl, /crl/root.crl,
// /ca/issuing.crt, /ca/root.crt and /tsa. Put it in front of any ServeMux: that one would redirect the double
// slashes that base64 has in OCSP GET requests.
func (ca *CA) Handler() http.Handler {
	prefix := ""
	if u, err := url.Parse(ca.cfg.BaseURL); err == nil {
		prefix = u.Path
	}
	fixed := map[string]http.Handler{
		"/crl/issuing.crl": &ca.lists.issuing,
		"/crl/root.crl":    &ca.lists.root,
		"/ca/issuing.crt":  certificateHandler(ca.cfg.Issuing),
		"/ca/root.crt":     certificateHandler(ca.cfg.Root),
	}
	if ca.stamps != nil {
		fixed["/tsa"] = ca.stamps
	}
	responder := http.StripPrefix(prefix+"/ocsp", ca.responder)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, under := strings.CutPrefix(r.URL.Path, prefix)
		switch handler, found := fixed[path]; {
		case !under:
			problem.NotFound(w)
		case found:
			handler.ServeHTTP(w, r)
		case path == "/ocsp", strings.HasPrefix(path, "/ocsp/"):
			responder.ServeHTTP(w, r)
		default:
			problem.NotFound(w)
		}
	})
}

// certificateHandler gives out a certificate in DER (RFC 2585: application/pkix-cert).
func certificateHandler(certificate *x509.Certificate) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			problem.MethodNotAllowed(w, "GET, HEAD")
			return
		}
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Header().Set("Content-Length", strconv.Itoa(len(certificate.Raw)))
		// A client that went away has no use for the error.
		_, _ = w.Write(certificate.Raw)
	})
}

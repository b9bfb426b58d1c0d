package pki

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"trustcore/internal/problem"
)

// Handler answers for the authority under the path of BaseURL: /ca/root.crt, /crl/root.crl and /tsa, and for each issuing authority
// /ca/NAME.crt, /crl/NAME.crl and its responder (GET and POST), which is /ocsp for the first and /NAME/ocsp for others. Put it in
// front of any ServeMux: that one would redirect the double slashes that base64 has in OCSP GET requests.
func (ca *CA) Handler() http.Handler {
	prefix := ""
	if u, err := url.Parse(ca.cfg.BaseURL); err == nil {
		prefix = u.Path
	}
	fixed := map[string]http.Handler{"/crl/root.crl": &ca.rootList, "/ca/root.crt": certificateHandler(ca.cfg.Root)}
	responders := map[string]http.Handler{}
	for _, i := range ca.issuers {
		fixed["/crl/"+i.name+".crl"] = &i.list
		fixed["/ca/"+i.name+".crt"] = certificateHandler(i.certificate)
		path := strings.TrimPrefix(i.places.OCSP, ca.cfg.BaseURL)
		responders[path] = http.StripPrefix(prefix+path, i.responder)
	}
	if ca.stamps != nil {
		fixed["/tsa"] = ca.stamps
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, under := strings.CutPrefix(r.URL.Path, prefix)
		if handler, found := fixed[path]; found && under {
			handler.ServeHTTP(w, r)
			return
		}
		for place, responder := range responders {
			if under && (path == place || strings.HasPrefix(path, place+"/")) {
				responder.ServeHTTP(w, r)
				return
			}
		}
		problem.NotFound(w)
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

package pki

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"trustcore/internal/problem"
)

// Handler answers for the authority under the path of BaseURL: /tsa, for each root /ca/NAME.crt and /crl/NAME.crl, and for each issuing
// authority those too, /ca/NAME-by-ROOT.crt for the certificate of either by another root, and of each issuing authority its responder (GET
// and POST), which is /ocsp for the first and /NAME/ocsp for others. Put it in front of any ServeMux: that one would redirect the double
// slashes that base64 has in OCSP GET requests.
func (ca *CA) Handler() http.Handler {
	prefix := ""
	if u, err := url.Parse(ca.cfg.BaseURL); err == nil {
		prefix = u.Path
	}
	fixed := map[string]http.Handler{}
	crossed := func(name string, crosses []*x509.Certificate) {
		for _, c := range crosses {
			if by := ca.rootOf(authorityOf(c)); by != nil {
				fixed["/ca/"+name+"-by-"+by.name+".crt"] = certificateHandler(c)
			}
		}
	}
	for _, r := range ca.roots {
		fixed["/crl/"+r.name+".crl"], fixed["/ca/"+r.name+".crt"] = &r.list, certificateHandler(r.certificate)
		crossed(r.name, r.crosses)
	}
	responders := map[string]http.Handler{}
	for _, i := range ca.issuers {
		fixed["/crl/"+i.name+".crl"] = &i.list
		fixed["/ca/"+i.name+".crt"] = certificateHandler(i.certificate)
		crossed(i.name, i.crosses)
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

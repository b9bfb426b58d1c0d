package api

import (
	"mime"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/verify"
)

// bodyCost is what reading a body may cost: some passes over it, and copies of what it holds.
var bodyCost = budgettest.Limit{Time: 100 * time.Millisecond, TimeAnOctet: 2 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 200}

// FuzzForm: whatever comes as multipart/form-data is read at the cost of its size, and holds no more than was sent.
func FuzzForm(f *testing.F) {
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=document; filename=a\r\n\r\nb\r\n--x--\r\n"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=document\r\n\r\nb\r\n--x\r\n"+
		"Content-Disposition: form-data; name=digest\r\n\r\na=SHA-256:"+strings.Repeat("00", 32)+"\r\n--x\r\n"+
		"Content-Disposition: form-data; name=password\r\n\r\nc\r\n--x--\r\n"))
	s := &Server{cfg: Config{Policies: func() []*verify.Policy { return nil }}}
	f.Fuzz(func(t *testing.T, contentType string, data []byte) {
		media, parameters, err := mime.ParseMediaType(contentType)
		if err != nil || media != "multipart/form-data" {
			return
		}
		budgettest.Check(t, len(contentType)+len(data), bodyCost, func() {
			in, err := s.readDocument(&call{media: media, parameters: parameters, body: &body{size: int64(len(data)), memory: data}})
			held := len(in.Document)
			for _, d := range in.Detached {
				held += len(d.Content)
			}
			for _, p := range in.Passwords {
				held += len(p)
			}
			if err == nil && (held >= len(data) || len(in.Detached) > maxParts) {
				t.Errorf("%d bytes hold %d in %d files", len(data), held, len(in.Detached))
			}
		})
	})
}

// FuzzDocumentJSON does the same with a request of DSS.
func FuzzDocumentJSON(f *testing.F) {
	f.Add([]byte(`{"signedDocument":{"bytes":"eA==","digestAlgorithm":null,"name":"a"},"originalDocuments":[{"bytes":"eQ=="}],"validationTime":1772539200000}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), bodyCost, func() {
			var in dssRequest
			if decode(&body{size: int64(len(data)), memory: data}, &in) != nil {
				return
			}
			req, err := in.request(nil)
			held := len(req.Document)
			for _, d := range req.Detached {
				held += len(d.Content)
			}
			if err == nil && (held > len(data) || len(req.Detached) > maxParts) {
				t.Errorf("%d bytes hold %d in %d files", len(data), held, len(req.Detached))
			}
		})
	})
}

// FuzzCertificateJSON does the same with both requests about a certificate, their certificates included.
func FuzzCertificateJSON(f *testing.F) {
	f.Add([]byte(`{"certificate":"MAA=","certificates":["MAA="],"at":"2026-03-03T12:00:00Z","revocation":"none","policies":["1.2.3"]}`))
	f.Add([]byte(`{"certificate":{"encodedCertificate":"MAA="},"certificateChain":[{"encodedCertificate":"MAA="}],"validationTime":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), bodyCost, func() {
			var own certificateRequest
			if decode(&body{size: int64(len(data)), memory: data}, &own) == nil {
				if q, err := own.question([]byte(own.Certificate)); (q == nil) == (err == nil) {
					t.Errorf("%v, %v", q, err)
				}
			}
			var dss dssCertificateRequest
			if decode(&body{size: int64(len(data)), memory: data}, &dss) == nil {
				if q, err := dss.question(); (q == nil) == (err == nil) {
					t.Errorf("%v, %v", q, err)
				}
			}
		})
	})
}

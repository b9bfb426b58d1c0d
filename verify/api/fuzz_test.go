package api

import (
	"bytes"
	"mime"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget/budgettest"
	"trustcore/verify"
	"trustcore/verify/client"
	"trustcore/verify/poland"
)

// bodyCost is what reading a body may cost: some passes over it, and copies of what it holds.
var bodyCost = budgettest.Limit{Time: 100 * time.Millisecond, TimeAnOctet: 2 * time.Microsecond, Alloc: 4 << 20, AllocAnOctet: 200}

// FuzzForm: whatever comes as multipart/form-data is read at the cost of its size, and holds no more than was sent.
func FuzzForm(f *testing.F) {
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=document; filename=a\r\n\r\nb\r\n--x--\r\n"))
	f.Add("multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=document\r\n\r\nb\r\n--x\r\n"+
		"Content-Disposition: form-data; name=digest\r\n\r\na=SHA-256:"+strings.Repeat("00", 32)+"\r\n--x\r\n"+
		"Content-Disposition: form-data; name=password\r\n\r\nc\r\n--x--\r\n"))
	s := &Server{cfg: Config{Policies: func() []*verify.Policy { return nil }, Cards: func() poland.Cards { return nil }}}
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
	f.Add([]byte(`{"certificate":"MAA=","certificates":["MAA="],"at":"2026-03-03T12:00:00Z","revocation":"none","certificate_policies":["1.2.3"],"purposes":["clientAuth"],"crls":["MAA="],"ocsps":["MAA="]}`))
	f.Add([]byte(`{"certificate":{"encodedCertificate":"MAA="},"certificateChain":[{"encodedCertificate":"MAA="}],"validationTime":null}`))
	s := &Server{cfg: Config{Policies: func() []*verify.Policy { return nil }}}
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), bodyCost, func() {
			var own client.CertificateQuestion
			if decode(&body{size: int64(len(data)), memory: data}, &own) == nil {
				if q, err := s.question(&own, []byte(own.Certificate)); q == nil && err == nil {
					t.Error("neither a question nor an error")
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

// FuzzSivaJSON does the same with SiVa's requests.
func FuzzSivaJSON(f *testing.F) {
	f.Add([]byte(`{"document":"eA==","filename":"a.xml","signaturePolicy":"POLv4","reportType":"Detailed"}`))
	f.Add([]byte(`{"signatureFiles":[{"signature":"eA==","datafiles":[{"filename":"a","hashAlgo":"SHA256","hash":"eA=="}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), bodyCost, func() {
			var one sivaRequest
			if decode(&body{size: int64(len(data)), memory: data}, &one) == nil && len(one.Document) > len(data) {
				t.Error("a document larger than its request")
			}
			var many sivaHashRequest
			if decode(&body{size: int64(len(data)), memory: data}, &many) != nil {
				return
			}
			for i := range many.SignatureFiles {
				if r, err := many.SignatureFiles[i].request(i); err == nil && len(r.Detached) != len(many.SignatureFiles[i].Datafiles) {
					t.Error("a file was lost")
				}
			}
		})
	})
}

// FuzzBatch does the same with the lines of a batch.
func FuzzBatch(f *testing.F) {
	f.Add([]byte("{\"certificate\":\"MAA=\"}\n\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), bodyCost, func() {
			lines, err := readLines(bytes.NewReader(data))
			held := 0
			for _, line := range lines {
				held += len(line)
			}
			if err == nil && (held > len(data) || len(lines) > maxBatch) {
				t.Errorf("%d bytes hold %d in %d lines", len(data), held, len(lines))
			}
		})
	})
}

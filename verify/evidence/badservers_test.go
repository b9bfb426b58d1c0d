package evidence_test

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"trustcore/verify"
	"trustcore/verify/evidence"
	"trustcore/verify/internal/mint"
)

// says answers with the octets.
func says(data []byte) http.HandlerFunc {
	return func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write(data) }
}

// drip sends an octet now and then, without end.
func drip(out http.ResponseWriter, r *http.Request) {
	for _, err := out.Write([]byte{0x30}); err == nil; _, err = out.Write([]byte{0}) {
		out.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// endless sends zeros as fast as they are taken.
func endless(out http.ResponseWriter, _ *http.Request) {
	zeros := make([]byte, 1<<16)
	for _, err := out.Write(zeros); err == nil; _, err = out.Write(zeros) {
	}
}

// endlessTo is that, and fails the test when so many octets were taken; the buffers between hold far fewer.
func endlessTo(most int) func(o *office) http.HandlerFunc {
	return func(o *office) http.HandlerFunc {
		return func(out http.ResponseWriter, _ *http.Request) {
			zeros := make([]byte, 1<<16)
			for taken := 0; taken < most; taken += len(zeros) {
				if _, err := out.Write(zeros); err != nil {
					return
				}
			}
			o.t.Errorf("%d octets were taken of an endless answer", most)
		}
	}
}

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// bomb is compressed: what was not asked for is not unpacked.
func bomb(out http.ResponseWriter, _ *http.Request) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 100<<20))
	_ = w.Close()
	out.Header().Set("Content-Encoding", "gzip")
	_, _ = out.Write(packed.Bytes())
}

// list is a CRL of the issuer that a row changes.
func (o *office) list(by mint.Party, change func(*x509.RevocationList)) []byte {
	o.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: o.now.Add(-time.Hour),
		NextUpdate: o.now.AddDate(0, 0, 7)}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, by.Cert, by.Key)
	if err != nil {
		o.t.Fatal(err)
	}
	return der
}

// scope adds an issuingDistributionPoint, whose octets are those of the sequence.
func scope(content ...byte) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		value := append([]byte{0x30, byte(len(content))}, content...)
		l.ExtraExtensions = append(l.ExtraExtensions,
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value})
	}
}

// withNonce puts a nonce into an answer and signs it anew (RFC 9654 2.1).
func (o *office) withNonce(der []byte) []byte {
	o.t.Helper()
	type basic struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	var outer struct {
		Status   asn1.Enumerated
		Response struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0"`
	}
	var inner basic
	_, err := asn1.Unmarshal(der, &outer)
	if err == nil {
		_, err = asn1.Unmarshal(outer.Response.Basic, &inner)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	nonce := []byte{0xa1, 0x1b, 0x30, 0x19, 0x30, 0x17, 0x06, 0x09, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02,
		0x04, 0x0a, 0x04, 0x08,
		1, 2, 3, 4, 5, 6, 7, 8}
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true,
		Bytes: append(inner.TBS.Bytes, nonce...)})
	if err != nil {
		o.t.Fatal(err)
	}
	digest := sha256.Sum256(tbs)
	signature, err := ecdsa.SignASN1(rand.Reader, o.ca.Key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		o.t.Fatal(err)
	}
	inner.TBS, inner.Signature = asn1.RawValue{FullBytes: tbs},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if outer.Response.Basic, err = asn1.Marshal(inner); err != nil {
		o.t.Fatal(err)
	}
	if der, err = asn1.Marshal(outer); err != nil {
		o.t.Fatal(err)
	}
	return der
}

// replayed answers with what the responder said of somebody else.
func (o *office) replayed() http.HandlerFunc {
	return says(o.answer(ocsp.Response{SerialNumber: o.officer("", nil).Cert.SerialNumber}))
}

// about answers about the one who is asked for.
func (o *office) about(make func(ocsp.Response) []byte) http.HandlerFunc {
	return func(out http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		q, err := ocsp.ParseRequest(body.Bytes())
		if err != nil {
			o.t.Error(err)
			return
		}
		_, _ = out.Write(make(ocsp.Response{SerialNumber: q.SerialNumber, ThisUpdate: o.now,
			NextUpdate: o.now.Add(time.Hour)}))
	}
}

// bad is a server in a way in which it may fail.
type bad struct {
	name, services string
	serve          func(o *office) (path string, do http.HandlerFunc)
	change         func(o *office, r *mint.Request) // of the signer's certificate
	passes         bool
	again          time.Duration   // from now: when asking again may help
	or             []time.Duration // also, where it depends on the machine's speed
}

const (
	anew  = 30 * time.Second // a source that failed is asked anew
	later = 3 * time.Second  // one that is slow has answered by then, or not
)

func badServers() []bad {
	crl := func(make func(o *office) http.HandlerFunc) func(*office) (string, http.HandlerFunc) {
		return func(o *office) (string, http.HandlerFunc) { return "/crl", make(o) }
	}
	responder := func(make func(o *office) http.HandlerFunc) func(*office) (string, http.HandlerFunc) {
		return func(o *office) (string, http.HandlerFunc) { return "/ocsp", make(o) }
	}
	plain := func(do http.HandlerFunc) func(*office) http.HandlerFunc {
		return func(*office) http.HandlerFunc { return do }
	}
	changed := func(change func(o *office, l *x509.RevocationList)) func(*office) http.HandlerFunc {
		return func(o *office) http.HandlerFunc {
			return says(o.list(o.ca, func(l *x509.RevocationList) { change(o, l) }))
		}
	}
	stranger := func(o *office, change func(*x509.RevocationList)) http.HandlerFunc {
		return says(o.list(mint.Root(o.t, "Office CA"), change))
	}
	at := func(from time.Duration) func(ocsp.Response) ocsp.Response {
		return func(r ocsp.Response) ocsp.Response {
			r.ThisUpdate, r.NextUpdate = r.ThisUpdate.Add(from), r.ThisUpdate.Add(from+time.Hour)
			return r
		}
	}
	return []bad{
		{name: "silent list", services: "crl", serve: crl(plain(silent)), again: later},
		{name: "list octet by octet", services: "crl", serve: crl(plain(drip)), again: later},
		{name: "endless list", services: "crl", serve: crl(plain(endless)), again: anew, or: []time.Duration{later}},
		{name: "compressed bomb", services: "crl", serve: crl(plain(bomb)), again: anew, or: []time.Duration{later}},
		{name: "page", services: "crl", serve: crl(plain(says([]byte("<html><body>maintenance</body></html>")))),
			again: anew},
		{name: "nothing", services: "crl", serve: crl(plain(says(nil))), again: anew},
		{name: "error", services: "crl", serve: crl(plain(func(out http.ResponseWriter,
			_ *http.Request) {
			http.Error(out, "", 500)
		})), again: anew},
		{name: "broken off", services: "crl", again: anew, serve: crl(func(o *office) http.HandlerFunc {
			return func(out http.ResponseWriter, _ *http.Request) {
				out.Header().Set("Content-Length", "100000")
				_, _ = out.Write(o.list(o.ca, nil))
			}
		})},
		{name: "half a list", services: "crl", again: anew,
			serve: crl(func(o *office) http.HandlerFunc { return says(o.list(o.ca, nil)[:100]) })},
		{name: "redirect to a private address", services: "crl", again: anew, serve: crl(func(o *office) http.HandlerFunc {
			inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter,
				*http.Request) {
				o.t.Error("the inside was reached")
			}))
			o.t.Cleanup(inside.Close)
			return func(out http.ResponseWriter, r *http.Request) { http.Redirect(out, r, inside.URL, http.StatusFound) }
		})},
		{name: "redirect without end", services: "crl", again: anew,
			serve: crl(plain(func(out http.ResponseWriter, r *http.Request) {
				http.Redirect(out, r, "/crl", http.StatusFound)
			}))},
		{name: "list that has run out", services: "crl", again: anew,
			serve: crl(changed(func(o *office, l *x509.RevocationList) {
				l.ThisUpdate, l.NextUpdate = o.now.AddDate(0, 0, -8), o.now.AddDate(0, 0, -1)
			}))},
		{name: "list of tomorrow", services: "crl", again: 24 * time.Hour,
			serve: crl(changed(func(o *office, l *x509.RevocationList) {
				l.ThisUpdate, l.NextUpdate = o.now.AddDate(0, 0, 1), o.now.AddDate(0, 0, 8)
			}))},
		{name: "list from before the certificate", services: "crl", again: 20 * time.Minute,
			serve: crl(changed(func(o *office, l *x509.RevocationList) {
				l.ThisUpdate, l.NextUpdate = o.now.Add(-3*time.Hour), o.now.Add(20*time.Minute)
			})), change: func(o *office, r *mint.Request) { r.From = o.now.Add(-2 * time.Hour) }},
		{name: "list from long before the certificate", services: "crl", again: time.Hour,
			serve: crl(changed(func(o *office, l *x509.RevocationList) {
				l.ThisUpdate = o.now.Add(-3 * time.Hour)
			})), change: func(o *office, r *mint.Request) { r.From = o.now.Add(-2 * time.Hour) }},
		{name: "list with another signature", services: "crl", again: anew, serve: crl(func(o *office) http.HandlerFunc {
			der := o.list(o.ca, nil)
			der[len(der)-1] ^= 1
			return says(der)
		})},
		{name: "list of another authority of the name", services: "crl", again: anew,
			serve: crl(func(o *office) http.HandlerFunc { return stranger(o, nil) })},
		{name: "list of authorities' certificates", services: "crl", again: anew,
			serve: crl(changed(func(_ *office, l *x509.RevocationList) {
				scope(0x82, 1, 0xff)(l)
			}))},
		{name: "list of another point", services: "crl", again: anew,
			serve: crl(changed(func(_ *office, l *x509.RevocationList) {
				scope(append([]byte{0xa0, 0x0b, 0xa0, 0x09, 0x86, 0x07}, "http://"...)...)(l)
			}))},
		{name: "list of some reasons", services: "crl", again: anew,
			serve: crl(changed(func(_ *office, l *x509.RevocationList) {
				scope(0x83, 2, 6, 0x40)(l)
			}))},
		{name: "indirect list of a stranger", services: "crl", again: anew, serve: crl(func(o *office) http.HandlerFunc {
			return says(o.list(mint.Root(o.t, "Stranger"), scope(0x84, 1, 0xff)))
		})},
		{name: "indirect list of a stranger of the name", services: "crl", again: anew,
			serve: crl(func(o *office) http.HandlerFunc {
				return stranger(o, scope(0x84, 1, 0xff))
			})},
		{name: "delta alone", services: "crl", again: anew, serve: crl(changed(func(_ *office, l *x509.RevocationList) {
			l.ExtraExtensions = append(l.ExtraExtensions,
				pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 3}})
		}))},

		{name: "silent responder", services: "ocsp", serve: responder(plain(silent)), again: later},
		{name: "answer octet by octet", services: "ocsp", serve: responder(plain(drip)), again: later},
		{name: "endless answer", services: "ocsp", serve: responder(endlessTo(64 << 20)), again: anew, or: []time.Duration{later}},
		{name: "page for an answer", services: "ocsp", serve: responder(plain(says([]byte("<html>")))), again: anew},
		{name: "try later", services: "ocsp", serve: responder(plain(says(ocsp.TryLaterErrorResponse))), again: anew},
		{name: "unauthorized", services: "ocsp", serve: responder(plain(says(ocsp.UnauthorizedErrorResponse))), again: anew},
		{name: "another's answer", services: "ocsp", again: anew, serve: responder((*office).replayed)},
		{name: "answer of a stranger", services: "ocsp", again: anew, serve: responder(func(o *office) http.HandlerFunc {
			s := mint.Root(o.t, "Office CA")
			return o.about(func(r ocsp.Response) []byte {
				der, err := ocsp.CreateResponse(o.ca.Cert, s.Cert, r, s.Key)
				if err != nil {
					o.t.Error(err)
				}
				return der
			})
		})},
		{name: "answer that has run out", services: "ocsp", again: anew, serve: responder(func(o *office) http.HandlerFunc {
			return o.about(func(r ocsp.Response) []byte { return o.answer(at(-2 * time.Hour)(r)) })
		})},
		{name: "answer of later", services: "ocsp", again: 40 * time.Minute,
			serve: responder(func(o *office) http.HandlerFunc {
				return o.about(func(r ocsp.Response) []byte { return o.answer(at(40 * time.Minute)(r)) })
			})},
		{name: "unknown", services: "ocsp", again: anew, serve: responder(func(o *office) http.HandlerFunc {
			return o.about(func(r ocsp.Response) []byte { r.Status = ocsp.Unknown; return o.answer(r) })
		})},
		{name: "answer to another request", services: "ocsp", again: anew, serve: responder(func(o *office) http.HandlerFunc {
			return o.about(func(r ocsp.Response) []byte { return o.withNonce(o.answer(r)) }) // of a quarter of an hour ago
		})},

		{name: "silent responder, list", services: "ocsp crl", serve: responder(plain(silent)), passes: true},
		{name: "another's answer, list", services: "ocsp crl", serve: responder((*office).replayed), passes: true},
		{name: "responder, silent list", services: "ocsp crl", serve: crl(plain(silent)), passes: true},
	}
}

// TestBadServers: whatever a server does, within the time there is a verdict, or TRY_LATER and when to ask again.
func TestBadServers(t *testing.T) {
	for _, test := range badServers() {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			if test.name == "answer to another request" {
				o.now = o.now.Add(15 * time.Minute) // the answer has the real time in it
			}
			o.instead(test.serve(o))
			document := o.document(o.officer(test.services, func(r *mint.Request) {
				if test.change != nil {
					test.change(o, r)
				}
			}), false)
			j := o.judge(func(c *evidence.Config) { c.Wait = 2500 * time.Millisecond })
			started := time.Now()
			r := j.verify(document)
			if took := time.Since(started); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			test.want(t, o, r)
		})
	}
}

func (b bad) want(t *testing.T, o *office, r *verify.SignatureReport) {
	t.Helper()
	switch {
	case b.passes:
		if r.Indication != verify.TotalPassed || r.TryAgain != nil {
			t.Errorf("%s %s %v %q", r.Indication, r.SubIndication, r.TryAgain, r.Reasons)
		}
		return
	case r.SubIndication != verify.TryLater || r.TryAgain == nil:
		t.Fatalf("%s %s %v %q", r.Indication, r.SubIndication, r.TryAgain, r.Reasons)
	}
	got := r.TryAgain.Sub(o.now)
	for _, want := range append(b.or, b.again) {
		if got == want {
			return
		}
	}
	t.Errorf("ask again in %s, want %s", got, b.again)
}

// TestTheDefaultTimeIsBelowFiveSeconds: whoever sets no time has the verdict in time.
func TestTheDefaultTimeIsBelowFiveSeconds(t *testing.T) {
	o := newOffice(t)
	o.instead("/ocsp", silent)
	started := time.Now()
	r := o.judge(func(c *evidence.Config) { c.Wait = 0 }).verify(o.document(o.officer("ocsp", nil), false))
	if took := time.Since(started); took > 5*time.Second || r.SubIndication != verify.TryLater {
		t.Errorf("%s after %s", r.SubIndication, took)
	}
}

// TestNothingWaitsOffline: nobody is asked, so that there is no time at which asking again helps.
func TestNothingWaitsOffline(t *testing.T) {
	o := newOffice(t)
	r := o.judge(func(c *evidence.Config) { c.Offline = true }).verify(o.document(o.officer("ocsp crl", nil), false))
	if r.Indication != verify.Indeterminate || r.SubIndication == verify.TryLater || r.TryAgain != nil {
		t.Errorf("%s %s %v", r.Indication, r.SubIndication, r.TryAgain)
	}
	o.wantAsked(0, 0)
}

// TestWhoComesBackIsServed: a list that took longer than the wait is there for who comes back, without another request.
func TestWhoComesBackIsServed(t *testing.T) {
	o := newOffice(t)
	release := make(chan struct{})
	o.instead("/crl", func(out http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = out.Write(o.list(o.ca, nil))
	})
	document := o.document(o.officer("crl", nil), false)
	j := o.judge(func(c *evidence.Config) { c.Wait = 50 * time.Millisecond })
	if r := j.verify(document); r.SubIndication != verify.TryLater || r.TryAgain == nil {
		t.Errorf("%s %v", r.SubIndication, r.TryAgain)
	}
	close(release)
	for range 100 {
		if r := j.verify(document); r.Indication == verify.TotalPassed {
			o.wantAsked(1, 0)
			return
		}
	}
	t.Error("the list did not come")
}

// TestRevokedIsSaid: the most important answer is not lost among the others.
func TestRevokedIsSaid(t *testing.T) {
	for services, revoke := range map[string]func(o *office, of mint.Party){
		"crl": func(o *office, of mint.Party) { o.revoked[of.Cert] = o.now.Add(-2 * time.Hour) },
		"ocsp": func(o *office, _ mint.Party) {
			o.instead("/ocsp", o.about(func(r ocsp.Response) []byte {
				r.Status, r.RevokedAt = ocsp.Revoked, o.now.Add(-2*time.Hour)
				return o.answer(r)
			}))
		},
	} {
		o := newOffice(t)
		officer := o.officer(services, nil)
		revoke(o, officer)
		if r := o.judge(nil).verify(o.document(officer, false)); !strings.HasPrefix(string(r.SubIndication), "REVOKED") ||
			r.TryAgain != nil {
			t.Errorf("%s: %s %s %v", services, r.Indication, r.SubIndication, r.TryAgain)
		}
	}
}

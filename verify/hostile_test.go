package verify

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/cms"
	"trustcore/internal/pdf"
	"trustcore/verify/internal/mint"
	"trustcore/verify/judge"
)

// What a hostile document may cost: processor time and resident memory, the document itself included.
const (
	mayTake   = 2 * time.Second
	mayHold   = 128<<20 + 2*hugeBytes
	hugeBytes = 100 << 20
)

// emptyPDF is a document of one page.
func emptyPDF() []byte {
	var b bytes.Buffer
	var offsets []int
	b.WriteString("%PDF-1.7\n")
	for i, o := range []string{"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"} {
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj%sendobj\n", i+1, o)
	}
	start := b.Len()
	b.WriteString("xref\n0 4\n0000000000 65535 f \n")
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", start)
	return b.Bytes()
}

func signedPDF(t testing.TB, w *world) []byte {
	t.Helper()
	p, err := pdf.Prepare(emptyPDF(), pdf.SignOptions{SubFilter: pdf.SubFilterCAdES, ContentsSize: 8192, Time: mint.Day})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := p.Digest(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.Sign(cms.SignConfig{Signer: w.officer.Key, Certificate: w.officer.Cert.Raw, Hash: crypto.SHA256, Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		f, err := z.CreateHeader(&zip.FileHeader{Name: files[i], Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// minted are good documents, one a container.
func minted(t testing.TB, w *world) map[string][]byte {
	xml := mint.XML{Signer: w.officer, At: mint.Day, Stamps: []mint.Stamp{{By: w.tsa, At: mint.Day}},
		Certificates: [][]byte{w.ca.Cert.Raw}, CRLs: [][]byte{w.ca.CRL(t, mint.Day, map[*x509.Certificate]time.Time{})}}.Sign(t, letter)
	const mime = "application/vnd.etsi.asic-s+zip"
	return map[string][]byte{
		"XML": xml, "CMS": w.officer.CMS(t, []byte(letter), mint.Day), "PDF": signedPDF(t, w),
		"ASiC": pack(t, "mimetype", mime, "pismo.xml", letter, "META-INF/signatures.xml", string(xml)),
	}
}

// TestHostileSmall cuts, changes and mixes minted documents: whatever comes of it is an error or a report, and
// what was changed within the signed content never passes.
func TestHostileSmall(t *testing.T) {
	w := newWorld(t)
	ev := w.evidence(w.ca.CRL(t, mint.Day, nil))
	random := rand.New(rand.NewPCG(1, 2))
	for name, good := range minted(t, w) {
		if r := judgeBytes(t, good, ev); r == nil || len(r.Signatures) == 0 {
			t.Fatalf("%s: the good one is not read", name)
		}
		for range 300 {
			cut := random.IntN(len(good))
			judgeBytes(t, good[:cut], ev)
			changed := bytes.Clone(good)
			changed[cut] ^= byte(1 + random.IntN(255))
			judgeBytes(t, changed, ev)
		}
	}
	for name, data := range map[string]string{
		"empty": "", "blank": " \r\n", "random": string([]byte{0x93, 0x11, 0xff, 0}), "DTD": `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`,
		"external entity": `<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>`, "unknown entity": "<a>&b;</a>", "deep XML": strings.Repeat("<a>", 100_000),
		"30 80": strings.Repeat("\x30\x80", 50_000), "length of 2^63": "\x30\x88\x7f\xff\xff\xff\xff\xff\xff\xff", "PDF without anything": "%PDF-1.7",
		"PDF of brackets": "%PDF-1.7\n1 0 obj" + strings.Repeat("[", 100_000), "ZIP header": "PK\x03\x04", "ZIP end": "PK\x05\x06" + strings.Repeat("\x00", 18),
		"PEM": "-----BEGIN CMS-----\nMIIB\n-----END CMS-----\n", "base64": "MIIBAA==",
	} {
		if r := judgeBytes(t, []byte(data), ev); r != nil && len(r.Signatures) > 0 {
			t.Errorf("%s: %+v", name, r.Signatures)
		}
	}
	bomb := pack(t, "mimetype", "application/vnd.etsi.asic-e+zip", "META-INF/signatures.xml", "<a>"+strings.Repeat(" ", 64<<20)+"</a>", "a", "b")
	if r := judgeBytes(t, bomb, ev); r != nil && len(r.Signatures) > 0 && r.Signatures[0].SubIndication != judge.FormatFailure {
		t.Errorf("bomb: %+v", r.Signatures)
	}
}

// judgeBytes returns nil for what Open refuses.
func judgeBytes(t testing.TB, data []byte, ev *Evidence) *Report {
	t.Helper()
	doc, err := Open(budget.New(t.Context(), len(data)), data)
	if err != nil {
		if strings.Contains(err.Error(), "failed inside") {
			t.Errorf("%v", err)
		}
		return nil
	}
	r, err := Judge(budget.New(t.Context(), len(data)), doc, ev, DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		t.Error(err)
	}
	return r
}

// huge are documents of 100 MB, made of one allocation.
var huge = map[string]func() []byte{
	"zeros":        func() []byte { return make([]byte, hugeBytes) },
	"XML text":     func() []byte { return filled("<a>", "x", "</a>") },
	"XML elements": func() []byte { return filled("<a>", "<b/>", "</a>") },
	"XML depth":    func() []byte { return filled("", "<a>", "") },
	"XML entities": func() []byte { return filled("<a>", "&amp;", "</a>") },
	"XML signatures": func() []byte {
		return filled("<a>", `<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>`, "</a>")
	},
	"XML references": func() []byte {
		return filled(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>`, `<Reference URI=""/>`, "</SignedInfo></Signature>")
	},
	"XML attributes": func() []byte { return filled("<a ", `b="" `, "/>") },
	"XML open value": func() []byte { return filled(`<a b="`, "x", "") },
	"CMS 30 80":      func() []byte { return filled("", "\x30\x80", "") },
	"CMS octets": func() []byte {
		return filled("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80", "\x24\x80", "")
	},
	"CMS base64":   func() []byte { return filled("", "MIIB", "") },
	"PDF text":     func() []byte { return filled("%PDF-1.7\n", "x", "\nstartxref\n9\n%%EOF") },
	"PDF brackets": func() []byte { return filled("%PDF-1.7\n1 0 obj", "[", "") },
	"PDF objects": func() []byte {
		return filled("%PDF-1.7\n", "1 0 obj<</Type/Sig/Contents<00>/ByteRange[0 1 2 3]>>endobj\n", "")
	},
	"PDF ends":        func() []byte { return filled("%PDF-1.7\n", "startxref\n9\n%%EOF\n", "") },
	"ZIP header":      func() []byte { return filled("PK\x03\x04", "\x00", "") },
	"ZIP end":         func() []byte { return filled("PK\x03\x04", "PK\x05\x06", strings.Repeat("\x00", 18)) },
	"ZIP of an entry": func() []byte { return filled("PK\x03\x04", "PK\x01\x02", "") },
}

func filled(head, body, tail string) []byte {
	out := make([]byte, 0, hugeBytes)
	out = append(out, head...)
	for len(out)+len(body)+len(tail) <= hugeBytes {
		out = append(out, body...)
	}
	return append(out, tail...)
}

// hostileCase names, for a process of this test's own, the document to judge.
const hostileCase = "VERIFY_HOSTILE_CASE"

// TestHostileHuge judges documents of 100 MB, each in a process of its own, and looks at what it cost.
func TestHostileHuge(t *testing.T) {
	if name := os.Getenv(hostileCase); name != "" {
		data := huge[name]()
		runtime.GC()
		if _, err := Open(budget.New(t.Context(), len(data)), data); err != nil {
			fmt.Println(err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, peak, _ := strings.Cut(string(status), "VmHWM:")
		peak, _, _ = strings.Cut(peak, "kB")
		fmt.Printf("\npeak %s kB\n", strings.TrimSpace(peak))
		return
	}
	if testing.Short() || raceEnabled {
		t.Skip("documents of 100 MB: neither with -short nor under the race detector")
	}
	for name := range huge {
		t.Run(name, func(t *testing.T) {
			c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostileHuge$", "-test.v")
			c.Env = append(os.Environ(), hostileCase+"="+name)
			out, err := c.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out[max(0, len(out)-2000):])
			}
			if used := c.ProcessState.UserTime() + c.ProcessState.SystemTime(); used > mayTake {
				t.Errorf("took %s", used)
			}
			var peak int
			_, line, _ := strings.Cut(string(out), "\npeak ") // the kernel's count of children begins with what their parent held
			if _, err := fmt.Sscan(line, &peak); err != nil || peak<<10 > mayHold {
				t.Errorf("held %d MB (%v)", peak>>10, err)
			}
		})
	}
}

// FuzzOpen reads and judges anything. Nothing may panic, and a report is made to be written.
func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	for _, good := range minted(f, w) {
		f.Add(good)
	}
	f.Add([]byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80"))
	ev := w.evidence(w.ca.CRL(f, mint.Day, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := judgeBytes(t, data, ev)
		if r == nil {
			return
		}
		for i := range r.Signatures {
			s := &r.Signatures[i]
			if s.Indication == TotalPassed && (!s.SignatureIntact || !s.ReferencesIntact || len(s.Chain) == 0) {
				t.Errorf("passed: %+v", s)
			}
		}
	})
}

package asic

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/internal/cms"
)

// limit is what any container may cost: 2 s, with room for a slow machine, and 20 ns an octet beyond the first
// megabyte; of memory what is allocated in all, which is some times what is held at once.
var limit = budgettest.Limit{Time: 2500 * time.Millisecond, TimeAnOctet: 20 * time.Nanosecond, Alloc: 256 << 20,
	AllocAnOctet: 4}

// TestCost opens containers that are built to cost as much as can be.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("large files")
	}
	s, tsu := newSigner(t, "officer-1"), newSigner(t, "time-stamping unit", x509.ExtKeyUsageTimeStamping)
	noise := strings.Repeat("umowa ", 100<<10)
	zeros := entry{"zera.bin", filler(20 << 20)}
	for _, c := range []struct {
		name    string
		entries []entry
	}{
		{"10,000 entries", numbered("plik-%d.txt", 9990, "x")},
		{"10,000 long names", numbered(strings.Repeat("ż/", 1000)+"%d", 1500, "")},
		{"a thousand signatures that nothing names",
			numbered("META-INF/signature%d.p7s", 1000, string(s.cades(t, []byte("x"))))},
		{"a thousand time-stamps", numbered("META-INF/timestamp%d.tst", 1000, string(tsu.stamp(t, []byte("x"))))},
		{"a manifest that names one large file by ten methods",
			[]entry{{"a", noise}, {"META-INF/signature.p7s", "x"},
				{"META-INF/ASiCManifest.xml", methods("META-INF/signature.p7s", "a")}}},
		{"50,000 references to one file", []entry{{"a", noise}, {"META-INF/signature.p7s", "x"},
			{"META-INF/ASiCManifest.xml", repeated("META-INF/signature.p7s", "a", 50_000)}}},
		{"500 signers of a manifest of 2,000 files", signers(t, s, 500, 2000)},
		{"100 manifests of 2,000 files", manifests(100, 2000)},
		{"100 archive time-stamps over each other", archives(t, s, tsu, 100)},
		{"a hundred signatures over a large file", append(signatures(t, s, zeros, 100), zeros)},
		{"large files, inflated one after the other", largeFiles(t, s)},
		{"twenty XML signature files over large files", xmlFiles(t, s, 20)},
		{"deep XML as manifest", []entry{{"a", "x"}, {"META-INF/ASiCManifest.xml", strings.Repeat("<a>", 300_000)},
			{"META-INF/signature.p7s", "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := pack(t, "e", c.entries...)
			outcome := ""
			budgettest.Check(t, len(data), limit, func() {
				doc, err := Open(budget.New(t.Context(), len(data)), data, nil)
				if outcome = fmt.Sprint(err); err == nil {
					outcome = fmt.Sprintf("%d signatures, %d time-stamps", len(doc.Signatures), len(doc.Timestamps))
				}
			})
			t.Logf("%d kB: %s", len(data)>>10, outcome)
		})
	}
}

// TestBudgetEnds: a container beyond its budget is an error that says so.
func TestBudgetEnds(t *testing.T) {
	s := newSigner(t, "officer-1")
	data := pack(t, "e", signed(t, s, umowa)...)
	for _, b := range []*budget.Budget{budget.Of(t.Context(), 0, 1<<20), budget.Of(t.Context(), 250_000, 1<<20),
		budget.Of(t.Context(), 1<<40, 3000)} {
		if doc, err := Open(b, data, nil); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%v, %v", doc, err)
		}
	}
	if _, err := Open(budget.New(t.Context(), len(data)), data, nil); err != nil {
		t.Error(err)
	}
}

// filler is text that deflates to a tenth: more would be taken for a bomb.
func filler(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "umowa nr %d\n", i*7919)
	}
	return b.String()
}

func numbered(name string, n int, content string) []entry {
	var list []entry
	for i := range n {
		list = append(list, entry{fmt.Sprintf(name, i), content})
	}
	return append(list, entry{"META-INF/signature-last.p7s", "x"})
}

func repeated(target, name string, n int) string {
	return manifestOf(target, copies(entry{name, ""}, n)...)
}

func copies(e entry, n int) []entry {
	list := make([]entry, n)
	for i := range list {
		list[i] = e
	}
	return list
}

// methods names a file by all digests there are.
func methods(target, name string) string {
	m := manifestOf(target, copies(entry{name, ""}, 10)...)
	for _, method := range []string{"http://www.w3.org/2001/04/xmlenc#sha512",
		"http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2000/09/xmldsig#sha1",
		"http://www.w3.org/2007/05/xmldsig-more#sha3-256", "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
		"http://www.w3.org/2001/04/xmldsig-more#sha224",
		"http://www.w3.org/2001/04/xmlenc#ripemd160", "http://www.w3.org/2007/05/xmldsig-more#sha3-384"} {
		m = strings.Replace(m, "http://www.w3.org/2001/04/xmlenc#sha256", method, 1)
	}
	return m
}

// signers is a manifest of n files, signed by one CMS of many signers.
func signers(t *testing.T, s signer, count, files int) []entry {
	t.Helper()
	list := numbered("p%d", files, "x")
	manifest := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", list...)}
	sd, err := cms.Parse(s.cades(t, []byte(manifest.content)))
	if err != nil {
		t.Fatal(err)
	}
	return append(list, manifest, entry{"META-INF/signature.p7s", string(multiplied(sd, count))})
}

// multiplied repeats the one signer of a SignedData.
func multiplied(sd *cms.SignedData, n int) []byte {
	raw := strings.Repeat(string(sd.Signers[0].Raw), n)
	set := append([]byte{0x31, 0x84, byte(len(raw) >> 24), byte(len(raw) >> 16), byte(len(raw) >> 8), byte(len(raw))},
		raw...)
	out := append([]byte{0x30, 0x80, 0x06, 9}, cms.OIDSignedData...)
	out = append(out, 0xa0, 0x80, 0x30, 0x80, 2, 1, 1, 0x31, 0)
	out = append(append(append(out, sd.Content.Raw...), sd.RawCertificates...), set...)
	return append(out, 0, 0, 0, 0, 0, 0)
}

func manifests(n, files int) []entry {
	list := numbered("p%d", files, "x")
	data := list
	for i := range n {
		target := fmt.Sprintf("META-INF/signature%d.p7s", i)
		list = append(list, entry{target, "x"},
			entry{fmt.Sprintf("META-INF/ASiCManifest%d.xml", i), manifestOf(target, data...)})
	}
	return list
}

// archives is a signature with time-stamps of which each covers it and all before.
func archives(t *testing.T, s, tsu signer, n int) []entry {
	t.Helper()
	list := signed(t, s, umowa)
	for i := range n {
		target := fmt.Sprintf("META-INF/timestamp%d.tst", i)
		m := entry{fmt.Sprintf("META-INF/ASiCArchiveManifest%d.xml", i), manifestOf(target, list...)}
		list = append(list, m, entry{target, string(tsu.stamp(t, []byte(m.content)))})
	}
	return list
}

func signatures(t *testing.T, s signer, e entry, n int) []entry {
	t.Helper()
	var list []entry
	for i := range n {
		target := fmt.Sprintf("META-INF/signature%d.p7s", i)
		m := entry{fmt.Sprintf("META-INF/ASiCManifest%d.xml", i), manifestOf(target, e)}
		list = append(list, m, entry{target, string(s.cades(t, []byte(m.content)))})
	}
	return list
}

func largeFiles(t *testing.T, s signer) []entry {
	t.Helper()
	content := filler(1 << 20)
	list := numbered("duży-%d.bin", 60, content)
	m := entry{"META-INF/ASiCManifest.xml", manifestOf("META-INF/signature.p7s", list...)}
	return append(list, m, entry{"META-INF/signature.p7s", string(s.cades(t, []byte(m.content)))})
}

func xmlFiles(t *testing.T, s signer, n int) []entry {
	t.Helper()
	large := filler(10 << 20)
	list := []entry{{"a", large}, {"b", large}}
	for i := range n {
		list = append(list, entry{fmt.Sprintf("META-INF/signatures%d.xml", i),
			s.xml(t, map[string]string{"a": large, "b": large})})
	}
	return list
}

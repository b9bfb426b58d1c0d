package pades

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
	"trustcore/verify/signature"
)

// repeat writes text once for each number below n.
func repeat(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func deflated(n int) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return b.String()
}

// plainUpdates signs nothing: it appends n updates of one object.
func plainUpdates(file []byte, n int) []byte {
	for i := range n {
		file = update{objects: draft{12: fmt.Sprintf("<</Title(%d)>>", i)}}.append(file)
	}
	return file
}

// hostile are files of at most a megabyte that make careless readers work or keep without end.
func hostile(t testing.TB) map[string][]byte {
	o := newOffice(t)
	f := form()
	const size = 1 << 20
	zeros := deflated(30 << 20)
	many := func(n int, text string) draft {
		d := draft{}
		for i := range n {
			d[1000+i] = text
		}
		return d
	}
	refs := func(n int) string { return repeat(n, "1%03d 0 R ") }
	file := func(d draft) []byte { return o.signDraft(t, f.with(d), "") }
	inner := file(nil)
	contents := string(inner[bytes.Index(inner, []byte("/Contents<"))+len("/Contents"):])
	contents = contents[:strings.Index(contents, ">")+1]
	contents = strings.TrimRight(contents, "0>") + "00>"
	often := inner
	for i := range 120 {
		often = o.signUpdate(t, often, update{objects: draft{
			6: fmt.Sprintf("<</Fields[10 0 R %s]/SigFlags 3>>", repeat(i+1, "3%03d 0 R ")), 3000 + i: fmt.Sprintf("<</FT/Sig/T(s%d)/V %d 0 R>>", i, 4000+i)}}, 4000+i, "")
	}
	fields := func(v string) draft {
		d := draft{6: "<</Fields[10 0 R " + refs(250) + "]>>"}
		for i := range 250 {
			d[1000+i] = fmt.Sprintf("<</FT/Sig/T(f%d)/V %s>>", i, v)
		}
		return d
	}
	pages := many(900, f[13])
	pages[2] = "<</Type/Pages/Kids[3 0 R " + refs(900) + "]/Count 901>>"
	signed := file(pages)
	for i := range 30 {
		signed = o.signUpdate(t, signed, update{objects: draft{
			6: fmt.Sprintf("<</Fields[10 0 R %s]/SigFlags 3>>", repeat(i+1, "3%03d 0 R ")), 3000 + i: fmt.Sprintf("<</FT/Sig/T(s%d)/V %d 0 R>>", i, 4000+i)}}, 4000+i, "")
	}
	chain := plainUpdates(inner, 900)
	name := strings.Repeat("n", 4000)
	deep := draft{6: "<</Fields[10 0 R 1000 0 R]>>", 1000: "<</T(" + name + ")/FT/Sig/Kids[" + strings.Repeat("<</T(a)>>", 16000) + "]>>"}
	return map[string][]byte{
		"evidence of zeros":           file(many(30, stream("/Filter/FlateDecode", zeros)).with(f.edit(1, "/Lang", "/DSS<</CRLs["+refs(30)+"]>>/Lang"))),
		"content of zeros":            update{objects: draft{4: "null"}}.append(file(draft{4: stream("/Filter/FlateDecode", zeros)})),
		"evidence inside evidence":    file(draft{1: f.edit(1, "/Lang", "/DSS<</CRLs["+refs(900)+"]>>/Lang")[1], 900: "(" + repeat(900, "\n1%03d 0 obj <<>> stream\n") + ")"}),
		"arrays":                      update{objects: draft{4: "null"}}.append(file(draft{12: "<</A" + strings.Repeat("[", 60) + strings.Repeat("[]", size/3) + strings.Repeat("]", 60) + ">>"})),
		"dictionaries":                update{objects: draft{4: "null"}}.append(file(draft{6: "<</Fields[10 0 R]/A[" + strings.Repeat("<</A 1>>", size/9) + "]>>"})),
		"strings":                     file(draft{6: "<</Fields[10 0 R]/A[" + strings.Repeat("()", size/3) + "]>>"}),
		"names in the form":           file(deep),
		"signatures of one range":     file(fields("11 0 R")),
		"signatures of many ranges":   file(fields("<</SubFilter/ETSI.CAdES.detached/ByteRange[0 400 500 500000]/Contents" + contents + ">>").with(draft{900: "(" + strings.Repeat("x", size/2) + ")"})),
		"time-stamps without a token": file(fields("<</SubFilter/ETSI.RFC3161/ByteRange[0 400 500 100000]/Contents<3000>>>").with(draft{900: "(" + strings.Repeat("x", size/2) + ")"})),
		"revisions and pages":         signed,
		"signed often":                often,
		"revisions without end":       chain,
		"objects in no reference":     append(bytes.Clone(inner), strings.Repeat("7 0 obj ", size/9)...),
		"objects and revisions":       append(bytes.Clone(chain), strings.Repeat("7 0 obj ", size/12)...),
		"trailers":                    append(bytes.Clone(inner), strings.Repeat("trailer <<", size/11)...),
		"annotations":                 update{objects: draft{15: "[" + strings.Repeat("<</A 1>>", size/9) + "]"}}.append(inner),
		"annotations, signed often":   update{objects: draft{15: "[" + strings.Repeat("8 0 R ", size/7) + "]"}}.append(signed),
		"streams without an end":      update{objects: draft{12: "null"}, before: strings.Repeat("4 0 obj<<>>stream ", size/20)}.append(inner),
		"streams of a wrong length":   update{objects: draft{4: "null"}}.append(file(many(900, "<</Length 99999>>stream\n"+strings.Repeat("x", 500)).with(draft{40: "[" + refs(900) + "]"}))),
		"field that is its kid":       file(draft{6: "<</Fields[10 0 R 1000 0 R]>>", 1000: "<</T(a)/FT/Sig/Kids[" + strings.Repeat("1000 0 R ", size/11) + "]>>"}),
		"locked fields":               update{objects: draft{6: "<</Fields[10 0 R " + strings.Repeat("<</FT/Sig/T(b)>>", 15000) + "]>>"}}.append(o.signDraft(t, f, fieldMDP("Include", strings.Repeat("(a)", 15000)))),
		"kids of names":               update{objects: draft{40: "null"}}.append(file(draft{40: "<</Kids[" + strings.Repeat("40 0 R ", size/8) + "]>>"})),
	}
}

// TestCosts: whatever a file of a megabyte holds, it is told or refused within its budget.
func TestCosts(t *testing.T) {
	for name, data := range hostile(t) {
		if dir := os.Getenv("BOMBS"); dir != "" {
			_ = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".pdf"), data, 0o600)
		}
		t.Run(name, func(t *testing.T) {
			if len(data) > 5<<18 {
				t.Fatalf("%d octets", len(data))
			}
			start := time.Now()
			limit := budgettest.Limit{Time: 2 * time.Second, TimeAnOctet: 20, Alloc: 400 << 20}
			var err error
			budgettest.Check(t, len(data), limit, func() { _, err = Open(budget.New(t.Context(), len(data)), data) })
			if err != nil && !errors.Is(err, budget.ErrExceeded) {
				t.Error(err)
			}
			t.Logf("%d octets, %v: %v", len(data), time.Since(start).Round(time.Millisecond), err)
		})
	}
}

// locked is a file of n revisions, each encrypted by a dictionary of its own that no password fits.
func locked(n int) []byte {
	file := []byte("%PDF-2.0\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n")
	prev := ""
	for i := range n {
		at := len(file)
		file = fmt.Appendf(file, "9 0 obj<</Filter/Standard/V 5/R 6/Length 256/P -4/O<%x>/OE<%x>/U<%x>/UE<%x>"+
			"/StmF/StdCF/StrF/StdCF/CF<</StdCF<</CFM/AESV3>>>>>>endobj\n", make([]byte, 48), make([]byte, 32), sum48(i), make([]byte, 32))
		xref := len(file)
		file = fmt.Appendf(file, "xref\n0 3\n0000000000 65535 f \n%010d 00000 n \n%010d 00000 n \n9 1\n%010d 00000 n \n",
			bytes.Index(file, []byte("1 0 obj")), bytes.Index(file, []byte("2 0 obj")), at)
		file = fmt.Appendf(file, "trailer<</Size 10/Root 1 0 R/Encrypt 9 0 R%s>>\nstartxref\n%d\n%%%%EOF\n", prev, xref)
		prev = fmt.Sprintf("/Prev %d", xref)
	}
	return file
}

func sum48(i int) []byte { return append(sum256(fmt.Sprint(i)), make([]byte, 16)...) }

// TestCostOfPasswords: to try passwords of the newest revision is dear, and is paid for. Where the budget ends nobody says
// that a password is wrong.
func TestCostOfPasswords(t *testing.T) {
	var opts []Option
	for i := range 8 {
		opts = append(opts, Password(bytes.Repeat([]byte{byte('a' + i)}, 512)))
	}
	for revisions, want := range map[int]string{1: "opens with none of the passwords that were given", 60: "budget"} {
		data := locked(revisions)
		var doc *signature.Document
		var err error
		limit := budgettest.Limit{Time: 2 * time.Second, Alloc: 64 << 20}
		budgettest.Check(t, len(data), limit, func() { doc, err = Open(budget.New(t.Context(), len(data)), data, opts...) })
		said := fmt.Sprint(err)
		if doc != nil {
			said += " " + doc.Unchecked + fmt.Sprint(doc.Notes)
		}
		if !strings.Contains(said, want) || errors.Is(err, budget.ErrExceeded) != (want == "budget") {
			t.Errorf("%d revisions: %s, want %q", revisions, said, want)
		}
	}
}

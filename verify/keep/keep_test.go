package keep_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"golang.org/x/net/html"

	"trustcore/internal/budget"
	"trustcore/verify"
	"trustcore/verify/internal/mint"
	"trustcore/verify/keep"
	"trustcore/verify/trace"
	"trustcore/verify/trustlist"
)

// judged is the verdict on a document that somebody of a name has signed.
func judged(t testing.TB, signer pkix.Name) *verify.Report {
	t.Helper()
	ca := mint.Root(t, "Urząd Gminy")
	document := mint.XML{Signer: ca.Issue(t, mint.Request{Subject: signer}), At: mint.Day}.Sign(t, "<pismo>Zażółć</pismo>")
	anchor := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	lists, err := trustlist.Load(t.Context(), trustlist.Sources{Anchors: []string{anchor}})
	if err != nil {
		t.Fatal(err)
	}
	b := budget.New(context.Background(), len(document))
	doc, err := verify.Open(b, document)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.JudgeTraced(b, doc, &verify.Evidence{Lists: lists}, verify.DefaultPolicy(), mint.Day.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r.SHA256 = strings.Repeat("5a", 32)
	r.Trace.TrustedLists = []trace.TrustedList{{Territory: "PL", Sequence: 85, Issued: mint.Day.AddDate(0, 0, -11), NextUpdate: mint.Day},
		{Territory: "EE", Sequence: 7, Issued: mint.Day.AddDate(0, 0, -3), NextUpdate: mint.Day.AddDate(0, 6, 0)}}
	return r
}

var anna = pkix.Name{CommonName: "Anna Żółć 44051401359", SerialNumber: "PNOPL-44051401359", Country: []string{"PL"}}

func kept(t testing.TB, language string) keep.Report {
	t.Helper()
	return keep.Report{Verdict: judged(t, anna), Name: "umowa_44051401359.xml", Size: 1234, Place: keep.Server,
		Judge: "Centrum danych – Łódź", Language: language}
}

// forms are the two forms, each with what makes text of it.
var forms = map[string]struct {
	write func(keep.Report) ([]byte, error)
	read  func(testing.TB, []byte) string
}{"PDF": {keep.PDF, textOfPDF}, "HTML": {keep.HTML, textOfHTML}}

// TestSaysWhatItMust: both forms, in both languages, name the document, the time, who judged by what, and tell the
// sentence, the rows and what to do; personal numbers are hidden, in the name of the file too.
func TestSaysWhatItMust(t *testing.T) {
	for name, form := range forms {
		for _, language := range verify.Languages {
			r := kept(t, language)
			data, err := form.write(r)
			if err != nil {
				t.Fatal(err)
			}
			text := form.read(t, data)
			s := &r.Verdict.Signatures[0]
			rows := s.Rows[language]
			want := []string{"umowa_*******1359.xml", r.Verdict.SHA256, "1234", "Centrum danych – Łódź", r.Verdict.Policy,
				r.Verdict.PolicyVersion, r.Verdict.PolicyDigest, r.Verdict.Summary[language], rows.Integrity, rows.Signatory, rows.Kind,
				rows.Time, rows.Trust, s.Next[language], "PL", "85", "11", s.Chain[0].SHA256, string(s.Indication),
				"Anna Żółć *******1359"}
			for _, w := range want {
				if !strings.Contains(squeezed(text), squeezed(w)) {
					t.Errorf("%s %s does not say %q", name, language, w)
				}
			}
			if strings.Contains(squeezed(text), "44051401359") {
				t.Errorf("%s %s shows a personal number", name, language)
			}
		}
	}
}

// TestSaysWhoJudged: what was judged in a browser is told as such, and that nobody seals it.
func TestSaysWhoJudged(t *testing.T) {
	for place, want := range map[keep.Place]string{keep.Server: "serwera", keep.Browser: "nikt nie opieczętuje", keep.Command: "trustctl"} {
		for name, form := range forms {
			r := kept(t, "pl")
			r.Place = place
			data, err := form.write(r)
			if err != nil || !strings.Contains(squeezed(form.read(t, data)), squeezed(want)) {
				t.Errorf("%s, %s: %v, it does not say %q", name, place, err, want)
			}
		}
	}
}

// TestSealedReportsSaySo: a report that is sealed says so in place of being a copy, and nobody's but the server's that has a
// name can be.
func TestSealedReportsSaySo(t *testing.T) {
	for name, form := range forms {
		r := kept(t, "pl")
		r.Sealed = true
		data, err := form.write(r)
		if err != nil {
			t.Fatal(err)
		}
		text := squeezed(form.read(t, data))
		if !strings.Contains(text, squeezed("pieczęcią elektroniczną")) || strings.Contains(text, squeezed("jest odpis")) {
			t.Errorf("%s does not say that it is sealed: %s", name, text)
		}
		for _, change := range []func(*keep.Report){
			func(r *keep.Report) { r.Place = keep.Browser }, func(r *keep.Report) { r.Place = keep.Command },
			func(r *keep.Report) { r.Judge = "" },
		} {
			other := r
			change(&other)
			if _, err := form.write(other); err == nil || !strings.Contains(err.Error(), "sealed by the server") {
				t.Errorf("%s: %s by %q is written as sealed: %v", name, other.Place, other.Judge, err)
			}
		}
	}
}

// TestSameOctets: the same report gives the same octets, another one others.
func TestSameOctets(t *testing.T) {
	r := kept(t, "pl")
	for name, form := range forms {
		first, err := form.write(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := form.write(r); err != nil || !bytes.Equal(first, again) {
			t.Errorf("%s: two reports of one verdict differ: %v", name, err)
		}
		other := r
		other.Name = "other"
		if again, err := form.write(other); err != nil || bytes.Equal(first, again) {
			t.Errorf("%s: reports of two documents are alike: %v", name, err)
		}
	}
}

// TestIncomplete: absence refuses.
func TestIncomplete(t *testing.T) {
	whole := kept(t, "pl")
	untraced := *whole.Verdict
	untraced.Trace = nil
	for name, r := range map[string]keep.Report{"nothing": {}, "no trace": {Verdict: &untraced, Language: "pl"},
		"no language": {Verdict: whole.Verdict}, "another language": {Verdict: whole.Verdict, Language: "de"}} {
		for form, f := range forms {
			if data, err := f.write(r); err == nil {
				t.Errorf("%s of %s: %d octets", form, name, len(data))
			}
		}
	}
}

// hostile are names that try to be more than text.
var hostile = []string{
	`) Tj ET /JS (app.alert(1)) BT (`, `> Tj ET Q /Do <`, "endstream\nendobj\n1 0 obj<</OpenAction<</S/JavaScript/JS(a)>>>>",
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style></title><iframe src="https://evil.example">`, `<a href="javascript:1">`,
	"\u202egnp.exe\u2066\u200f", "\x00\x1b[31m\x7f\u0085\u2028", "\ufeff\u200b\u00ad", "\xff\xfe\x80", "שלום العربية 漢字 😀", strings.Repeat("W", 64<<10),
	strings.Repeat("a ", 32<<10), "%PDF-1.7\n%%EOF", "\\), \\(", "&lt;b&gt;",
}

// TestNamesAreText: a name is never markup, a link, an operator or an object, wherever it stands.
func TestNamesAreText(t *testing.T) {
	r := kept(t, "pl")
	for i, name := range hostile {
		poison(r.Verdict, name)
		r.Name, r.Judge = name, name
		page, err := keep.HTML(r)
		if err != nil {
			t.Fatal(err)
		}
		onlyText(t, page)
		paper, err := keep.PDF(r)
		if err != nil {
			t.Fatal(err)
		}
		onlyGlyphs(t, paper)
		if max(len(page), len(paper)) > 2<<20 {
			t.Errorf("name %d: %d and %d octets", i, len(page), len(paper))
		}
	}
}

// poison writes a text wherever a report has one of a stranger.
func poison(v *verify.Report, text string) {
	s := &v.Signatures[0]
	s.Signer = verify.Signer{CommonName: text, Name: text, Issuer: text}
	s.Filename, s.Format = text, text
	s.Reasons, s.Notes, s.Unsigned = []string{text}, []string{text}, []string{text}
	s.Scopes = []verify.Scope{{Name: text, Scope: text, Partial: true}}
	s.Changes = []verify.Change{{What: text, Forbidden: text}}
	s.Timestamps = []verify.TimestampReport{{SignedBy: text, Reasons: []string{text}}}
	for i := range s.Chain {
		s.Chain[i].Subject = "CN=" + text
	}
	for language := range s.Rows {
		s.Rows[language] = verify.Rows{Integrity: text, Signatory: text, Kind: text, Time: text, Trust: text}
		s.Sentence[language], s.Next[language], v.Summary[language] = text, text, text
	}
	v.Notes = []string{text}
	v.Trace.TrustedLists[0].Territory = text
}

// allowed are the elements of a report, and the attributes of all of them.
var (
	allowed = strings.Fields("html head meta title style body main h1 h2 h3 p dl div dt dd figure figcaption svg desc path rect circle text")
	safe    = strings.Fields("lang charset http-equiv content name class viewbox role aria-labelledby focusable id x y width height rx cx cy r d")
)

// onlyText fails unless a page holds the elements and attributes of reports alone.
func onlyText(t *testing.T, page []byte) {
	t.Helper()
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := z.Token()
			if !slices.Contains(allowed, tag.Data) {
				t.Errorf("the page has an element %.60q", tag.String())
			}
			for _, a := range tag.Attr {
				if !slices.Contains(safe, strings.ToLower(a.Key)) {
					t.Errorf("the page has an attribute %.60q", tag.String())
				}
			}
		case html.TextToken:
			if bytes.ContainsAny(z.Raw(), "\u202e\u2066\u200f\u200b\x00\x1b") {
				t.Errorf("the page has a sign that nobody sees: %.60q", z.Raw())
			}
		case html.CommentToken:
			t.Errorf("the page has a comment %.60q", z.Raw())
		}
	}
}

// operation is each line that a report's pages may have.
var operation = regexp.MustCompile(`^(/(P|H1|H2|H3|Figure) <</MCID \d+>> BDC|/Artifact BMC|EMC|` +
	`[0-9. ]+rg BT /F[01] [0-9.]+ Tf [-0-9. ]+ Td <[0-9A-F]*> Tj ET|[0-9. ]+rg [0-9. ]+RG [-0-9. ]+ re [Bf]|` +
	`[0-9. ]+RG [0-9.]+ w [-0-9. ml]+S|[0-9. ]+rg [0-9. ]+RG [-0-9. mc]+B)$`)

// onlyGlyphs fails unless a PDF holds what reports draw alone, and nothing that acts.
func onlyGlyphs(t *testing.T, pdf []byte) {
	t.Helper()
	for i, stream := range streams(t, pdf) {
		if bytes.HasPrefix(stream, []byte("/")) && !bytes.HasPrefix(stream, []byte("/CIDInit")) {
			for line := range strings.Lines(string(stream)) {
				if !operation.MatchString(strings.TrimSuffix(line, "\n")) {
					t.Fatalf("stream %d: %.120q", i, line)
				}
			}
		}
	}
	skeleton := regexp.MustCompile(`(?s)stream\n.*?\nendstream`).ReplaceAll(pdf, nil)
	for _, name := range []string{"/JS", "/JavaScript", "/OpenAction", "/AA", "/Launch", "/URI", "/EmbeddedFile", "/Annots", "/AcroForm", "alert", "evil"} {
		if bytes.Contains(skeleton, []byte(name)) {
			t.Errorf("the PDF holds %s", name)
		}
	}
}

// TestThousandSignatures: a report of many signatures, each with many time-stamps and certificates, is made in time and in
// bounds, and says what it leaves out.
func TestThousandSignatures(t *testing.T) {
	r := kept(t, "pl")
	one := r.Verdict.Signatures[0]
	r.Verdict.Signatures = nil
	for range 1003 {
		r.Verdict.Signatures = append(r.Verdict.Signatures, one)
	}
	many := one
	for range 3000 {
		at := mint.Day
		many.Timestamps = append(many.Timestamps, verify.TimestampReport{Time: &at, SignedBy: strings.Repeat("TSA ", 30)})
	}
	r.Verdict.Signatures[0] = many
	for name, form := range forms {
		began := time.Now()
		data, err := form.write(r)
		if err != nil {
			t.Fatal(err)
		}
		text := squeezed(form.read(t, data))
		for _, want := range []string{"nie mówi: 3", "i dalszych: 2900", "Rysunek nie mieści się"} {
			if !strings.Contains(text, squeezed(want)) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
		if took := time.Since(began); len(data) > 24<<20 || took > time.Minute {
			t.Errorf("%s: %d octets in %v", name, len(data), took)
		}
	}
}

// TestOwnReader: our own reader takes the PDF for one without signatures, and finds nothing active in it.
func TestOwnReader(t *testing.T) {
	pdf, err := keep.PDF(kept(t, "pl"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := verify.Open(budget.New(context.Background(), len(pdf)), pdf)
	if err != nil || len(doc.Signatures) != 0 || doc.Unchecked != "" || len(doc.Notes) != 0 {
		t.Errorf("%v %+v", err, doc)
	}
}

// TestOtherReaders: other programs find nothing wrong, and read the same text.
func TestOtherReaders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.pdf")
	r := kept(t, "pl")
	pdf, err := keep.PDF(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pdf, 0o600); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("TRUSTCORE_SCREENSHOTS"); dir != "" { // for a person to look at
		page, err := keep.HTML(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = os.WriteFile(filepath.Join(dir, "report.pdf"), pdf, 0o600)
		_ = os.WriteFile(filepath.Join(dir, "report.html"), page, 0o600)
	}
	for _, c := range []struct{ program, arg, says string }{
		{"qpdf", "--check", "No syntax or stream encoding errors found"}, {"pdfinfo", "-enc UTF-8", "Tagged:          yes"},
		{"pdftotext", "-enc UTF-8", "Raport z weryfikacji podpisów"},
	} {
		path, err := exec.LookPath(c.program)
		if err != nil {
			t.Logf("%s is not on this machine", c.program)
			continue
		}
		args := append(strings.Fields(c.arg), file)
		if c.program == "pdftotext" {
			args = append(args, "-")
		}
		out, err := exec.Command(path, args...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v, it does not say %q:\n%.2000s", c.program, err, c.says, out)
		}
	}
}

// squeezed is a text without the spaces, which stand elsewhere where lines end.
func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

func textOfHTML(t testing.TB, page []byte) string {
	t.Helper()
	var text strings.Builder
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return text.String()
		case html.TextToken:
			text.WriteString(html.UnescapeString(string(z.Raw())) + " ")
		}
	}
}

// streams are those of a PDF, as they were before they were packed.
func streams(t testing.TB, pdf []byte) (list [][]byte) {
	t.Helper()
	for _, place := range regexp.MustCompile(`/Length (\d+)/Filter/FlateDecode[^>]*>>\nstream\n`).FindAllSubmatchIndex(pdf, -1) {
		var length int
		if _, err := fmt.Sscan(string(pdf[place[2]:place[3]]), &length); err != nil {
			t.Fatal(err)
		}
		z, err := zlib.NewReader(bytes.NewReader(pdf[place[1] : place[1]+length]))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, data)
	}
	return list
}

var (
	letter = regexp.MustCompile(`<([0-9A-F]{4})> <([0-9A-F]{4})>`)
	shown  = regexp.MustCompile(`/F([01]) [0-9.]+ Tf [-0-9. ]+ Td <([0-9A-F]*)> Tj`)
)

// textOfPDF reads what the pages show, by the tables that say which letter each glyph is.
func textOfPDF(t testing.TB, pdf []byte) string {
	t.Helper()
	var tables []map[string]string
	var text strings.Builder
	all := streams(t, pdf)
	for _, s := range all {
		if bytes.Contains(s, []byte("begincmap")) {
			table := map[string]string{}
			for _, m := range letter.FindAllSubmatch(s, -1) {
				unit, err := hex.DecodeString(string(m[2]))
				if err != nil {
					t.Fatal(err)
				}
				table[string(m[1])] = string(utf16.Decode([]uint16{uint16(unit[0])<<8 | uint16(unit[1])}))
			}
			tables = append(tables, table)
		}
	}
	for _, s := range all {
		for _, m := range shown.FindAllSubmatch(s, -1) {
			for glyphs := string(m[2]); glyphs != ""; glyphs = glyphs[4:] {
				text.WriteString(tables[m[1][0]-'0'][glyphs[:4]])
			}
			text.WriteString("\n")
		}
	}
	return text.String()
}

package verify

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWordingsFit: what a message says in another language has the arguments of its key, each once.
func TestWordingsFit(t *testing.T) {
	placeholder := regexp.MustCompile(`%\[(\d)\]s`)
	for lang, p := range wordings() {
		list := p.messages
		if len(list) < 100 {
			t.Errorf("%s: %d messages", lang, len(list))
		}
		for _, m := range list {
			seen := map[string]bool{}
			for _, found := range placeholder.FindAllStringSubmatch(m.translation, -1) {
				seen[found[1]] = true
			}
			if len(seen) != len(m.verbs) || len(seen) > 0 && !seen[string(rune('0'+len(m.verbs)))] || strings.Count(m.translation, "%") != len(seen) {
				t.Errorf("%s: %q has %d arguments: %q", lang, m.literals, len(m.verbs), m.translation)
			}
		}
	}
}

func TestWording(t *testing.T) {
	for text, want := range map[string]string{
		"the time-stamp is about other data":                                                   "znacznik czasu dotyczy innych danych",
		`data "a \" was not given" was not given`:                                              `nie podano danych "a \" was not given"`,
		"expired: certificate 0 (“CN=Jan”): “valid from 2019 to 2021” [RFC 5280 6.1.3 (a)(2)]": "ważność wygasła: certyfikat 0 („CN=Jan”): „valid from 2019 to 2021” [RFC 5280 6.1.3 (a)(2)]",
		"trust anchor out of its time: certificate 1 (“CN=CA”) [RFC 5280 6.1.1 (d)]":           "punkt zaufania poza swoim czasem: certyfikat 1 („CN=CA”) [RFC 5280 6.1.1 (d)]",
		"revision 2, after the signature: a further signature was added, and it is seen (page 1) (object 9 0); no signature allows it (UndefinedChanges)": "rewizja 2, po podpisaniu: dodano kolejny podpis, i to widać (strona 1) (obiekt 9 0); żaden podpis na to nie pozwala (UndefinedChanges)",
		// What a stranger chose stays as it is, and where it is.
		"“expired” was revoked on 2026-03-01T00:00:00Z":            "„expired”: unieważniony 2026-03-01T00:00:00Z",
		"“a was revoked on x” was revoked on 2026-03-01T00:00:00Z": "„a was revoked on x”: unieważniony 2026-03-01T00:00:00Z",
		"an entry of a field was changed: “a (page 3)” (page 1)":   "zmieniono wpis pola: „a (page 3)” (strona 1)",
		"“not closed was revoked on 2026-03-01T00:00:00Z":          untold + ": unieważniony 2026-03-01T00:00:00Z",
		"what nobody has words for":                                untold,
		"data \"a\" can't be checked: nobody has words for it":     "danych \"a\" nie da się sprawdzić: " + untold,
		"/pismo/ds:Object[2] SHA-256 „Jan”":                        "/pismo/ds:Object[2] SHA-256 „Jan”",
		"":                                                         "",
	} {
		if got := Wording("pl", text); got != want {
			t.Errorf("%q:\n%q, want\n%q", text, got, want)
		}
		if got := Wording("en", text); got != text {
			t.Errorf("%q in English: %q", text, got)
		}
	}
	deep := strings.Repeat("after the signature: ", 1000)
	if got := Wording("pl", deep); !strings.HasPrefix(got, "po podpisaniu: ") || strings.Count(got, "po podpisaniu") > maxNested {
		t.Errorf("%d of %d octets", strings.Count(got, "po podpisaniu"), len(got))
	}
}

// TestReportIn: another language changes the words alone, and leaves the report as it was.
func TestReportIn(t *testing.T) {
	const english, polish = "the time-stamp is about other data", "znacznik czasu dotyczy innych danych"
	made := func(text string) *Report {
		stamp := []TimestampReport{{Reasons: []string{text}, Notes: []string{text}}}
		record := []EvidenceRecordReport{{Reasons: []string{text}, Timestamps: stamp, Scopes: []Scope{{Name: english}}}}
		return &Report{Notes: []string{text}, Timestamps: stamp, EvidenceRecords: record, Signatures: []SignatureReport{{
			Reasons: []string{text}, Notes: []string{text}, Timestamps: stamp, EvidenceRecords: record, Changes: []Change{{What: text}},
			Unsigned: []string{english}, Scopes: []Scope{{Name: english}}}}}
	}
	r := made(english)
	if got := r.In("pl"); !reflect.DeepEqual(got, made(polish)) {
		t.Errorf("%+v", got)
	}
	if !reflect.DeepEqual(r, made(english)) {
		t.Error("the report itself was changed")
	}
	if r.In("en") != r || r.In("") != r {
		t.Error("the report in English is another one")
	}
}

// leastWorded is the share of reasons and notes on public samples that are said in Polish, and not as untold. It may only
// grow.
const leastWorded = 0.99

// leastTold is the share of all reasons and notes that the sources have which is. It may only grow.
const leastTold = 0.93

// written are the folders whose texts become reasons and notes.
var written = []string{"xades", "cades", "cades/signerinfo", "pades", "jades", "asic", "ers", "opc", "timestamp", "judge", "poland",
	"path", "revocation", "signature"}

// literals are the texts of the sources that people may read: of several words, and no error's of the program itself.
func literals(t *testing.T, folder string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	prefix := regexp.MustCompile(`^[a-z]+: `)
	for _, file := range files {
		if base := filepath.Base(file); strings.HasSuffix(base, "_test.go") || base == "pins.go" || base == "card.go" {
			continue // what is wrong with an installation's files is told in English
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.BinaryExpr: // literals that are put together make one text with what stands between them
				if text, ok := joined(n); ok {
					list = append(list, text)
					return false
				}
			case *ast.BasicLit:
				if text, ok := joined(n); ok {
					list = append(list, text)
				}
			}
			return true
		})
	}
	words := regexp.MustCompile(`[a-z]{2,} .*[a-z]{2,}`)
	return slices.DeleteFunc(list, func(s string) bool {
		return prefix.MatchString(s) || strings.Count(s, " ") < 3 || strings.Contains(s, "%w") || !words.MatchString(s)
	})
}

// joined is the text of a literal, or of several with %s for what is added to them.
func joined(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		x, left := joined(e.X)
		y, right := joined(e.Y)
		if !left {
			x = "%s"
		}
		if !right {
			y = "%s"
		}
		return x + y, left || right
	}
	return "", false
}

// TestNoEnglish: whatever reason or note the sources have, nothing of it is English in Polish; most of it is told.
func TestNoEnglish(t *testing.T) {
	verb := regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)
	told, silent := 0, []string{}
	for _, folder := range written {
		for _, text := range literals(t, folder) {
			filled := verb.ReplaceAllStringFunc(text, func(v string) string {
				switch v[len(v)-1] {
				case 'q':
					return `"abc def"`
				case 'd':
					return "7"
				}
				return "“abc def”"
			})
			got := Wording("pl", filled)
			if got != filled && !strings.Contains(got, untold) {
				told++
			} else {
				silent = append(silent, text)
			}
			if rest := quoted.ReplaceAllString(strings.ReplaceAll(got, "„", "“"), ""); english.MatchString(rest) {
				t.Errorf("%q has English in Polish: %s", text, got)
			}
		}
	}
	share := float64(told) / float64(told+len(silent))
	t.Logf("%d told, %d not: %.3f", told, len(silent), share)
	for _, text := range silent {
		t.Log(text)
	}
	if share < leastTold {
		t.Errorf("%.3f of all texts are told in Polish, fewer than %.3f", share, leastTold)
	}
}

func TestWordingCorpus(t *testing.T) {
	corpus := os.Getenv("TRUSTCORE_CORPUS")
	if corpus == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	run := trials[0]
	ev := corpusEvidence(t, corpus, run.lists)
	said, silent := 0, map[string]int{}
	for _, s := range samples(t, corpus, run.oracle) {
		r := judgeSample(t, corpus, s, ev, run.at)
		if r == nil {
			continue
		}
		count := func(texts []string) {
			for _, text := range texts {
				if got := Wording("pl", text); got != text && !strings.Contains(got, untold) {
					said++
				} else {
					silent[text]++
				}
			}
		}
		count(r.Notes)
		for i := range r.Signatures {
			count(r.Signatures[i].Reasons)
			count(r.Signatures[i].Notes)
			for _, c := range r.Signatures[i].Changes {
				count([]string{c.What})
			}
			for _, stamp := range r.Signatures[i].Timestamps {
				count(stamp.Reasons)
			}
		}
	}
	left := 0
	for text, n := range silent {
		left += n
		t.Logf("%d %s", n, text)
	}
	if share := float64(said) / float64(said+left); share < leastWorded {
		t.Errorf("%.3f are said in Polish, fewer than %.3f", share, leastWorded)
	} else {
		t.Logf("%d said, %d not: %.3f", said, left, share)
	}
}

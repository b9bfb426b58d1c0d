package api

import (
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"trustcore/internal/problem"
	"trustcore/verify"
)

// TestNotesInTheCallersLanguage: notes are English unless the caller asks for Polish.
func TestNotesInTheCallersLanguage(t *testing.T) {
	const english, polish = "revoked", "unieważniony"
	s := newService(t, nil)
	s.do = func(context.Context) (*verify.Report, error) {
		return &verify.Report{Signatures: []verify.SignatureReport{{Notes: []string{english}}}}, nil
	}
	for accept, want := range map[string]string{"": english, "en": english, "pl": polish, "pl-PL,pl;q=0.9,en;q=0.8": polish,
		"en,pl;q=0.1": english, "de": english, "*": english, "pl;q=": english, strings.Repeat("pl-", 4000): english} {
		request, err := http.NewRequest(http.MethodPost, s.url+validations, strings.NewReader("document"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Language", accept)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var report verify.Report
		if err := json.NewDecoder(response.Body).Decode(&report); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // it was read
		if got := report.Signatures[0].Notes[0]; got != want {
			t.Errorf("%.40q: %q, want %q", accept, got, want)
		}
	}
}

// said are the formats of the problems that callers may see: where they are made, and which call makes them.
var said = []string{"*.go", "../../internal/problem/*.go", "../../cmd/verifyd/*.go", "../../cmd/internal/rights/*.go"}

// TestProblemsInPolish: each problem has Polish words that say all that the English ones do, and none is said that is
// none.
func TestProblemsInPolish(t *testing.T) {
	formats := map[string]bool{}
	for _, pattern := range said {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				formatsIn(t, file, formats)
			}
		}
	}
	for status := 400; status < 600; status++ {
		switch status {
		case 400, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503:
			formats[http.StatusText(status)] = true
		}
	}
	for format := range formats {
		if text := polish()[format]; text == "" {
			t.Errorf("%q has no Polish words", format)
		} else if verbs, most := strings.Count(format, "%"), strings.Count(text, "%"); most > verbs || strings.Contains(fmt.Sprintf(text, make([]any, verbs)...), "BADINDEX") {
			t.Errorf("%q: %q says more than there is", format, text)
		}
	}
	for format := range polish() {
		if !formats[format] {
			t.Errorf("%q is said nowhere", format)
		}
	}
}

// formatsIn finds the formats of problems in a file: constants, handed to what makes them.
func formatsIn(t *testing.T, file string, into map[string]bool) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		made, is := n.(*ast.CallExpr)
		if !is {
			return true
		}
		at := map[string]int{"Refuse": 1, "RefuseField": 2, "refuse": 2}[nameOf(made.Fun)]
		if at == 0 || len(made.Args) <= at {
			return true
		}
		if text, is := made.Args[at].(*ast.BasicLit); is {
			format, err := strconv.Unquote(text.Value)
			if err != nil {
				t.Fatal(err)
			}
			into[format] = true
		} else if text, is := made.Args[at].(*ast.BinaryExpr); is {
			t.Errorf("%s: %v is put together: a format is one text", file, text)
		}
		return true
	})
}

func nameOf(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		return f.Sel.Name
	}
	return ""
}

// TestProblemsInTheCallersLanguage: of the API, of addresses and methods that nobody serves, and of the door's own.
func TestProblemsInTheCallersLanguage(t *testing.T) {
	s := newService(t, nil)
	for _, test := range []struct {
		method, path, accept, body string
		status                     int
		allow, title, detail       string
	}{
		{"GET", "/nowhere", "pl", "", 404, "", "Nie znaleziono", "pod tym adresem nic nie ma"},
		{"GET", "/nowhere", "en", "", 404, "", "Not Found", "there is nothing at this address"},
		{"GET", validations, "pl", "", 405, "POST", "Metoda niedozwolona", "ten adres przyjmuje: POST"},
		{"DELETE", "/v1/services", "pl-PL", "", 405, "GET, HEAD", "Metoda niedozwolona", "ten adres przyjmuje: GET, HEAD"},
		{"POST", validations + "?at=x", "pl", "x", 400, "", "Błędne żądanie", `"x" nie jest czasem`},
		{"POST", validations, "pl", strings.Repeat("x", 1001), 413, "", "Żądanie jest za duże", "żądanie na ten adres ma najwyżej 1000 bajtów"},
		{"POST", certificates, "pl", "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n", 422, "", "Treści nie można ocenić", ""},
		{"POST", certificates, "de", "", 400, "", "Bad Request", "the certificate is missing"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, s.url+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Language", test.accept)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var p problem.Problem
		if err := json.NewDecoder(response.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // it was read
		if response.StatusCode != test.status || response.Header.Get("Allow") != test.allow || p.Title != test.title ||
			!strings.Contains(p.Detail, test.detail) || strings.Contains(p.Detail, "%!") {
			t.Errorf("%s %s: %d %q %+v", test.method, test.path, response.StatusCode, response.Header.Get("Allow"), p)
		}
	}
}

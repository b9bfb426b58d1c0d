package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Limits of what one page shows.
const (
	rowsAPage = 50
	maxRows   = 200 // of a table that has no pages; the number of all stands beside it
	maxFilter = 200 // characters of a field of a search
)

// list is one page of the rows that a search finds.
type list[Row any] struct {
	Rows        []Row
	All         int // that the search finds
	Page, Pages int // from 1 on; a list that is empty has one page
	Path        string
	Failed      bool              // the rows can't be read now
	Fixed       map[string]string // parameters that a search keeps

	query url.Values // of the search, without the page
}

// listOf chooses the rows by the search q of the request, and of them its page. A page that there is not is the last one.
// words are what the search looks at; keep are the parameters of the address that every page of the list has.
func listOf[Row any](r *http.Request, path string, rows []Row, failed bool, words func(Row) []string, keep ...string) list[Row] {
	query := r.URL.Query()
	l := list[Row]{Path: path, Failed: failed, query: url.Values{}, Fixed: map[string]string{}}
	for _, name := range keep {
		if value := field(query.Get(name)); value != "" {
			l.query.Set(name, value)
			l.Fixed[name] = value
		}
	}
	if q := field(query.Get("q")); q != "" {
		l.query.Set("q", q)
		wanted := strings.Fields(fold(q))
		var found []Row
		for _, row := range rows {
			if has(fold(strings.Join(words(row), "\n")), wanted) {
				found = append(found, row)
			}
		}
		rows = found
	}
	return l.cut(rows, query.Get("page"))
}

// cut takes one page of the rows.
func (l list[Row]) cut(rows []Row, page string) list[Row] {
	l.All = len(rows)
	l.Pages = max(1, (len(rows)+rowsAPage-1)/rowsAPage)
	l.Page = min(pageNumber(page), l.Pages)
	first := (l.Page - 1) * rowsAPage
	l.Rows = rows[first:min(first+rowsAPage, len(rows))]
	return l
}

// pageNumber reads the number of a page; what is none is the first.
func pageNumber(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// Search is what was looked for.
func (l list[Row]) Search() string { return l.query.Get("q") }

// Searched reports whether rows may have been left out.
func (l list[Row]) Searched() bool { return l.Search() != "" }

// Link is the address of another page of the list.
func (l list[Row]) Link(page int) string {
	q := url.Values{}
	for name, values := range l.query {
		q[name] = values
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return l.Path
	}
	return l.Path + "?" + q.Encode()
}

// Cleared is the address of the list without the search.
func (l list[Row]) Cleared() string {
	l.query = url.Values{}
	for name, value := range l.Fixed {
		l.query.Set(name, value)
	}
	return l.Link(1)
}

// Previous and Next are the numbers of the pages beside this one.
func (l list[Row]) Previous() int { return l.Page - 1 }
func (l list[Row]) Next() int     { return l.Page + 1 }

// First and Last are the numbers of the rows that are shown, from 1 on.
func (l list[Row]) First() int { return min(l.All, (l.Page-1)*rowsAPage+1) }
func (l list[Row]) Last() int  { return (l.Page-1)*rowsAPage + len(l.Rows) }

// has reports whether all wanted words are in a text.
func has(text string, wanted []string) bool {
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// fold makes texts alike that people take for the same: without case and accents, so that 'slask' finds Śląsk.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		switch r = unicode.ToLower(r); {
		case unicode.Is(unicode.Mn, r):
			return -1
		case r == 'ł': // no accent of an l to Unicode
			return 'l'
		}
		return r
	}, norm.NFD.String(text))
}

// field is what somebody wrote into a field of a search.
func field(text string) string {
	text = strings.TrimSpace(text)
	if r := []rune(text); len(r) > maxFilter {
		return string(r[:maxFilter])
	}
	return text
}

// table is rows with the number of all, of which only the first are shown.
type table[Row any] struct {
	Rows   []Row
	All    int
	Failed bool
}

func tableOf[Row any](rows []Row, failed bool) table[Row] {
	return table[Row]{Rows: rows[:min(len(rows), maxRows)], All: len(rows), Failed: failed}
}

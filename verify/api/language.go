package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/text/language"

	"trustcore/verify"
)

// spoken matches what callers speak to what reports are written in.
var spoken = language.NewMatcher(func() (tags []language.Tag) {
	for _, l := range verify.Languages {
		tags = append(tags, language.MustParse(l))
	}
	return tags
}())

// languageOf is that of verify.Languages which the caller accepts most gladly (RFC 9110 12.5.4), "" where it names none of
// them: reasons and notes are English then.
func languageOf(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(tags) == 0 {
		return ""
	}
	_, i, certain := spoken.Match(tags...)
	if certain == language.No {
		return ""
	}
	return verify.Languages[i]
}

//go:embed problems.pl.json
var problemsInPolish []byte

// polish says problems by their English formats; what stands in them is numbered.
var polish = sync.OnceValue(func() (table map[string]string) {
	if err := json.Unmarshal(problemsInPolish, &table); err != nil {
		panic("api: problems in Polish: " + err.Error()) // they are a part of the program
	}
	return table
})

// Speak is a problem.Door's: it says a problem in Polish to who prefers that. An error that stands in one is said in
// the words of reports.
func Speak(accept, format string, args []any) string {
	if languageOf(accept) != "pl" {
		return ""
	}
	text := polish()[format]
	if !strings.Contains(text, "%") {
		return text
	}
	said := make([]any, len(args))
	for i, a := range args {
		if err, is := a.(error); is {
			a = verify.Wording("pl", err.Error())
		}
		said[i] = a
	}
	return fmt.Sprintf(text, said...)
}

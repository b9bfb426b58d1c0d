package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"trustcore/internal/problem"
	"trustcore/verify"
)

// languageOf is that of verify.Languages which the caller accepts most gladly, "" where it names none of them: reasons and
// notes are English then.
var languageOf = problem.Speaks(verify.Languages...)

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

package api

import (
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

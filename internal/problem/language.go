package problem

import "golang.org/x/text/language"

// Speaks returns what finds, of some languages, that which a caller accepts most gladly by its Accept-Language (RFC 9110,
// 12.5.4), and "" where it names none of them.
func Speaks(languages ...string) func(accept string) string {
	var tags []language.Tag
	for _, l := range languages {
		tags = append(tags, language.MustParse(l))
	}
	matcher := language.NewMatcher(tags)
	return func(accept string) string {
		wanted, _, err := language.ParseAcceptLanguage(accept)
		if err != nil || len(wanted) == 0 {
			return ""
		}
		_, i, certain := matcher.Match(wanted...)
		if certain == language.No {
			return ""
		}
		return languages[i]
	}
}

package keep

import (
	"regexp"
	"slices"
	"testing"
)

// TestWords: each language has the same texts, with the same things to fill in.
func TestWords(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z]`)
	for id, polish := range words()["pl"] {
		english, there := words()["en"][id]
		if !there || english == "" || polish == "" {
			t.Errorf("%s is missing", id)
		}
		if !slices.Equal(verbs.FindAllString(polish, -1), verbs.FindAllString(english, -1)) {
			t.Errorf("%s is filled in by other things", id)
		}
	}
	if len(words()["pl"]) != len(words()["en"]) {
		t.Errorf("%d texts, and %d", len(words()["pl"]), len(words()["en"]))
	}
}

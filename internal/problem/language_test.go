package problem

import "testing"

func TestSpeaks(t *testing.T) {
	spoken := Speaks("pl", "en")
	for accept, want := range map[string]string{
		"": "", "de": "", "*;q": "", "pl": "pl", "pl-PL, en;q=0.5": "pl", "de, en-GB;q=0.8, pl;q=0.7": "en", "en;q=0.2, pl": "pl",
	} {
		if got := spoken(accept); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
}

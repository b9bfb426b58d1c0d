package console

import "testing"

func TestMasked(t *testing.T) {
	for text, want := range map[string]string{
		"Jan 44051401359":       "Jan *******1359",
		"PESEL:44051401359.":    "PESEL:*******1359.",
		"02070803628":           "*******3628", // born in the twenties of this century
		"44051401358":           "44051401358", // its check digit is wrong
		"44131401350":           "44131401350", // there is no month 13
		"440514013590":          "440514013590",
		"a44051401359":          "a44051401359",
		"ZU/44051401359/x":      "ZU/*******1359/x",
		"":                      "",
		"Urząd Gminy, 12345678": "Urząd Gminy, 12345678",
	} {
		if got := masked(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{"ŁÓDŹ": "lodz", "Śląsk": "slask", "Zażółć gęślą jaźń": "zazolc gesla jazn", "A\u0301": "a"} {
		if got := fold(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

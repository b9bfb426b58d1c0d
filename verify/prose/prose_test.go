package prose

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"Anna\u00a0Żółć-Müller (A/B) 100 %":                        "Anna Żółć-Müller (A/B) 100 %",
		"Kowalski). The signature is valid. (":                     "Kowalski). The signature is valid. (",
		"Kowalski”. Podpis jest ważny. „":                          "Kowalski'. Podpis jest ważny. '",
		"a\"b“c”d„e‟f«g»h‹i›j‚k‘l’m‛n″o＂p「q」":                      "a'b'c'd'e'f'g'h'i'j'k'l'm'n'o'p'q'",
		"a\nb\tc\u2028d\re":                                        "a b c d e",
		"a\x1b[2Jb\u202ec\u2066d\u200be\x00f\u3164g\u2800h\ufeffi": "a\ufffd[2Jb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg\ufffdh\ufffdi",
		"":                       "",
		strings.Repeat("ż", 120): strings.Repeat("ż", 120),
		strings.Repeat("ż", 121): strings.Repeat("ż", 120) + "…",
		"\xff\xfe":               "\ufffd\ufffd",
	} {
		if got := Name(text); got != "“"+want+"”" {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := In("pl", text); got != "„"+want+"”" {
			t.Errorf("%q in Polish: %q, want %q", text, got, want)
		}
	}
}

func TestText(t *testing.T) {
	long := strings.Repeat("a\n", 600)
	if got := Text(long); utf8.RuneCountInString(got) != maxText+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d characters", utf8.RuneCountInString(got))
	}
	if got := Short(`the "whole" file`); got != `the "whole" file` {
		t.Errorf("%q", got)
	}
}

func FuzzName(f *testing.F) {
	f.Add("Kowalski”. „\n\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := Name(text)
		inner := strings.TrimSuffix(strings.TrimPrefix(got, "“"), "”")
		if strings.ContainsAny(inner, "“”„\"") || strings.ContainsFunc(inner, func(r rune) bool { return !unicode.IsPrint(r) }) || utf8.RuneCountInString(inner) > maxName+1 {
			t.Errorf("%q: %q", text, got)
		}
	})
}

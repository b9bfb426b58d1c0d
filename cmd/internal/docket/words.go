package docket

// words are heads of columns and rows, and verdicts, English to Polish.
var words = map[string]string{
	"integrity": "integralność", "signatory": "podpisujący", "kind": "rodzaj", "time": "czas", "trust": "źródło zaufania",
	"indication": "wynik", "signer": "certyfikat", "issuer": "wystawca", "format": "format", "qualification": "kwalifikacja",
	"proven at": "dowód istnienia", "because": "przyczyna", "covers": "obejmuje", "beware": "uwaga", "note": "adnotacja",
	"a time-stamp": "oznaczenie czasu", "an evidence record": "rekord dowodowy",
	"verdict": "werdykt", "file": "plik", "valid": "ważny", "not valid": "nieważny", "unconfirmed": "niepotwierdzony",
	"unsigned": "brak podpisu", "not judged": "nie oceniono",
}

// Word is a head or a verdict in a language of verify.Languages.
func Word(language, english string) string {
	if language == "pl" {
		return words[english]
	}
	return english
}

package gateway

import (
	"fmt"
	"net/http"
	"slices"

	"trustcore/internal/problem"
)

var preferred = problem.Speaks("en", "pl")

// Speak is a problem.Door's: it says a refusal in Polish to who prefers that.
func Speak(accept, format string, args []any) string {
	if preferred(accept) != "pl" {
		return ""
	}
	text := polish[format]
	if len(args) == 0 || text == "" {
		return text
	}
	said := slices.Clone(args)
	for i, a := range said {
		if scope, is := a.(Scope); is {
			said[i] = polishScopes[scope]
		}
	}
	return fmt.Sprintf(text, said...)
}

var polishScopes = map[Scope]string{OfKey: "klucz", OfApplication: "aplikacja", OfOffice: "urząd"}

// polish says refusals, by their English formats.
var polish = map[string]string{
	http.StatusText(http.StatusBadRequest):            "Błędne żądanie",
	http.StatusText(http.StatusUnauthorized):          "Brak uwierzytelnienia",
	http.StatusText(http.StatusForbidden):             "Odmowa dostępu",
	http.StatusText(http.StatusConflict):              "Konflikt",
	http.StatusText(http.StatusRequestEntityTooLarge): "Żądanie jest za duże",
	http.StatusText(http.StatusUnsupportedMediaType):  "Nieobsługiwany typ danych",
	http.StatusText(http.StatusUnprocessableEntity):   "Żądanie nie do wykonania",
	http.StatusText(http.StatusTooManyRequests):       "Za dużo żądań",
	http.StatusText(http.StatusServiceUnavailable):    "Usługa niedostępna",

	"the connection carries no verified client certificate":                          "połączenie nie ma sprawdzonego certyfikatu klienta",
	"no authorisation lets this application use this key":                            "żadne upoważnienie nie pozwala tej aplikacji używać tego klucza",
	"the authorisation of order %s was withdrawn":                                    "upoważnienie ze zlecenia %s zostało cofnięte",
	"the authorisation of order %s begins at %s":                                     "upoważnienie ze zlecenia %s zaczyna się %s",
	"the authorisation of order %s ended at %s":                                      "upoważnienie ze zlecenia %s skończyło się %s",
	"this version of the key verifies alone: since %s the key %s signs in its place": "ta wersja klucza służy już tylko do weryfikacji: od %s zamiast niej podpisuje klucz %s",
	"this version of the key signs from %s on":                                       "ta wersja klucza podpisuje od %s",
	"the authorisation of order %s allows %s, not %s":                                "upoważnienie ze zlecenia %s pozwala na %s, nie na %s",
	"the key signs by %s, not by %s":                                                 "klucz podpisuje przez %s, nie przez %s",
	"the key is not active: it was suspended or destroyed":                           "klucz nie jest aktywny: został zawieszony albo zniszczony",
	"the key does not decrypt this":                                                  "klucz tego nie odszyfrowuje",
	"the ciphertext has %d bytes, not as many as the key's modulus":                  "szyfrogram ma %d bajtów, nie tyle, ile moduł klucza",
	"there is no such key any more":                                                  "tego klucza już nie ma",
	"a digest has %d bytes, %s signs digests of %d":                                  "skrót ma %d bajtów, %s podpisuje skróty o długości %d",
	"the application asks for more than %g signatures a second":                      "aplikacja żąda więcej niż %g podpisów na sekundę",
	"too many signatures are in progress; try again in a moment":                     "zbyt wiele podpisów jest w toku; spróbuj ponownie za chwilę",
	"the audit log can't be written, so nothing is signed":                           "nie można zapisać dziennika zdarzeń, więc nic nie jest podpisywane",
	"the HSM does not answer now; try again in a moment":                             "HSM teraz nie odpowiada; spróbuj ponownie za chwilę",
	"the same request is still being answered; try again in a moment":                "to samo żądanie jest jeszcze w toku; spróbuj ponownie za chwilę",
	"the %s may sign %d times a second":                                              "limit (%s): najwyżej %d podpisów na sekundę",
	"the %s may sign %d times a day, and has not as many uses left":                  "limit (%s): najwyżej %d podpisów dziennie, a tylu już nie zostało",
	"the %s may sign %d times in all, and has not as many uses left":                 "limit (%s): najwyżej %d podpisów łącznie, a tylu już nie zostało",
	"the %s may sign from %s to %s, by the clock of %s":                              "limit (%s): podpisy od %s do %s według zegara %s",
	"the %s may sign documents of the types %s; name one of them as document":        "limit (%s): tylko dokumenty rodzajów %s; podaj jeden z nich jako document",
	"this Idempotency-Key stood for another request: choose a new one":               "ten Idempotency-Key należał do innego żądania: wybierz nowy",
}

// told is the problem in the language of who asks.
func told(r *http.Request, p *problem.Problem) *problem.Problem {
	return problem.Door{Speak: Speak}.Told(r, p)
}

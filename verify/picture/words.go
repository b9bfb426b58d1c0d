package picture

// words are what the pictures say, by language.
var words = map[string]map[string]string{
	"pl": {
		"timeline": "Przebieg w czasie", "chain": "Kto za kogo ręczy",
		"valid-from": "Początek ważności certyfikatu", "valid-to": "Koniec ważności certyfikatu",
		"claimed": "Czas podany przez podpisującego", "proven": "Podpis istniał najpóźniej",
		"stamp": "Znacznik czasu", "record": "Rekord dowodowy", "revoked": "Unieważnienie certyfikatu",
		"judged": "Sprawdzenie podpisu",
		"ok":     "potwierdzono", "bad": "nieważny", "open": "nie potwierdzono",
		"anchor": "źródło zaufania", "issuer": "wystawca", "signer": "podpisujący", "until": "ważny do %s",
		"status-good": "nieunieważniony", "status-revoked": "unieważniony", "status-unknown": "nie wiadomo, czy unieważniony",
		"nobody": "Brak wystawcy, któremu można zaufać",
		"unread": "Czasu nie da się odczytać",
	},
	"en": {
		"timeline": "Course of events", "chain": "Who vouches for whom",
		"valid-from": "Certificate valid from", "valid-to": "Certificate valid until",
		"claimed": "Signing time as the signer gives it", "proven": "The signature existed at the latest",
		"stamp": "Time-stamp", "record": "Evidence record", "revoked": "Certificate revoked",
		"judged": "Signature verified",
		"ok":     "confirmed", "bad": "not valid", "open": "not confirmed",
		"anchor": "source of trust", "issuer": "issuer", "signer": "signer", "until": "valid until %s",
		"status-good": "not revoked", "status-revoked": "revoked", "status-unknown": "not known whether revoked",
		"nobody": "No issuer that can be trusted",
		"unread": "The time can't be read",
	},
}

// say returns a text in a language of verify.Languages; English for others.
func say(language, id string) string {
	list := words[language]
	if list == nil {
		list = words["en"]
	}
	return list[id]
}

// labelled adds a name to a text, where there is one.
func labelled(text, name string) string {
	if name == "" {
		return text
	}
	return text + ": " + name
}

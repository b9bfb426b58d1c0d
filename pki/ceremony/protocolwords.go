package ceremony

// protocolWords are the words of the protocol by language: of the page, of roles, steps and facts.
var protocolWords = map[string]map[string]string{
	"pl": {
		"protocol": "Protokół ceremonii kluczy", "place": "Miejsce", "organization": "Organizacja", "begun": "Rozpoczęto", "ended": "Zakończono",
		"plan_sha256": "SHA-256 planu", "people": "Uczestnicy", "name": "Imię i nazwisko", "role": "Rola", "key": "SHA-256 klucza",
		"steps": "Czynności", "hash": "Skrót czynności", "signatures": "Podpisy", "by_hand": "Podpis odręczny", "signature": "– podpis", "date": "Data",
		"paper": "Podpisem potwierdzam, że byłem(-am) obecny(-a), że czynności wykonano w tej kolejności i że odciski na ekranie były takie jak tutaj.",
		"last":  "Skrót ostatniej czynności powyżej; z nim i skrótem tej strony łączy się wpis zamykający, podpisany kluczem głównym",

		Administrator: "administrator", Custodian: "opiekun klucza", Witness: "świadek",
		"root": "urząd główny", "issuing": "urząd wystawiający", "ocsp": "responder OCSP", "time_stamping": "jednostka znakowania czasem",
		"plan accepted": "Przyjęto plan", stepMachine: "Obejrzano maszynę i HSM", stepPeople: "Uczestnicy wyrazili zgodę swoimi kluczami",
		"key made": "Utworzono klucz", "certificate signed": "Podpisano certyfikat", "list signed": "Podpisano listę CRL",
		"certificate shown": "Okazano certyfikat",

		"title": "tytuł", "base_url": "adres bazowy", "attendee": "uczestnik", "person": "osoba", "key_sha256": "– SHA-256 klucza",
		"of": "rodzaj", "opening": "numer otwarcia", "opened": "otwarto",
		"label": "etykieta", "algorithm": "algorytm", "key_id": "numer klucza w HSM", "public_key_sha256": "SHA-256 klucza publicznego",
		"subject": "podmiot", "issuer": "wystawca", "serial": "numer seryjny", "not_before": "ważny od", "not_after": "ważny do", "sha256": "SHA-256",
		"crl_number": "numer listy", "next_update": "następna lista",
		"hsm_manufacturer": "producent HSM", "hsm_model": "model HSM", "hsm_serial": "numer seryjny HSM", "hsm_label": "etykieta tokenu",
		"hsm_firmware": "oprogramowanie układowe HSM", "hsm_hardware": "wersja sprzętu HSM", "hsm_library": "biblioteka PKCS#11",
		"program": "program", "program_version": "wersja programu", "program_sha256": "SHA-256 programu",
		"worker_sha256": "SHA-256 programu obsługującego HSM", "time_source": "źródło czasu",
	},
	"en": {
		"protocol": "Protocol of a key ceremony", "place": "Place", "organization": "Organisation", "begun": "Begun", "ended": "Ended",
		"plan_sha256": "SHA-256 of the plan", "people": "Attendees", "name": "Name", "role": "Role", "key": "SHA-256 of the key",
		"steps": "Steps", "hash": "hash of this step", "signatures": "Signatures", "by_hand": "Signature by hand", "signature": "– signature", "date": "Date",
		"paper": "By my signature I confirm that I was present, that the steps were done in this order, and that the fingerprints on the screen were those shown here.",
		"last":  "Hash of the last step above; the closing step binds it and the digest of this page, and is signed by the root's key",

		Administrator: "administrator", Custodian: "key custodian", Witness: "witness",
		"root": "root", "issuing": "issuing authority", "ocsp": "OCSP responder", "time_stamping": "time-stamping unit",
		"plan accepted": "Plan accepted", stepMachine: "Machine and HSM looked at", stepPeople: "People agreed by their keys",
		"key made": "Key made", "certificate signed": "Certificate signed", "list signed": "CRL signed", "certificate shown": "Certificate shown",

		"title": "title", "base_url": "base URL", "attendee": "attendee", "person": "person", "key_sha256": "– SHA-256 of the key",
		"of": "kind", "opening": "number of the opening", "opened": "opened",
		"label": "label", "algorithm": "algorithm", "key_id": "number of the key in the HSM", "public_key_sha256": "SHA-256 of the public key",
		"subject": "subject", "issuer": "issuer", "serial": "serial number", "not_before": "valid from", "not_after": "valid until", "sha256": "SHA-256",
		"crl_number": "number of the list", "next_update": "next list",
		"hsm_manufacturer": "maker of the HSM", "hsm_model": "model of the HSM", "hsm_serial": "serial number of the HSM", "hsm_label": "label of the token",
		"hsm_firmware": "firmware of the HSM", "hsm_hardware": "hardware version of the HSM", "hsm_library": "PKCS#11 library",
		"program": "program", "program_version": "version of the program", "program_sha256": "SHA-256 of the program",
		"worker_sha256": "SHA-256 of the program that drives the HSM", "time_source": "source of time",
	},
}

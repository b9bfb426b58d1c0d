package verify

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // offices read local time, on machines without zone files too

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed messages/*.json
var messages embed.FS

// Languages are those that every sentence is written in, the default first.
var Languages = []string{"pl", "en"}

// speakers returns the localizer of each language. The files are part of the program, so a fault in
// them is a fault of the build.
var speakers = sync.OnceValue(func() map[string]*i18n.Localizer {
	bundle := i18n.NewBundle(language.Polish)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	m := map[string]*i18n.Localizer{}
	for _, lang := range Languages {
		if _, err := bundle.LoadMessageFileFS(messages, "messages/"+lang+".json"); err != nil {
			panic(err)
		}
		m[lang] = i18n.NewLocalizer(bundle, lang)
	}
	return m
})

// explain returns the verdict in one plain sentence a language: who signed, whether it holds, and when it
// does not, why and what to do.
func explain(r *SignatureReport) map[string]string {
	data := map[string]string{"Who": who(r.Signer), "Kind": string(r.Kind), "Time": warsaw(r.BestSignatureTime)}
	sentences := make(map[string]string, len(Languages))
	for lang, speaker := range speakers() {
		data["Kind"] = say(speaker, "kind."+string(r.Kind), nil)
		if data["Who"] == "" {
			data["Who"] = say(speaker, "unknown-signer", nil)
		}
		sentences[lang] = strings.TrimSpace(say(speaker, "verdict."+string(r.Indication), data) + " " + say(speaker, reasonKey(r), data))
		data["Who"] = who(r.Signer)
	}
	return sentences
}

// reasonKey chooses the message for what is wrong; sub-indications that ask for the same act share one.
func reasonKey(r *SignatureReport) string {
	if r.Indication == TotalPassed {
		return "reason.passed"
	}
	if _, known := reasons[r.SubIndication]; known {
		return "reason." + string(r.SubIndication)
	}
	return "reason.other"
}

var reasons = map[SubIndication]struct{}{
	FormatFailure: {}, HashFailure: {}, SigCryptoFailure: {}, SignedDataNotFound: {}, NoSigningCertificateFound: {},
	NoCertificateChainFound: {}, NoCertificateChainNoPOE: {}, OutOfBoundsNoPOE: {}, OutOfBoundsNotRevoked: {},
	RevokedNoPOE: {}, RevokedCANoPOE: {}, TryLater: {}, ChainGeneralFailure: {}, RevocationOutOfBounds: {},
	CryptoConstraintsNoPOE: {},
}

func say(speaker *i18n.Localizer, id string, data map[string]string) string {
	text, err := speaker.Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: data})
	if err != nil {
		return fmt.Sprintf("[%s]", id)
	}
	return text
}

func who(s Signer) string {
	if name := strings.TrimSpace(s.GivenName + " " + s.Surname); name != "" {
		return name
	}
	if s.CommonName != "" {
		return s.CommonName
	}
	return s.Organization
}

var zone = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Warsaw")
	if err != nil {
		return time.UTC
	}
	return l
})

func warsaw(t time.Time) string { return t.In(zone()).Format("2006-01-02 15:04") }

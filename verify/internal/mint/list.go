package mint

import (
	"cmp"
	"fmt"
	"testing"
	"time"
)

// The words of TS 119 612 that tests use.
const (
	TypeLOTL = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUlistofthelists"
	TypeList = "http://uri.etsi.org/TrstSvc/TrustedList/TSLType/EUgeneric"

	CAQC = "http://uri.etsi.org/TrstSvc/Svctype/CA/QC"
	QTST = "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"

	Granted   = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/granted"
	Withdrawn = "http://uri.etsi.org/TrstSvc/TrustedList/Svcstatus/withdrawn"

	ForSignatures = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSignatures"
	ForSeals      = "http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/ForeSeals"

	nsList           = "http://uri.etsi.org/02231/v2#"
	nsQualifications = "http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#"
)

// List is a trusted list to be signed.
type List struct {
	Type, Territory string
	Sequence        int
	Pointers        []Pointer
	Services        []Service
	Issued, Next    time.Time // zero: Day, and half a year after it
	Information     []string  // addresses of SchemeInformationURI
}

// Pointer names another list and its signers.
type Pointer struct {
	Type, Territory string
	Signers         []Party
	Location        string // zero: one at example.org
	MIME            string // zero: not said
}

// Service is a trust service with its periods, the newest first.
type Service struct {
	Name, Type string
	By         Party
	Periods    []Period
}

// Period is a stretch of a service's life.
type Period struct {
	Status         string
	From           time.Time
	Additional     []string // additional service information
	Qualifications string   // content of the Qualifications extension: QualificationElements of the prefix q
}

// Qualification writes a QualificationElement; criteria is the content of a CriteriaList with the given assertion.
func Qualification(qualifier, assert, criteria string) string {
	return `<q:QualificationElement><q:Qualifiers><q:Qualifier uri="http://uri.etsi.org/TrstSvc/TrustedList/SvcInfoExt/` + qualifier + `"></q:Qualifier></q:Qualifiers>` +
		`<q:CriteriaList assert="` + assert + `">` + criteria + `</q:CriteriaList></q:QualificationElement>`
}

// Policy writes a condition: the certificate has the policy.
func Policy(oid string) string {
	return `<q:PolicySet><q:PolicyIdentifier><x:Identifier xmlns:x="` + etsi + `">` + oid + `</x:Identifier></q:PolicyIdentifier></q:PolicySet>`
}

// KeyUsageBit writes a condition on one bit.
func KeyUsageBit(name string, value bool) string {
	return fmt.Sprintf(`<q:KeyUsage><q:KeyUsageBit name="%s">%t</q:KeyUsageBit></q:KeyUsage>`, name, value)
}

// Sign writes the list and signs it.
func (l List) Sign(t testing.TB, signer Party) []byte {
	t.Helper()
	return XML{Signer: signer, At: Day}.Sign(t, l.Text())
}

// Text is the list without a signature.
func (l List) Text() string {
	text := `<TrustServiceStatusList xmlns="` + nsList + `" TSLTag="http://uri.etsi.org/19612/TSLTag"><SchemeInformation><TSLVersionIdentifier>5</TSLVersionIdentifier>` +
		fmt.Sprintf(`<TSLSequenceNumber>%d</TSLSequenceNumber><TSLType>%s</TSLType><SchemeTerritory>%s</SchemeTerritory>`, l.Sequence, l.Type, l.Territory)
	if len(l.Information) > 0 {
		text += `<SchemeInformationURI>`
		for _, uri := range l.Information {
			text += `<URI xml:lang="en">` + uri + `</URI>`
		}
		text += `</SchemeInformationURI>`
	}
	if len(l.Pointers) > 0 {
		text += `<PointersToOtherTSL>`
		for _, p := range l.Pointers {
			text += p.text()
		}
		text += `</PointersToOtherTSL>`
	}
	text += `<ListIssueDateTime>` + or(l.Issued, Day).Format(time.RFC3339) + `</ListIssueDateTime><NextUpdate><dateTime>` +
		or(l.Next, Day.AddDate(0, 6, 0)).Format(time.RFC3339) + `</dateTime></NextUpdate></SchemeInformation>`
	if len(l.Services) > 0 {
		text += `<TrustServiceProviderList><TrustServiceProvider><TSPInformation><TSPName><Name xml:lang="en">Test Provider</Name></TSPName></TSPInformation><TSPServices>`
		for _, s := range l.Services {
			text += s.text()
		}
		text += `</TSPServices></TrustServiceProvider></TrustServiceProviderList>`
	}
	return text + `</TrustServiceStatusList>`
}

func or(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

func (p Pointer) text() string {
	text := `<OtherTSLPointer><ServiceDigitalIdentities>`
	for _, s := range p.Signers {
		text += `<ServiceDigitalIdentity><DigitalId><X509Certificate>` + b64(s.Cert.Raw) + `</X509Certificate></DigitalId></ServiceDigitalIdentity>`
	}
	mime := ""
	if p.MIME != "" {
		mime = `<OtherInformation><x:MimeType xmlns:x="http://uri.etsi.org/02231/v2/additionaltypes#">` + p.MIME + `</x:MimeType></OtherInformation>`
	}
	return text + `</ServiceDigitalIdentities><TSLLocation>` + cmp.Or(p.Location, "https://example.org/tl.xml") + `</TSLLocation><AdditionalInformation>` + mime +
		`<OtherInformation><TSLType>` + p.Type + `</TSLType></OtherInformation><OtherInformation><SchemeTerritory>` + p.Territory + `</SchemeTerritory></OtherInformation>` +
		`</AdditionalInformation></OtherTSLPointer>`
}

func (s Service) text() string {
	text := `<TSPService>`
	for i, p := range s.Periods {
		switch i {
		case 0:
			text += `<ServiceInformation>` + s.period(p) + `</ServiceInformation>`
		case 1:
			text += `<ServiceHistory>`
			fallthrough
		default:
			text += `<ServiceHistoryInstance>` + s.period(p) + `</ServiceHistoryInstance>`
		}
	}
	if len(s.Periods) > 1 {
		text += `</ServiceHistory>`
	}
	return text + `</TSPService>`
}

func (s Service) period(p Period) string {
	text := `<ServiceTypeIdentifier>` + s.Type + `</ServiceTypeIdentifier><ServiceName><Name xml:lang="en">` + s.Name + `</Name></ServiceName>` +
		`<ServiceDigitalIdentity><DigitalId><X509Certificate>` + b64(s.By.Cert.Raw) + `</X509Certificate></DigitalId></ServiceDigitalIdentity>` +
		`<ServiceStatus>` + p.Status + `</ServiceStatus><StatusStartingTime>` + p.From.Format(time.RFC3339) + `</StatusStartingTime><ServiceInformationExtensions>`
	for _, a := range p.Additional {
		text += `<Extension Critical="false"><AdditionalServiceInformation><URI xml:lang="en">` + a + `</URI></AdditionalServiceInformation></Extension>`
	}
	if p.Qualifications != "" {
		text += `<Extension Critical="true"><q:Qualifications xmlns:q="` + nsQualifications + `">` + p.Qualifications + `</q:Qualifications></Extension>`
	}
	return text + `</ServiceInformationExtensions>`
}

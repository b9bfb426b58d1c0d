package keep

import "trustcore/verify/report/etsi"

// Form is a form in which a report is kept.
type Form struct {
	Media    string // its media type
	End      string // of a file's name, such as ".pdf"
	Write    func(Report) ([]byte, error)
	Sealable bool // it has a place for a seal
}

// Forms are those that there are, by their names in interfaces.
var Forms = map[string]Form{
	"pdf":      {"application/pdf", ".pdf", PDF, true},
	"html":     {"text/html; charset=utf-8", ".html", HTML, false},
	"etsi-xml": {"application/xml", ".xml", ETSI, true},
}

// ETSI is the report of ETSI TS 119 102-2, which is for programs, and English.
func ETSI(r Report) ([]byte, error) {
	if r.Verdict == nil || r.Verdict.Trace == nil {
		return nil, errIncomplete
	}
	return etsi.Marshal(r.Verdict)
}

package verify

import (
	"trustcore/verify/certificate"
	"trustcore/verify/poland"
)

// People are the personal numbers in the certificates of the report's trace, by which a text about the document is to
// be shown without them; of a report without a trace, or in which they were asked for, none are known.
func (r *Report) People() (n poland.Numbers) {
	if r.Trace == nil || r.Trace.Numbers {
		return n
	}
	for i := range r.Trace.Certificates {
		if c, err := certificate.Parse(r.Trace.Certificates[i].DER); err == nil {
			n.Add(c.Subject)
		}
	}
	return n
}

package trustlist

import (
	"strings"
	"time"

	"trustcore/verify/certificate"
)

// Stamping is what the lists say of a time-stamping unit, named as DSS names it.
type Stamping string

// The kinds of time-stamping services (TS 119 612, 5.5.1).
const (
	NoStamping        Stamping = "N/A"
	Stamps            Stamping = "TSA"  // of the lists, not qualified
	QualifiedStamping Stamping = "QTSA" // Svctype/TSA/QTST
)

const (
	typeStamping  = "/Svctype/TSA"
	typeQualified = "/Svctype/TSA/QTST"
)

// TimeStamping looks for a time-stamping service that was granted at the time among the certificates of a path,
// the unit's first. listed tells that any service of a list, granted or not, of whatever type, is on the path, and
// no anchor that the administrator gave.
func (s *Snapshot) TimeStamping(chain []*certificate.Certificate, at time.Time) (listed bool, best Stamping) {
	best = NoStamping
	for _, c := range chain {
		for _, a := range s.sameService(c) {
			if a.Service == nil {
				return false, best
			}
			listed = true
			p := a.Service.At(at)
			if p == nil || !p.Granted() {
				continue
			}
			switch {
			case strings.HasSuffix(p.Type, typeQualified):
				best = QualifiedStamping
			case strings.Contains(p.Type, typeStamping) && best == NoStamping:
				best = Stamps
			}
		}
	}
	return listed, best
}

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
	typeQualified = "http://uri.etsi.org/TrstSvc/Svctype/TSA/QTST"
)

// StampLevel is the level of a time-stamp by the certificates of its unit's path, the unit's first: qualified where a
// qualified service was granted when the time-stamp was made and when it is proven to have existed (TS 119 615 4.8), a
// time-stamp where any service of a list is on the path, and nothing where none is.
func (s *Snapshot) StampLevel(chain []*certificate.Certificate, made, proven time.Time) Stamping {
	listed, then := s.TimeStamping(chain, made)
	if !listed {
		return NoStamping
	}
	if _, later := s.TimeStamping(chain, proven); then == QualifiedStamping && later == QualifiedStamping {
		return QualifiedStamping
	}
	return Stamps
}

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
			case p.Type == typeQualified && p.entitles():
				best = QualifiedStamping
			case strings.Contains(p.Type, typeStamping) && best == NoStamping:
				best = Stamps
			}
		}
	}
	return listed, best
}

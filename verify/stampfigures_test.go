package verify

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// oracleTimestamp is a time-stamp as the oracle sees it; the final indication is that of past validation.
type oracleTimestamp struct {
	Type           string
	Indication     string `json:"final_indication"`
	ProductionTime string `json:"production_time"`
}

// stampFigures are numbers of time-stamps of one type.
type stampFigures struct{ all, indication int }

// archival are the formats of signatures with time-stamps over their evidence.
var archival = []string{"LTA", "ERS", "-A"}

// countStamps compares the time-stamps of a file, of its signatures and of its evidence records, and demands that a signature
// with archive time-stamps that the oracle passes passes here.
func (c *conformance) countStamps(t *testing.T, s sample, r *Report) {
	t.Helper()
	c.compareStamps(r.Timestamps, s.Timestamps)
	of := func(e EvidenceRecordReport) bool { return len(e.Signatures) > 0 }
	records := slices.DeleteFunc(slices.Clone(r.EvidenceRecords), of) // those of the file alone
	for i := range min(len(records), len(s.EvidenceRecords)) {
		c.compareStamps(records[i].Timestamps, s.EvidenceRecords[i].Timestamps)
	}
	for _, p := range c.compare(t, s, r) {
		c.compareStamps(p.ours.Timestamps, p.theirs.Timestamps)
		archived := slices.ContainsFunc(archival, func(level string) bool { return strings.HasSuffix(p.theirs.Format, level) })
		if !archived || p.theirs.Indication != "TOTAL_PASSED" || p.theirs.later(c.at) {
			continue
		}
		c.archived++
		if p.ours.Indication != TotalPassed {
			t.Errorf("%s: %s passes for the oracle, here it is %s %s %q", s.File, p.theirs.Format, p.ours.Indication, p.ours.SubIndication, p.ours.Reasons)
		}
	}
}

// compareStamps pairs time-stamps by type, time and indication, then less strictly. Those from after the validation time are left
// out: the oracle does not look.
func (c *conformance) compareStamps(ours []TimestampReport, theirs []oracleTimestamp) {
	ours = slices.Clone(ours)
	theirs = slices.DeleteFunc(slices.Clone(theirs), func(o oracleTimestamp) bool { return o.ProductionTime > c.at.Format(time.RFC3339) })
	for _, alike := range []func(*TimestampReport, oracleTimestamp) bool{
		func(a *TimestampReport, b oracleTimestamp) bool {
			return sameStamp(a, b) && string(a.Indication) == b.Indication
		},
		sameStamp,
		func(a *TimestampReport, b oracleTimestamp) bool { return a.Type == b.Type },
		func(*TimestampReport, oracleTimestamp) bool { return false },
	} {
		theirs = slices.DeleteFunc(theirs, func(o oracleTimestamp) bool {
			i := slices.IndexFunc(ours, func(a TimestampReport) bool { return alike(&a, o) })
			if i < 0 {
				return false
			}
			f := c.figuresOf(o.Type)
			f.all++
			if string(ours[i].Indication) == o.Indication {
				f.indication++
			}
			ours = slices.Delete(ours, i, i+1)
			return true
		})
	}
	for _, o := range theirs {
		c.figuresOf(o.Type).all++
	}
}

func (c *conformance) figuresOf(typ string) *stampFigures {
	if c.stamps[typ] == nil {
		c.stamps[typ] = &stampFigures{}
	}
	return c.stamps[typ]
}

func sameStamp(a *TimestampReport, b oracleTimestamp) bool {
	return a.Type == b.Type && a.Time != nil && strings.HasPrefix(b.ProductionTime, a.Time.Format("2006-01-02T15:04:05"))
}

// leastArchive is the share of archive time-stamps whose indication must be the oracle's.
const leastArchive = 0.97

// checkStamps holds the figures of time-stamps against the bounds.
func (c *conformance) checkStamps(t *testing.T) {
	var archive stampFigures
	for typ, f := range c.stamps {
		t.Logf("%s: %d of %d have the oracle's indication", typ, f.indication, f.all)
		if f.all-f.indication > c.most[typ] {
			t.Errorf("%s: %d have another indication than the oracle's, more than %d", typ, f.all-f.indication, c.most[typ])
		}
		if typ == "ARCHIVE_TIMESTAMP" {
			archive = *f
		}
	}
	if float64(archive.indication) < leastArchive*float64(archive.all) || archive.all == 0 {
		t.Errorf("of %d archive time-stamps %d have the oracle's indication", archive.all, archive.indication)
	}
	t.Logf("%d signatures with archive time-stamps pass for the oracle", c.archived)
	if c.archived == 0 {
		t.Error("no signature with archive time-stamps passes for the oracle")
	}
}

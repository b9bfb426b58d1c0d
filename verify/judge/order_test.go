package judge_test

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"slices"
	"testing"

	"trustcore/verify/internal/mint"
	"trustcore/verify/signature"
)

// TestOneTime: of time-stamps of one second the one that covers the other is judged first, a renewal before what it
// renews, and else what stands later in the document: each proves the age of what came before it, whose unit has ended.
func TestOneTime(t *testing.T) {
	w := newWorld(t)
	day := mint.Day
	ended := w.ca.Issue(t, mint.Request{Subject: pkix.Name{CommonName: "unit that ended"}, TSU: true,
		From: day.AddDate(-1, 0, 0), To: day.AddDate(0, 1, 0)})
	w.policy = strictBut(t, "TimestampServiceListed: FAIL", "TimestampServiceListed: IGNORE")
	crl := w.ca.CRL(t, day.AddDate(0, 0, -1), nil)
	type stamp = signature.Timestamp
	covers := func(a, b *signature.Timestamp) { a.Covers = append(a.Covers, sha256.Sum256(b.Token)) }
	archive := func(stamps ...*signature.Timestamp) {
		for _, s := range stamps {
			s.Type, s.Covers = signature.ArchiveTimestamp, nil
		}
	}
	record := func(s *signature.Signature, stamps ...*signature.Timestamp) *signature.EvidenceRecord {
		return &signature.EvidenceRecord{References: []signature.Reference{{Type: "data", Found: true, Intact: true}},
			Timestamps: stamps, Covers: [][32]byte{s.Value}}
	}
	for _, c := range []struct {
		name string
		edit func(doc *signature.Document, s *signature.Signature, old, renewal *stamp)
	}{
		{"archive time-stamp after the signature's", func(_ *signature.Document, _ *signature.Signature, old, renewal *stamp) {
			archive(renewal)
			covers(renewal, old)
		}},
		{"two archive time-stamps", func(_ *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(old, renewal)
			old.Covers = [][32]byte{s.Value}
			covers(renewal, old)
		}},
		{"two archive time-stamps, in a set", func(_ *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(old, renewal)
			old.Covers = [][32]byte{s.Value}
			covers(renewal, old)
			slices.Reverse(s.Timestamps)
		}},
		{"time-stamp of the document", func(doc *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(renewal)
			covers(renewal, old)
			doc.Timestamps, s.Timestamps = []*signature.Timestamp{renewal}, []*signature.Timestamp{old}
		}},
		{"evidence record", func(doc *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(old, renewal)
			covers(renewal, old)
			s.EvidenceRecords, s.Timestamps = []*signature.EvidenceRecord{record(s, old, renewal)}, nil
		}},
		{"evidence record of the document", func(doc *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(old, renewal)
			covers(renewal, old)
			doc.EvidenceRecords, s.Timestamps = []*signature.EvidenceRecord{record(s, old, renewal)}, nil
		}},
		{"evidence record over a time-stamp", func(doc *signature.Document, s *signature.Signature, old, renewal *stamp) {
			archive(renewal)
			e := record(s, renewal)
			e.Covers = [][32]byte{sha256.Sum256(old.Token)}
			s.EvidenceRecords, s.Timestamps = []*signature.EvidenceRecord{e}, []*signature.Timestamp{old}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := w.stamped(t, mint.Stamp{By: ended, At: day}, mint.Stamp{By: w.tsu, At: day})
			s := doc.Signatures[0]
			c.edit(doc, s, s.Timestamps[0], s.Timestamps[1])
			r := w.judge(t, doc, day.AddDate(0, 2, 0), crl)
			for _, stamp := range r.Timestamps {
				wants(t, stamp.Conclusion, "TOTAL-PASSED")
			}
			for _, e := range r.Records {
				wants(t, e.Conclusion, "TOTAL-PASSED")
			}
			wants(t, r.Signatures[0].Conclusion, "TOTAL-PASSED")
		})
	}
	doc := w.stamped(t, mint.Stamp{By: ended, At: day}, mint.Stamp{By: w.tsu, At: day})
	s := doc.Signatures[0]
	covers(s.Timestamps[0], s.Timestamps[1])
	covers(s.Timestamps[1], s.Timestamps[0])
	covers(s.Timestamps[1], s.Timestamps[1])
	if r := w.judge(t, doc, day.AddDate(0, 2, 0), crl); len(r.Timestamps) != 2 {
		t.Errorf("of two that cover one another %d are judged", len(r.Timestamps))
	}
}

package judge

import (
	"slices"
	"time"

	"trustcore/verify/policy"
	"trustcore/verify/signature"
	"trustcore/verify/trace"
)

// EvidenceRecord is what was concluded of one evidence record.
type EvidenceRecord struct {
	Facts *signature.EvidenceRecord
	Conclusion
	Time time.Time // at which what it covers is proven to have existed; zero where it did not pass
}

// recordsOf are the evidence records of a document, in its order.
func recordsOf(doc *signature.Document) []*signature.EvidenceRecord {
	list := slices.Clone(doc.EvidenceRecords)
	for _, s := range doc.Signatures {
		list = append(list, s.EvidenceRecords...)
	}
	return list
}

// renewal enters what one archive time-stamp of a record proves. Those after the first prove what they renew; the first
// is the last to be judged, and with it the record is: it alone says what the record as a whole covers.
func (v *validator) renewal(p proof, r *Timestamp) {
	if p.record.Timestamps[0] != p.stamp {
		if r.passed() && whole(p.record).passed() {
			v.existence.prove(p.stamp.Time, p.stamp.Covers)
		}
		return
	}
	e := v.record(p.record)
	v.out.Records[p.record] = e
	if e.passed() {
		e.Time = p.stamp.Time
		v.existence.prove(e.Time, p.stamp.Covers)
		v.existence.prove(e.Time, p.record.Covers)
	}
}

// whole checks that the record could be read to its end and is in order (RFC 4998 4.3, RFC 6283 4.3).
func whole(e *signature.EvidenceRecord) Conclusion {
	switch {
	case len(e.Structure) > 0:
		return Conclusion{TotalFailed, FormatFailure, slices.Clone(e.Structure)}
	case e.Unchecked != "":
		return indeterminate(Generic, "the evidence record was not checked to its end: %s", e.Unchecked)
	case len(e.Timestamps) == 0:
		return failed(FormatFailure, "the evidence record holds no time-stamp")
	}
	for i, t := range e.Timestamps[1:] {
		if t.Time.Before(e.Timestamps[i].Time) {
			return failed(FormatFailure, "the time-stamps of the evidence record are out of order")
		}
	}
	return passed()
}

// record concludes on an evidence record: its form, what it covers, then its time-stamps, the latest first. Each was
// judged at the time that the one after it proves, the algorithm of its hash tree too (RFC 4998 5.3).
func (v *validator) record(e *signature.EvidenceRecord) *EvidenceRecord {
	v.steps.of(e)
	c := v.block(trace.FormatChecking, time.Time{}, func() Conclusion {
		return v.check(policy.EvidenceRecord, trace.WellFormed, whole(e))
	}).then(func() Conclusion {
		return v.block(trace.CryptographicVerification, time.Time{}, func() Conclusion { return v.recorded(e.References) })
	})
	for _, t := range slices.Backward(e.Timestamps) {
		c = c.then(func() Conclusion {
			return v.block(trace.EvidenceRecordValidation, v.at, func() Conclusion { return v.renewed(t) })
		})
	}
	return &EvidenceRecord{Facts: e, Conclusion: c}
}

// renewed is the conclusion on a time-stamp of a record that was judged before.
func (v *validator) renewed(t *signature.Timestamp) Conclusion {
	c := indeterminate(Generic, "a time-stamp of the evidence record was not judged")
	if r := v.out.Timestamps[t]; r != nil {
		c = r.Conclusion
	}
	v.conclusive(t, c)
	return c
}

// orphan is the type of a hash of a record that no object at hand has: the record may be about more than was given.
const orphan = "orphan"

// recorded judges what the record is about.
func (v *validator) recorded(references []signature.Reference) Conclusion {
	const c = policy.EvidenceRecord
	about := false
	for _, ref := range references {
		if ref.Type == orphan {
			about = about || ref.Intact
			continue
		}
		if missing := v.checkOf(c, policy.DataObjectExistence, ref.Name, found(ref)); !missing.passed() {
			return missing
		}
		if !ref.Intact {
			return v.checkOf(c, policy.DataObjectIntact, ref.Name,
				failed(HashFailure, "%s %q is not what the evidence record is about", ref.Type, ref.Name))
		}
		v.checkOf(c, policy.DataObjectIntact, ref.Name, passed())
		about = true
	}
	if !about {
		return v.check(c, policy.DataObjectFound, indeterminate(SignedDataNotFound, "nothing that the evidence record is about is at hand"))
	}
	return v.check(c, policy.DataObjectFound, passed())
}

package verify

// Bare reports whether the file holds nothing to verify.
func (r *Report) Bare() bool { return len(r.Signatures)+len(r.Timestamps)+len(r.EvidenceRecords) == 0 }

// AllPassed reports whether the file holds something to verify, and all of it passed. The evidence records of signatures
// count in their conclusions.
func (r *Report) AllPassed() bool {
	passed := !r.Bare()
	for i := range r.Signatures {
		passed = passed && r.Signatures[i].Indication == TotalPassed
	}
	for i := range r.Timestamps {
		passed = passed && r.Timestamps[i].Indication == Passed
	}
	for _, e := range r.OwnRecords() {
		passed = passed && e.Indication == Passed
	}
	return passed
}

// OwnRecords are the evidence records of the file that belong to no signature; the others stand with theirs.
func (r *Report) OwnRecords() (own []EvidenceRecordReport) {
	for _, e := range r.EvidenceRecords {
		if len(e.Signatures) == 0 {
			own = append(own, e)
		}
	}
	return own
}

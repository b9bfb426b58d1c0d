package pdf

// tellHybrid notes an object that the tables of a hybrid file have at one place, and the stream that XRefStm names at
// another (ISO 32000-2 7.5.8.4): programs show one or the other. Objects that the tables lack or call free are what such
// files are made for. What a revision after a signature does in this way is a change; here the signed file itself is one
// that two readers may read apart, which its signer may not have seen.
func (d *Document) tellHybrid() {
	for i, s := range d.sections {
		if s.hybrid == nil {
			continue
		}
		for _, sub := range s.hybrid.subsections {
			for k := range sub.count {
				if d.meter.Work(probeSection*int64(len(d.sections)-i)) != nil {
					return
				}
				number := sub.first + k
				hidden, _ := s.hybrid.lookup(number, d.base)
				if open, ok := d.inTables(i, number); ok && hidden.kind != entryFree && hidden != open {
					d.problem("object %d lies at two places in a hybrid file: programs show one or the other", number)
					return
				}
			}
		}
	}
}

// inTables is what programs find that read no cross-reference streams, from section i on to older ones: false where the
// object is free, or in no table.
func (d *Document) inTables(i, number int) (entry, bool) {
	for _, s := range d.sections[i:] {
		if s.stream {
			continue
		}
		table := *s
		table.hybrid = nil
		if e, ok := table.lookup(number, d.base); ok {
			return e, e.kind != entryFree
		}
	}
	return entry{}, false
}

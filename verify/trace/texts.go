package trace

import "trustcore/verify/prose"

// Texts puts show(text) in the place of every text that people read: of all strings but ids, serial numbers, digests
// and names of this package.
func (t *Trace) Texts(show func(string) string) { prose.Replace(t, t.ids(), show) }

// ids are those of all objects and blocks.
func (t *Trace) ids() map[string]bool {
	ids := map[string]bool{}
	for i := range t.Signatures {
		s := &t.Signatures[i]
		ids[s.ID] = true
		enter(ids, s.Blocks, s.Processes)
	}
	for i := range t.Timestamps {
		s := &t.Timestamps[i]
		ids[s.ID] = true
		enter(ids, s.Blocks, s.Processes)
	}
	for i := range t.EvidenceRecords {
		e := &t.EvidenceRecords[i]
		ids[e.ID] = true
		enter(ids, e.Blocks, e.Processes)
	}
	for i := range t.Revocations {
		ids[t.Revocations[i].ID] = true
		enter(ids, t.Revocations[i].Blocks)
	}
	for i := range t.Certificates {
		ids[t.Certificates[i].ID] = true
	}
	for i := range t.Orphans {
		ids[t.Orphans[i].ID] = true
	}
	for i := range t.SignedData {
		ids[t.SignedData[i].ID] = true
	}
	for i := range t.TrustedLists {
		ids[t.TrustedLists[i].ID] = true
	}
	return ids
}

func enter(ids map[string]bool, lists ...[]Block) {
	for _, blocks := range lists {
		for i := range blocks {
			ids[blocks[i].ID] = true
			enter(ids, blocks[i].Blocks)
		}
	}
}

package pdf

import (
	"bytes"
	"errors"
	"slices"
)

// Revision is one state of the file: the original or an incremental update.
type Revision struct {
	Start int64 // first byte that this revision added
	// EOF is the end of its %%EOF marker, End that of the white space behind it.
	EOF, End int64
}

// Revisions lists the states of the file, oldest first. A linearised original is one revision.
func (d *Document) Revisions() []Revision { return d.revisions }

// CoveredRevision returns the index of the revision that a range of bytes from the beginning of the
// file to end covers exactly, or -1 when it ends inside a revision.
func (d *Document) CoveredRevision(end int64) int {
	for i, r := range slices.Backward(d.revisions) {
		if r.EOF <= end && end <= r.End {
			return i
		}
	}
	return -1
}

// At opens the document as it was at the end of revision i. The view spends from the limits of d.
func (d *Document) At(i int) (*Document, error) {
	if i < 0 || i >= len(d.revisions) {
		return nil, errors.New("pdf: no such revision")
	}
	if i == len(d.revisions)-1 {
		return d, nil
	}
	if v, ok := d.views[i]; ok {
		return v, nil
	}
	if d.meter.views--; d.meter.views < 0 {
		return nil, errLimit
	}
	v, err := open(d.data[:d.revisions[i].End], d.meter)
	if err != nil {
		return nil, err
	}
	d.views[i] = v
	return v, nil
}

// findRevisions locates the end of each update: the first %%EOF behind the startxref that follows a
// cross-reference section.
func (d *Document) findRevisions() {
	var ends []int64
	if d.rebuilt != nil {
		ends = d.markers()
	} else {
		ends = d.sectionEnds()
	}
	for _, eof := range ends {
		start := int64(0)
		if n := len(d.revisions); n > 0 {
			start = d.revisions[n-1].End
			if eof <= start {
				continue // linearised: the first-page section lies inside the original
			}
		}
		end := eof
		for end < int64(len(d.data)) && isSpace(d.data[end]) {
			end++
		}
		d.revisions = append(d.revisions, Revision{Start: start, EOF: eof, End: end})
	}
	if n := len(d.revisions); n == 0 || d.revisions[n-1].End < int64(len(d.data)) {
		d.problem("bytes follow the last revision")
	}
}

// sectionEnds returns the end of the %%EOF marker of each section, oldest section first.
func (d *Document) sectionEnds() []int64 {
	type position struct {
		order int
		end   int64
	}
	byEnd := make([]position, len(d.sections))
	for i, s := range d.sections {
		byEnd[i] = position{order: len(d.sections) - 1 - i, end: s.end}
	}
	slices.SortFunc(byEnd, func(a, b position) int { return int(a.end - b.end) })
	ends := make([]int64, len(byEnd))
	start, eof := int64(-1), int64(-1) // the search goes on where the last one ended, so that it passes the file once
	for _, p := range byEnd {
		if start < p.end {
			start = indexFrom(d.data, "startxref", p.end)
		}
		if eof < start {
			eof = indexFrom(d.data, "%%EOF", start)
		}
		ends[p.order] = min(eof+int64(len("%%EOF")), int64(len(d.data)))
	}
	return ends
}

// indexFrom finds text at or after an offset; it gives the length of the data when there is none.
func indexFrom(data []byte, text string, from int64) int64 {
	if from >= int64(len(data)) {
		return int64(len(data))
	}
	if i := bytes.Index(data[from:], []byte(text)); i >= 0 {
		return from + int64(i)
	}
	return int64(len(data))
}

// markers returns the ends of the %%EOF markers, for files without usable cross references.
func (d *Document) markers() []int64 {
	var ends []int64
	for at := int64(0); len(ends) < maxRevisions; {
		at = indexFrom(d.data, "%%EOF", at)
		if at == int64(len(d.data)) {
			break
		}
		at += int64(len("%%EOF"))
		ends = append(ends, at)
	}
	return append(ends, int64(len(d.data))) // what has no marker is a revision too
}

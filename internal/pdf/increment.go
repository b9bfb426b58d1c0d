package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// increment collects the objects of one incremental update.
type increment struct {
	doc     *Document
	next    int // first free object number
	objects map[int]Object
	// generation of objects that replace earlier ones
	generation map[int]int
}

// newIncrement refuses documents that cannot be extended without changing what they say.
func newIncrement(d *Document) (*increment, error) {
	if d.Encrypted() {
		return nil, errEncrypted
	}
	if d.rebuilt != nil {
		return nil, errors.New("pdf: the cross references are broken: the document has to be repaired before an update can be appended")
	}
	size, ok := d.Integer(d.trailer["Size"])
	if !ok || size < 1 {
		return nil, errors.New("pdf: the trailer has no Size")
	}
	for _, s := range d.sections { // a Size that lies must not make us overwrite objects
		for _, t := range []*section{s, s.hybrid} {
			if t != nil && len(t.subsections) > 0 {
				last := t.subsections[len(t.subsections)-1]
				size = max(size, int64(last.first+last.count))
			}
		}
	}
	if size > maxObjectID-64 {
		return nil, errLimit
	}
	return &increment{doc: d, next: int(size), objects: map[int]Object{}, generation: map[int]int{}}, nil
}

// add gives a new object its number.
func (u *increment) add(o Object) Ref {
	r := Ref{Number: u.next}
	u.next++
	u.objects[r.Number] = o
	return r
}

// replace puts a new version of an object into the update.
func (u *increment) replace(r Ref, o Object) {
	u.objects[r.Number] = o
	u.generation[r.Number] = r.Generation
}

// mutable returns a copy of the dictionary at a reference that belongs to the update.
func (u *increment) mutable(r Ref) (Dict, error) {
	if o, ok := u.objects[r.Number].(Dict); ok {
		return o, nil
	}
	o, ok := u.doc.Resolve(r).(Dict)
	if !ok {
		return nil, fmt.Errorf("pdf: object %d is no dictionary", r.Number)
	}
	o = maps.Clone(o)
	u.replace(r, o)
	return o, nil
}

// bytes returns the document with the update appended, and where each object begins.
func (u *increment) bytes() ([]byte, map[int]int64, error) {
	d := u.doc
	out := make([]byte, len(d.data), len(d.data)+1<<16)
	copy(out, d.data)
	if c := out[len(out)-1]; c != '\n' && c != '\r' {
		out = append(out, '\n')
	}
	offsets := map[int]int64{}
	for _, n := range slices.Sorted(maps.Keys(u.objects)) {
		offsets[n] = int64(len(out))
		out = fmt.Appendf(out, "%d %d obj\n", n, u.generation[n])
		if s, ok := u.objects[n].(*Stream); ok {
			s.Dict["Length"] = Integer(len(s.data))
			out = appendDict(out, s.Dict)
			out = append(append(append(out, "\nstream\n"...), s.data...), "\nendstream"...)
		} else {
			out = appendObject(out, u.objects[n])
		}
		out = append(out, "\nendobj\n"...)
	}
	if d.sections[0].stream {
		return u.appendXrefStream(out, offsets), offsets, nil
	}
	out, err := u.appendTable(out, offsets)
	return out, offsets, err
}

// newTrailer carries on what belongs to the document and leaves what belongs to a section.
func (u *increment) newTrailer() Dict {
	t := Dict{}
	for _, k := range []Name{"Root", "Info", "ID"} {
		if v, ok := u.doc.trailer[k]; ok {
			t[k] = v
		}
	}
	t["Size"] = Integer(u.next)
	t["Prev"] = Integer(u.doc.sections[0].at - u.doc.base)
	return t
}

func (u *increment) appendTable(out []byte, offsets map[int]int64) ([]byte, error) {
	at := int64(len(out)) - u.doc.base
	out = append(out, "xref\n"...)
	for _, run := range runs(offsets) {
		out = fmt.Appendf(out, "%d %d\n", run[0], len(run))
		for _, n := range run {
			if offsets[n] > 9999999999 {
				return nil, errLimit
			}
			out = fmt.Appendf(out, "%010d %05d n\r\n", offsets[n]-u.doc.base, u.generation[n])
		}
	}
	out = append(out, "trailer\n"...)
	out = appendDict(out, u.newTrailer())
	return fmt.Appendf(out, "\nstartxref\n%d\n%%%%EOF\n", at), nil
}

func (u *increment) appendXrefStream(out []byte, offsets map[int]int64) []byte {
	self := u.next
	u.next++
	offsets[self] = int64(len(out))
	at := int64(len(out)) - u.doc.base
	var rows []byte
	var index Array
	for _, run := range runs(offsets) {
		index = append(index, Integer(run[0]), Integer(len(run)))
		for _, n := range run {
			offset := uint64(offsets[n] - u.doc.base)
			rows = append(rows, 1, byte(offset>>32), byte(offset>>24), byte(offset>>16), byte(offset>>8), byte(offset))
			rows = append(rows, byte(u.generation[n]>>8), byte(u.generation[n]))
		}
	}
	t := u.newTrailer()
	t["Type"], t["Index"], t["Length"] = Name("XRef"), index, Integer(len(rows))
	t["W"] = Array{Integer(1), Integer(5), Integer(2)}
	out = fmt.Appendf(out, "%d 0 obj\n", self)
	out = appendDict(out, t)
	out = append(append(append(out, "\nstream\n"...), rows...), "\nendstream\nendobj\n"...)
	return fmt.Appendf(out, "startxref\n%d\n%%%%EOF\n", at)
}

// runs splits the object numbers into runs of consecutive ones.
func runs(offsets map[int]int64) [][]int {
	var out [][]int
	for _, n := range slices.Sorted(maps.Keys(offsets)) {
		if k := len(out); k > 0 && out[k-1][len(out[k-1])-1] == n-1 {
			out[k-1] = append(out[k-1], n)
			continue
		}
		out = append(out, []int{n})
	}
	return out
}

// find returns where text lies in an object of the update.
func find(document []byte, from int64, text string) int64 {
	i := bytes.Index(document[from:], []byte(text))
	if i < 0 {
		return -1
	}
	return from + int64(i)
}

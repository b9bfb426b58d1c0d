package pdf

import (
	"bytes"
	"errors"
)

// rebuild searches the file for objects, as viewers do when the cross references are broken. Of
// several objects with one number the last one counts.
func (d *Document) rebuild(cause error) error {
	d.problem("the cross references are broken (%v): objects were searched for", cause)
	d.sections, d.trailer, d.rebuilt, d.base, d.crypt = nil, nil, map[int]entry{}, 0, nil
	clear(d.cache)
	clear(d.loading)
	clear(d.objstms)
	clear(d.repeated)
	clear(d.views)
	s := scanner{d: d}
	if err := s.run(); err != nil {
		return err
	}
	if s.trailer == nil {
		if s.catalog == 0 {
			return errors.New("pdf: neither a trailer nor a catalog was found")
		}
		s.trailer = Dict{"Root": Ref{Number: s.catalog}}
	}
	d.trailer = s.trailer
	clear(d.cache)
	if err := d.openTrailer(); err != nil || !d.Encrypted() {
		return err
	}
	clear(d.rebuilt) // object streams can be read as what they are only now
	if err := s.run(); err != nil {
		return err
	}
	d.trailer = s.trailer
	return d.openTrailer()
}

// scanner finds what looks like an object.
type scanner struct {
	d       *Document
	trailer Dict
	catalog int
}

func (s *scanner) run() error {
	data := s.d.data
	if err := s.d.meter.Octets(len(data)); err != nil {
		return err
	}
	for pos, found := 0, 0; ; {
		i := bytes.Index(data[pos:], []byte("obj"))
		if i < 0 {
			break
		}
		at := pos + i
		pos = at + 3
		header, start, ok := headerBefore(data, at)
		if !ok {
			continue
		}
		s.d.rebuilt[header.Number] = entry{kind: entryOffset, offset: int64(start), generation: header.Generation}
		if found++; found > maxRebuilt {
			return errLimit
		}
		if err := s.d.meter.Hold(holdNode); err != nil {
			return err
		}
		s.look(header.Number, start, at)
	}
	s.trailers()
	return nil
}

// headerBefore reads "n g " backwards from the keyword obj.
func headerBefore(data []byte, at int) (header Ref, start int, ok bool) {
	i := at
	var value [2]int
	for f := range value {
		j := i
		for j > 0 && isSpace(data[j-1]) {
			j--
		}
		if j == i && f == 1 { // between the two numbers there must be white space
			return Ref{}, 0, false
		}
		i = j
		for j > 0 && i-j < 9 && isDigit(data[j-1]) {
			j--
		}
		if j == i {
			return Ref{}, 0, false
		}
		for _, c := range data[j:i] {
			value[f] = value[f]*10 + int(c-'0')
		}
		i = j
	}
	return Ref{value[1], value[0]}, i, value[1] <= maxObjectID && value[0] <= 65535
}

// look peeks at an object: object streams bring more objects, cross-reference streams a trailer.
func (s *scanner) look(number, start, at int) {
	const peek = 512
	head := s.d.data[at:min(len(s.d.data), at+peek)]
	for _, end := range []string{"endobj", "stream"} {
		if i := bytes.Index(head, []byte(end)); i >= 0 {
			head = head[:i]
		}
	}
	if !bytes.Contains(head, []byte("/Type")) && !bytes.Contains(head, []byte("/XRef")) {
		return
	}
	switch {
	case bytes.Contains(head, []byte("/ObjStm")):
		s.objectStream(number, start)
	case bytes.Contains(head, []byte("/XRef")) && bytes.Contains(head, []byte("/Root")):
		if o, err := s.d.objectAt(int64(start), false); err == nil {
			if stream, ok := o.Object.(*Stream); ok && stream.Dict["Root"] != nil {
				s.trailer = stream.Dict
			}
		}
	case bytes.Contains(head, []byte("/Catalog")):
		s.catalog = number
	}
}

func (s *scanner) objectStream(number, start int) {
	o, err := s.d.objectAt(int64(start), false)
	stream, ok := o.Object.(*Stream)
	if err != nil || !ok {
		return
	}
	content, err := s.d.readObjectStream(stream)
	if err != nil {
		return
	}
	for i, n := range content.numbers {
		if n > maxObjectID || len(s.d.rebuilt) > maxRebuilt || s.d.meter.Hold(holdNode) != nil {
			return
		}
		s.d.rebuilt[n] = entry{kind: entryCompressed, offset: int64(number), index: i}
	}
}

// trailers looks for the last trailer that names a catalog.
func (s *scanner) trailers() {
	data := s.d.data
	for end := len(data); ; {
		i := bytes.LastIndex(data[:end], []byte("trailer"))
		if i < 0 || s.d.meter.Err() != nil {
			return
		}
		end = i
		p := s.d.parser(data[i+len("trailer"):], -1)
		o, err := p.object(0)
		if s.d.meter.spend(p) != nil {
			return
		}
		if t, ok := o.(Dict); ok && err == nil && t["Root"] != nil {
			s.trailer = t
			return
		}
	}
}

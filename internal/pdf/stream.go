package pdf

import (
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"
)

// Decode returns the data of a stream after its filters. Flate with predictors, ASCIIHex and ASCII85
// are known: what cross references, object streams and security stores use.
func (d *Document) Decode(s *Stream) ([]byte, error) { return d.decode(s, true) }

func (d *Document) decode(s *Stream, decrypt bool) ([]byte, error) {
	if s.fresh {
		return s.data, nil
	}
	if s.data != nil {
		return s.data, nil
	}
	data, err := d.raw(s)
	if err != nil {
		return nil, err
	}
	if decrypt && d.crypt != nil && s.Dict["Type"] != Name("XRef") {
		if data, err = d.crypt.stream(s, data); err != nil {
			return nil, err
		}
	}
	filters, params, err := d.filters(s)
	if err != nil {
		return nil, err
	}
	for i, f := range filters {
		if data, err = d.filter(f, params[i], data); err != nil {
			return nil, err
		}
	}
	s.data = data
	return data, nil
}

// raw returns the bytes between stream and endstream. Where Length is wrong the keyword decides.
func (d *Document) raw(s *Stream) ([]byte, error) {
	if s.start > int64(len(d.data)) {
		return nil, errSyntax
	}
	rest := d.data[s.start:]
	if n, ok := d.Integer(s.Dict["Length"]); ok && n >= 0 && n <= int64(len(rest)) {
		after := bytes.TrimLeft(rest[n:min(int64(len(rest)), n+16)], "\r\n\t \x00")
		if bytes.HasPrefix(after, []byte("endstream")) {
			return rest[:n:n], nil
		}
	}
	if d.budget.scan <= 0 {
		return nil, errLimit
	}
	i := bytes.Index(rest, []byte("endstream"))
	if i < 0 {
		d.budget.scan -= int64(len(rest))
		return nil, errors.New("pdf: a stream has no end")
	}
	d.budget.scan -= int64(i)
	data := rest[:i]
	data = bytes.TrimSuffix(data, []byte("\n"))
	return bytes.TrimSuffix(data, []byte("\r")), nil
}

// filters returns the names of a stream's filters with their parameters.
func (d *Document) filters(s *Stream) ([]Name, []Dict, error) {
	list := func(long, short Name) Array {
		o := d.Resolve(s.Dict[long])
		if o == nil {
			o = d.Resolve(s.Dict[short])
		}
		switch o := o.(type) {
		case nil:
			return nil
		case Array:
			return o
		default:
			return Array{o}
		}
	}
	filters, params := list("Filter", "F"), list("DecodeParms", "DP")
	if len(filters) > maxFilters {
		return nil, nil, errLimit
	}
	names, dicts := make([]Name, len(filters)), make([]Dict, len(filters))
	for i := range filters {
		names[i] = d.Name(filters[i])
		if i < len(params) {
			dicts[i] = d.Dict(params[i])
		}
	}
	return names, dicts, nil
}

func (d *Document) filter(name Name, params Dict, data []byte) ([]byte, error) {
	switch name {
	case "FlateDecode", "Fl":
		out, err := d.inflate(data)
		if err != nil {
			return nil, err
		}
		return d.unpredict(out, params)
	case "ASCIIHexDecode", "AHx":
		return unhexAll(data), nil
	case "ASCII85Decode", "A85":
		return d.unascii85(data)
	case "Crypt":
		return data, nil
	}
	return nil, fmt.Errorf("pdf: filter %q is not supported", name)
}

// inflate undoes zlib compression. The checksum is not looked at and a cut stream gives what it holds,
// as viewers do.
func (d *Document) inflate(data []byte) ([]byte, error) {
	if len(data) < 2 {
		return nil, errSyntax
	}
	limit := min(int64(maxInflated), d.budget.inflated)
	if limit <= 0 {
		return nil, errLimit
	}
	r, err := d.budget.inflater(data[2:])
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(int(min(limit, 4*int64(len(data))+512)))
	n, err := io.Copy(&out, io.LimitReader(r, limit+1))
	d.budget.inflated -= n
	if n > limit {
		return nil, errLimit
	}
	if err != nil && n == 0 {
		return nil, fmt.Errorf("pdf: inflating a stream: %w", err)
	}
	return out.Bytes(), nil
}

// inflater prepares the one decompressor of the file.
func (b *budget) inflater(data []byte) (io.Reader, error) {
	if b.flate == nil {
		b.flate = flate.NewReader(bytes.NewReader(data))
		return b.flate, nil
	}
	return b.flate, b.flate.(flate.Resetter).Reset(bytes.NewReader(data), nil)
}

// unpredict undoes the PNG predictors (ISO 32000-2 7.4.4.4), in place.
func (d *Document) unpredict(data []byte, params Dict) ([]byte, error) {
	predictor, _ := d.Integer(params["Predictor"])
	if predictor < 2 {
		return data, nil
	}
	if predictor < 10 {
		return nil, errors.New("pdf: TIFF predictors are not supported")
	}
	number := func(key Name, preset int64) int64 {
		if n, ok := d.Integer(params[key]); ok {
			return n
		}
		return preset
	}
	colors, bits, columns := number("Colors", 1), number("BitsPerComponent", 8), number("Columns", 1)
	if colors < 1 || colors > 32 || bits < 1 || bits > 16 || columns < 1 || columns > 1<<20 {
		return nil, errors.New("pdf: broken predictor parameters")
	}
	pixel := int(max(1, colors*bits/8))
	row := int((colors*bits*columns + 7) / 8)
	return pngRows(data, pixel, row)
}

// pngRows undoes PNG filters of rows that each begin with the filter's type.
func pngRows(data []byte, pixel, row int) ([]byte, error) {
	out := data[:0]
	prior := make([]byte, row)
	for len(data) > 1 {
		kind := data[0]
		line := data[1:min(len(data), row+1)]
		data = data[1+len(line):]
		for i := range line {
			var left, corner byte
			if i >= pixel {
				left, corner = line[i-pixel], prior[i-pixel]
			}
			switch kind {
			case 0:
			case 1:
				line[i] += left
			case 2:
				line[i] += prior[i]
			case 3:
				line[i] += byte((int(left) + int(prior[i])) / 2)
			case 4:
				line[i] += paeth(left, prior[i], corner)
			default:
				return nil, errors.New("pdf: unknown PNG filter")
			}
		}
		out = append(out, line...) // never ahead of what is read: each row loses its first byte
		copy(prior, out[len(out)-len(line):])
	}
	return out, nil
}

func paeth(a, b, c byte) byte {
	p := int(a) + int(b) - int(c)
	pa, pb, pc := abs(p-int(a)), abs(p-int(b)), abs(p-int(c))
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

func unhexAll(data []byte) []byte {
	var out []byte
	half, have := 0, false
	for _, c := range data {
		if c == '>' {
			break
		}
		d := unhex(c)
		if d < 0 {
			continue
		}
		if have {
			out = append(out, byte(half<<4|d))
		}
		half, have = d, !have
	}
	if have {
		out = append(out, byte(half<<4))
	}
	return out
}

func (d *Document) unascii85(data []byte) ([]byte, error) {
	if i := bytes.Index(data, []byte("~>")); i >= 0 {
		data = data[:i]
	}
	if int64(len(data)) > d.budget.inflated/4 { // "z" stands for four zero bytes
		return nil, errLimit
	}
	out := make([]byte, 4*len(data)+4)
	n, _, err := ascii85.Decode(out, data, true)
	if err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	d.budget.inflated -= int64(n)
	return out[:n], nil
}

// objectStream is a decoded object stream (ISO 32000-2 7.5.7).
type objectStream struct {
	data    []byte
	numbers []int
	offsets []int
}

// compressed reads an object out of an object stream.
func (d *Document) compressed(e entry, number int) Object {
	s := d.objectStreamOf(int(e.offset))
	if s == nil {
		return nil
	}
	i := e.index
	if i >= len(s.numbers) || s.numbers[i] != number {
		for i = range s.numbers { // a wrong index: readers go by the number
			if s.numbers[i] == number {
				break
			}
		}
	}
	if i >= len(s.numbers) || s.numbers[i] != number || s.offsets[i] > len(s.data) {
		return nil
	}
	if d.budget.scan <= 0 {
		return nil
	}
	p := &parser{data: s.data[s.offsets[i]:], base: -1, nodes: &d.budget.nodes}
	o, err := p.object(0)
	d.budget.scan -= int64(p.pos)
	if err != nil {
		d.problem("object %d of an object stream cannot be read", number)
		return nil
	}
	if p.repeated {
		d.repeated[number] = true
	}
	return o
}

func (d *Document) objectStreamOf(container int) *objectStream {
	e, ok := d.lookup(container)
	if !ok || e.kind != entryOffset {
		return nil
	}
	if s, ok := d.objstms[e.offset]; ok {
		return s
	}
	d.objstms[e.offset] = nil // while it is being read, and when it cannot be
	stream, ok := d.object(Ref{Number: container}).(*Stream)
	if !ok {
		return nil
	}
	s, err := d.readObjectStream(stream)
	if err != nil {
		d.problem("object stream %d cannot be read: %v", container, err)
		return nil
	}
	d.objstms[e.offset] = s
	return s
}

func (d *Document) readObjectStream(stream *Stream) (*objectStream, error) {
	data, err := d.Decode(stream)
	if err != nil {
		return nil, err
	}
	n, ok1 := d.Integer(stream.Dict["N"])
	first, ok2 := d.Integer(stream.Dict["First"])
	if !ok1 || !ok2 || n < 0 || n > maxObjStm || first < 0 || first > int64(len(data)) {
		return nil, errSyntax
	}
	s := &objectStream{data: data}
	p := &parser{data: data[:first], nodes: &d.budget.nodes}
	for range n {
		number, ok1 := p.unsigned()
		offset, ok2 := p.unsigned()
		if !ok1 || !ok2 || offset > int64(len(data))-first {
			break // the objects before the broken pair are still good
		}
		s.numbers = append(s.numbers, int(number))
		s.offsets = append(s.offsets, int(first+offset))
	}
	return s, nil
}

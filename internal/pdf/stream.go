package pdf

import (
	"bytes"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"trustcore/internal/inflate"
)

// Decode returns the data of a stream after its filters. Flate with predictors, ASCIIHex and ASCII85
// are known: what cross references, object streams and security stores use.
// The error of a stream that cannot be deciphered is ErrPassword, or that of its cipher.
func (d *Document) Decode(s *Stream) ([]byte, error) {
	if s.fresh {
		return s.data, nil
	}
	where, err := d.locate(s.start, s.Dict["Length"])
	if err != nil {
		return nil, err
	}
	fixed := !indirect(s.Dict["Filter"], s.Dict["F"], s.Dict["DecodeParms"], s.Dict["DP"])
	key := coded{where, s.ref, d.crypt}
	// What was read before it was known that the file is enciphered is nothing that the file says.
	locked := d.Encrypted() && d.crypt == nil
	if data, ok := d.meter.decoded[key]; ok && fixed && !locked {
		return data, nil
	}
	filters, params, err := d.filters(s)
	if err != nil {
		return nil, err
	}
	data, err := d.streamData(s, filters, params, d.data[where.start:where.end:where.end])
	if err != nil {
		return nil, err
	}
	for i, f := range filters {
		if f == "Crypt" && i > 0 {
			return nil, errors.New("pdf: a Crypt filter is not the first")
		}
		if data, err = d.filter(f, params[i], data); err != nil {
			return nil, err
		}
	}
	if fixed {
		d.meter.decoded[key] = data
	}
	return data, nil
}

// indirect tells whether values hold a reference, which each revision may lead elsewhere.
func indirect(values ...Object) bool {
	for _, v := range values {
		switch v := v.(type) {
		case Ref:
			return true
		case Array:
			if indirect(v...) {
				return true
			}
		case Dict:
			if indirect(slices.Collect(maps.Values(v))...) {
				return true
			}
		}
	}
	return false
}

// locate finds the data of a stream, from its start to endstream. Where Length is wrong the keyword decides.
func (d *Document) locate(start int64, length Object) (extent, error) {
	if start > int64(len(d.data)) {
		return extent{}, errSyntax
	}
	rest := d.data[start:]
	if n, ok := d.Integer(length); ok && n >= 0 && n <= int64(len(rest)) {
		after := bytes.TrimLeft(rest[n:min(int64(len(rest)), n+16)], "\r\n\t \x00")
		if bytes.HasPrefix(after, []byte("endstream")) {
			return extent{start, start + n}, nil
		}
	}
	i := bytes.Index(rest, []byte("endstream"))
	searched := i
	if i < 0 {
		searched = len(rest)
	}
	if err := d.meter.Octets(searched); err != nil {
		return extent{}, err
	}
	if i < 0 {
		return extent{}, errors.New("pdf: a stream has no end")
	}
	data := bytes.TrimSuffix(rest[:i], []byte("\n"))
	data = bytes.TrimSuffix(data, []byte("\r"))
	return extent{start, start + int64(len(data))}, nil
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
		if err := d.hold(len(data) / 2); err != nil {
			return nil, err
		}
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
	f := inflate.NewReader(data[2:])
	defer f.Release()
	var pieces [][]byte
	room := f.Room()[:inflateRoom]
	for size, held := 0, 0; ; {
		piece := room[:min(inflateStep<<min(len(pieces), inflateGrowth), len(room))]
		if room = room[len(piece):]; len(piece) == 0 {
			piece = make([]byte, inflateStep<<min(len(pieces), inflateGrowth))
		}
		if err := d.hold(2 * len(piece)); err != nil { // the piece, and its place in the whole
			return nil, err
		}
		held += len(piece)
		n, err := io.ReadFull(f, piece)
		pieces = append(pieces, piece[:n])
		switch size += n; {
		case size > maxInflated:
			return nil, errLimit
		case err == nil:
			continue
		case size == 0 && err != io.EOF:
			return nil, fmt.Errorf("pdf: inflating a stream: %w", err)
		}
		d.meter.Release(2*held - size)
		return slices.Concat(pieces...), nil
	}
}

// inflateStep is how much is inflated before the budget is looked at first. Each next step is twice that, up to
// inflateGrowth times.
const (
	inflateStep   = 1 << 10
	inflateGrowth = 6
	inflateRoom   = 15 * inflateStep // of four steps, which need no memory of their own
)

// hold pays for octets that a filter makes.
func (d *Document) hold(octets int) error {
	if err := d.meter.Work(inflateOctet * int64(octets)); err != nil {
		return err
	}
	return d.meter.Hold(octets)
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
	if len(data) > maxInflated/4 {
		return nil, errLimit
	}
	if err := d.hold(4*len(data) + 4); err != nil { // "z" stands for four zero bytes
		return nil, err
	}
	out := make([]byte, 4*len(data)+4)
	n, _, err := ascii85.Decode(out, data, true)
	if err != nil {
		return nil, fmt.Errorf("pdf: %w", err)
	}
	return out[:n], nil
}

// objectStream is a decoded object stream (ISO 32000-2 7.5.7).
type objectStream struct {
	data    []byte
	numbers []int
	offsets []int
}

// compressed reads an object out of an object stream.
func (d *Document) compressed(e entry, number int) (o Object, size int) {
	p := d.compressedAt(e, number)
	if p == nil {
		return nil, 0
	}
	o, err := p.object(0)
	if spent := d.meter.spend(p); spent != nil || err != nil {
		d.problem("object %d of an object stream cannot be read", number)
		return nil, 0
	}
	if p.repeated {
		d.repeated[number] = true
	}
	return o, p.size()
}

// compressedAt is a parser at an object inside an object stream, nil where there is none.
func (d *Document) compressedAt(e entry, number int) *parser {
	s := d.objectStreamOf(int(e.offset))
	if s == nil {
		return nil
	}
	i := e.index
	if i >= len(s.numbers) || s.numbers[i] != number {
		if d.meter.Work(int64(len(s.numbers))) != nil {
			return nil
		}
		for i = range s.numbers { // a wrong index: readers go by the number
			if s.numbers[i] == number {
				break
			}
		}
	}
	if i >= len(s.numbers) || s.numbers[i] != number || s.offsets[i] > len(s.data) {
		return nil
	}
	return d.parser(s.data[s.offsets[i]:], -1)
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
	p := d.parser(data[:first], -1)
	if err := d.meter.Hold(int(16 * n)); err != nil {
		return nil, err
	}
	for range n {
		number, ok1 := p.unsigned()
		offset, ok2 := p.unsigned()
		if !ok1 || !ok2 || offset > int64(len(data))-first {
			break // the objects before the broken pair are still good
		}
		s.numbers = append(s.numbers, int(number))
		s.offsets = append(s.offsets, int(first+offset))
	}
	return s, d.meter.spend(p)
}

package pdf

import (
	"errors"
	"time"
)

// Field is a signature field of the interactive form.
type Field struct {
	Name string // fully qualified
	// Ref is the field's object, Value that of its signature dictionary (zero for direct objects).
	Ref, Value Ref
	// Signature is nil for fields that are not signed.
	Signature *Signature
	// Lock is the signature field lock dictionary (ISO 32000-2 12.7.5.5), or nil.
	Lock *Lock
	// Visible tells whether the widget shows something: a rectangle that is not empty.
	Visible bool
}

// Lock is what a signature field locks once it is signed.
type Lock struct {
	Action     Name     // All, Include or Exclude
	Fields     []string // full names
	Permission int64    // P, 0 where it is absent
}

// Signature is a signature dictionary (ISO 32000-2 table 255).
type Signature struct {
	Type              Name // Sig, DocTimeStamp or ""
	Filter, SubFilter Name
	ByteRange         []int64
	Contents          []byte // the CMS with the zeros that fill the hole
	// HoleStart and HoleEnd are the extent of Contents in the file, with the angle brackets.
	HoleStart, HoleEnd int64

	Time                                time.Time // M: claimed, UTC
	Name, Reason, Location, ContactInfo string
	Certificates                        [][]byte // Cert, of adbe.x509.rsa_sha1
	References                          []Reference
	Dict                                Dict

	// Revision is the index of the revision that the ByteRange covers to its end, -1 when it covers none.
	Revision int
	// Consistent tells that ByteRange covers all of that revision but the Contents string.
	Consistent bool
	// Problems are violations of the rules for ByteRange and Contents: what a viewer shows may then not
	// be what was signed.
	Problems []string
}

// Reference is a signature reference dictionary: what the signer allows to change.
type Reference struct {
	Method      Name     // DocMDP, FieldMDP, UR3
	Permission  int64    // P of DocMDP: 1, 2 (preset) or 3
	Action      Name     // of FieldMDP: All, Include or Exclude
	Fields      []string // of FieldMDP
	DigestValue []byte   // of old signatures
}

// Fields returns the signature fields of the form in the order of the form, with kids and inherited
// attributes. Fields that share a signature dictionary are all listed.
func (d *Document) Fields() ([]Field, error) {
	fields, err := d.walkFields()
	if err != nil || !d.misplaced || d.rebuilt != nil {
		return fields, err
	}
	// Viewers search the file for objects when one is missing; a signature that they show must not be overlooked.
	if err := d.rebuild(errors.New("an object is not where they say")); err != nil {
		return nil, err
	}
	d.revisions = nil
	d.findRevisions()
	return d.walkFields()
}

func (d *Document) walkFields() ([]Field, error) {
	form := d.Dict(d.Catalog()["AcroForm"])
	w := fieldWalk{d: d, seen: map[int]bool{}, signatures: map[int]*Signature{}}
	for _, f := range d.Array(form["Fields"]) {
		if err := w.node(f, inherited{}, 0); err != nil {
			return nil, err
		}
	}
	return w.fields, nil
}

type fieldWalk struct {
	d          *Document
	seen       map[int]bool
	signatures map[int]*Signature // by the object of the dictionary
	count      int
	fields     []Field
}

// inherited are the attributes that a field gets from its parents (ISO 32000-2 table 226).
type inherited struct {
	name      string
	fieldType Name
	value     Object
}

func (w *fieldWalk) node(o Object, from inherited, depth int) error {
	if w.count++; w.count > maxFields || depth > maxTreeDepth {
		return errLimit
	}
	ref, _ := o.(Ref)
	if ref.Number != 0 {
		if w.seen[ref.Number] {
			return nil
		}
		w.seen[ref.Number] = true
	}
	dict := w.d.Dict(o)
	if dict == nil {
		return nil
	}
	if t := w.d.Text(dict["T"]); t != "" {
		if from.name != "" && len(from.name) < 4096 {
			t = from.name + "." + t
		}
		from.name = t
		if err := w.d.meter.Hold(len(t)); err != nil {
			return err
		}
	}
	if t := w.d.Name(dict["FT"]); t != "" {
		from.fieldType = t
	}
	if v, ok := dict["V"]; ok {
		from.value = v
	}
	fieldKids := false
	for _, kid := range w.d.Array(dict["Kids"]) {
		if k := w.d.Dict(kid); k["T"] != nil || k["FT"] != nil || k["V"] != nil {
			fieldKids = true // else a widget: how the field looks on a page
			if err := w.node(kid, from, depth+1); err != nil {
				return err
			}
		}
	}
	if from.fieldType == "Sig" && !fieldKids {
		w.fields = append(w.fields, w.field(ref, dict, from))
	}
	return nil
}

func (w *fieldWalk) field(ref Ref, dict Dict, from inherited) Field {
	f := Field{Name: from.name, Ref: ref, Lock: w.d.lock(w.d.Dict(dict["Lock"]))}
	f.Visible = w.d.visible(dict)
	for _, kid := range w.d.Array(dict["Kids"]) {
		f.Visible = f.Visible || w.d.visible(w.d.Dict(kid))
	}
	f.Value, _ = from.value.(Ref)
	if s, ok := w.signatures[f.Value.Number]; ok && f.Value.Number != 0 {
		f.Signature = s
		return f
	}
	if value := w.d.Dict(from.value); value != nil {
		f.Signature = w.d.signature(value, w.d.repeated[f.Value.Number] || w.d.repeated[ref.Number])
		w.signatures[f.Value.Number] = f.Signature
	}
	return f
}

func (d *Document) lock(dict Dict) *Lock {
	if dict == nil {
		return nil
	}
	l := &Lock{Action: d.Name(dict["Action"]), Fields: d.texts(dict["Fields"])}
	if p, ok := d.Integer(dict["P"]); ok {
		l.Permission = p
	} else if dict["P"] != nil {
		l.Permission = -1
	}
	return l
}

// texts resolves o to the text strings of an array.
func (d *Document) texts(o Object) []string {
	var out []string
	for _, f := range d.Array(o) {
		if len(out) < maxFields {
			out = append(out, d.Text(f))
		}
	}
	return out
}

// visible tells whether a widget may be seen. A rectangle that is not four numbers is read by everybody in his own way.
func (d *Document) visible(widget Dict) bool {
	rect := d.Resolve(widget["Rect"])
	if rect == nil {
		return false
	}
	r := d.Array(rect)
	if len(r) != 4 {
		return true
	}
	differ := func(a, b Object) bool { return !sameNumber(d.Resolve(a), d.Resolve(b)) }
	return differ(r[0], r[2]) && differ(r[1], r[3])
}

// signature reads a signature dictionary.
func (d *Document) signature(dict Dict, repeated bool) *Signature {
	s := &Signature{
		Type: d.Name(dict["Type"]), Filter: d.Name(dict["Filter"]), SubFilter: d.Name(dict["SubFilter"]),
		Time: date(d.Text(dict["M"])), Name: d.Text(dict["Name"]), Reason: d.Text(dict["Reason"]),
		Location: d.Text(dict["Location"]), ContactInfo: d.Text(dict["ContactInfo"]),
		Dict: dict, Revision: -1,
	}
	if contents, ok := d.Resolve(dict["Contents"]).(String); ok {
		s.Contents, s.HoleStart, s.HoleEnd = contents.Value, contents.Start, contents.End
		if !contents.Hex {
			s.Problems = append(s.Problems, "Contents is not a hexadecimal string")
		}
	}
	s.Certificates = d.certificates(dict["Cert"])
	for _, r := range d.Array(dict["Reference"]) {
		s.References = append(s.References, d.reference(d.Dict(r)))
	}
	if repeated {
		s.Problems = append(s.Problems, "a key occurs twice in the signature dictionary")
	}
	d.checkRange(s)
	return s
}

func (d *Document) certificates(o Object) [][]byte {
	list, ok := d.Resolve(o).(Array)
	if !ok {
		list = Array{o}
	}
	var out [][]byte
	for _, c := range list {
		if der := d.bytes(c); der != nil && len(out) < maxEvidence {
			out = append(out, der)
		}
	}
	return out
}

func (d *Document) reference(dict Dict) Reference {
	params := d.Dict(dict["TransformParams"])
	r := Reference{Method: d.Name(dict["TransformMethod"]), Action: d.Name(params["Action"]), Permission: 2}
	if p, ok := d.Integer(params["P"]); ok {
		r.Permission = p
	} else if params["P"] != nil {
		r.Permission = 0
	}
	r.Fields = d.texts(params["Fields"])
	r.DigestValue = d.bytes(dict["DigestValue"])
	return r
}

// checkRange holds the ByteRange against the rules: two ranges, the first from byte 0, between them
// exactly the Contents string, the second to the end of a revision (ISO 32000-2 12.8.1, EN 319 142-1 5.3).
func (d *Document) checkRange(s *Signature) {
	s.Consistent = true
	problem := func(text string) { s.Problems, s.Consistent = append(s.Problems, text), false }
	for _, n := range d.Array(s.Dict["ByteRange"]) {
		v, ok := d.Integer(n)
		if !ok || len(s.ByteRange) == 64 {
			s.ByteRange = nil
			break
		}
		s.ByteRange = append(s.ByteRange, v)
	}
	r := s.ByteRange
	if len(r) != 4 {
		problem("ByteRange does not hold two ranges")
		return
	}
	size := int64(len(d.data))
	for _, n := range r {
		if n < 0 || n > size {
			problem("ByteRange goes beyond the file")
			return
		}
	}
	if r[2]+r[3] > size {
		problem("ByteRange goes beyond the file")
		return
	}
	if r[0] != 0 {
		problem("ByteRange does not begin at the first byte")
	}
	if r[0]+r[1] >= r[2] {
		problem("the ranges of ByteRange overlap")
		return
	}
	if r[0]+r[1] != s.HoleStart || r[2] != s.HoleEnd {
		problem("what ByteRange leaves out is not the Contents string")
	}
	if s.Revision = d.CoveredRevision(r[2] + r[3]); s.Revision < 0 {
		problem("ByteRange does not end at the end of a revision")
	} else if s.HoleStart < d.revisions[s.Revision].Start {
		problem("the signature lies in an earlier revision than it covers")
	}
}

// Covered returns the two covered ranges of the file, or false when ByteRange names none.
func (d *Document) Covered(s *Signature) (before, after []byte, ok bool) {
	r := s.ByteRange
	size := int64(len(d.data))
	if len(r) != 4 {
		return nil, nil, false
	}
	for i := 0; i < 4; i += 2 {
		if r[i] < 0 || r[i+1] < 0 || r[i] > size || r[i+1] > size-r[i] {
			return nil, nil, false
		}
	}
	return d.data[r[0] : r[0]+r[1]], d.data[r[2] : r[2]+r[3]], true
}

package pdf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rangeWidth is the room for each number of the ByteRange: files of up to 10 GB.
const rangeWidth = 10

// Prepare appends an incremental update to the original that adds a signature field, invisible unless it has an Appearance, and a
// signature dictionary with a hole for the CMS. The original bytes stay as they are; the update is
// written in the file's own cross-reference flavour. Encrypted documents and those whose cross
// references had to be rebuilt are refused.
func Prepare(original []byte, opts SignOptions) (*Prepared, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	d, err := Open(original)
	if err != nil {
		return nil, err
	}
	u, err := newIncrement(d)
	if err != nil {
		return nil, err
	}
	value := u.add(opts.dictionary())
	if err := u.addField(value, opts); err != nil {
		return nil, err
	}
	document, offsets, err := u.bytes()
	if err != nil {
		return nil, err
	}
	p := &Prepared{document: document}
	return p, p.fillRange(offsets[value.Number], opts.ContentsSize)
}

func (o SignOptions) check() error {
	switch {
	case o.SubFilter != SubFilterCAdES && o.SubFilter != SubFilterRFC3161 && o.SubFilter != SubFilterPKCS7:
		return fmt.Errorf("pdf: sub-filter %q cannot be signed with", o.SubFilter)
	case o.ContentsSize < 1 || o.ContentsSize > MaxContentsSize:
		return fmt.Errorf("pdf: ContentsSize %d is not between 1 and %d", o.ContentsSize, MaxContentsSize)
	case o.SubFilter != SubFilterRFC3161 && o.Time.IsZero():
		return errors.New("pdf: a signature needs its claimed time")
	case o.Certify < 0 || o.Certify > 3 || o.Certify > 0 && o.SubFilter == SubFilterRFC3161:
		return fmt.Errorf("pdf: Certify %d is not possible here", o.Certify)
	case strings.Contains(o.FieldName, "."):
		return errors.New("pdf: a field name holds no full stop")
	case o.Appearance != nil:
		return o.Appearance.check()
	}
	return nil
}

// placeholder stands for a ByteRange number until the offsets are known.
var placeholder = strings.Repeat("*", rangeWidth)

// dictionary makes the signature dictionary with its hole.
func (o SignOptions) dictionary() Dict {
	d := Dict{
		"Type":      Name("Sig"),
		"Filter":    Name("Adobe.PPKLite"),
		"SubFilter": o.SubFilter,
		"ByteRange": verbatim("[0 " + placeholder + " " + placeholder + " " + placeholder + "]"),
		"Contents":  Bytes(make([]byte, o.ContentsSize)),
	}
	if o.SubFilter == SubFilterRFC3161 {
		d["Type"] = Name("DocTimeStamp")
		return d
	}
	d["M"] = dateString(o.Time)
	for key, value := range map[Name]string{"Name": o.Name, "Reason": o.Reason, "Location": o.Location, "ContactInfo": o.ContactInfo} {
		if value != "" {
			d[key] = Bytes(textString(value).Value) // in hex, so that no text looks like the hole
		}
	}
	if o.Certify > 0 {
		d["Reference"] = Array{Dict{
			"Type":            Name("SigRef"),
			"TransformMethod": Name("DocMDP"),
			"TransformParams": Dict{"Type": Name("TransformParams"), "P": Integer(o.Certify), "V": Name("1.2")},
		}}
	}
	return d
}

// fillRange computes the ByteRange and writes it over the placeholders.
func (p *Prepared) fillRange(at int64, size int) error {
	hole := find(p.document, at, "/Contents <"+strings.Repeat("00", size)+">")
	numbers := find(p.document, at, placeholder)
	if hole < 0 || numbers < 0 {
		return errors.New("pdf: the signature dictionary was not written as planned")
	}
	hole += int64(len("/Contents "))
	after := hole + int64(2*size) + 2
	p.byteRange = [4]int64{0, hole, after, int64(len(p.document)) - after}
	for _, n := range p.byteRange[1:] {
		copy(p.document[numbers:], fmt.Sprintf("%-*d", rangeWidth, n))
		numbers += rangeWidth + 1
	}
	return nil
}

// addField adds the signature field, its widget on the first page, and names it in the form.
func (u *increment) addField(value Ref, opts SignOptions) error {
	rootRef, ok := u.doc.trailer["Root"].(Ref)
	if !ok {
		return errors.New("pdf: the catalog is no indirect object")
	}
	root, err := u.mutable(rootRef)
	if err != nil {
		return err
	}
	form, err := u.form(root)
	if err != nil {
		return err
	}
	name, err := u.fieldName(opts.FieldName)
	if err != nil {
		return err
	}
	page, err := u.place(root, opts.Appearance)
	if err != nil {
		return err
	}
	widget := Dict{
		"Type": Name("Annot"), "Subtype": Name("Widget"), "FT": Name("Sig"), "T": textString(name), "V": value,
		"F": Integer(132), // print, locked
		"P": page, "Rect": opts.Appearance.rect(),
	}
	if opts.Appearance != nil {
		widget["AP"] = Dict{"N": u.appear(opts.Appearance)}
	}
	field := u.add(widget)
	if err := u.push(form, "Fields", field); err != nil {
		return err
	}
	flags, _ := u.doc.Integer(form["SigFlags"])
	form["SigFlags"] = Integer(flags | 3) // signatures exist, append only
	if opts.Certify > 0 {
		if err := u.certify(root, value); err != nil {
			return err
		}
	}
	dict, err := u.mutable(page)
	if err != nil {
		return err
	}
	return u.push(dict, "Annots", field)
}

// form returns the interactive form as a dictionary of the update.
func (u *increment) form(root Dict) (Dict, error) {
	switch form := root["AcroForm"].(type) {
	case Ref:
		return u.mutable(form)
	case Dict:
		root["AcroForm"] = cloneDict(form)
	default:
		root["AcroForm"] = Dict{}
	}
	return root["AcroForm"].(Dict), nil
}

func (u *increment) certify(root Dict, value Ref) error {
	perms := cloneDict(u.doc.Dict(root["Perms"]))
	if perms["DocMDP"] != nil {
		return errors.New("pdf: the document is certified already")
	}
	perms["DocMDP"] = value
	root["Perms"] = perms
	return nil
}

// push appends a reference to an array of a dictionary of the update; an indirect array is replaced in place.
func (u *increment) push(d Dict, key Name, r Ref) error {
	if indirect, ok := d[key].(Ref); ok {
		a, ok := u.doc.Resolve(indirect).(Array)
		if !ok && u.doc.Resolve(indirect) != nil {
			return fmt.Errorf("pdf: %s is no array", key)
		}
		u.replace(indirect, append(slices.Clone(a), r))
		return nil
	}
	a, _ := d[key].(Array)
	d[key] = append(slices.Clone(a), r)
	return nil
}

func cloneDict(d Dict) Dict {
	out := Dict{}
	for k, v := range d {
		out[k] = v
	}
	return out
}

// fieldName checks that the wanted name is free, or picks one.
func (u *increment) fieldName(wanted string) (string, error) {
	taken := map[string]bool{}
	form := u.doc.Dict(u.doc.Catalog()["AcroForm"])
	for _, f := range u.doc.Array(form["Fields"]) {
		taken[u.doc.Text(u.doc.Dict(f)["T"])] = true
	}
	if wanted != "" {
		if taken[wanted] {
			return "", fmt.Errorf("pdf: the field %q exists", wanted)
		}
		return wanted, nil
	}
	for i := 1; ; i++ {
		if name := fmt.Sprintf("Signature%d", i); !taken[name] {
			return name, nil
		}
	}
}

// firstPage walks down the page tree to its first leaf.
func (u *increment) firstPage(root Dict) (Ref, error) {
	node, _ := root["Pages"].(Ref)
	for range maxTreeDepth {
		dict, ok := u.doc.Resolve(node).(Dict)
		if !ok {
			break
		}
		kids := u.doc.Array(dict["Kids"])
		if len(kids) == 0 {
			if u.doc.Name(dict["Type"]) == "Pages" {
				break
			}
			return node, nil
		}
		next, ok := kids[0].(Ref)
		if !ok {
			break
		}
		node = next
	}
	return Ref{}, errors.New("pdf: no first page was found")
}

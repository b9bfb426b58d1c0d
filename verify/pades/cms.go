package pades

import (
	"errors"
	"io"

	"trustcore/internal/cms"
	"trustcore/verify/cades"
	"trustcore/verify/signature"
)

// cmsSignature reads the Contents of a signature dictionary over its byte range.
func (r *reader) cmsSignature(d *dictionary) {
	write := r.covered(d)
	if write == nil {
		write = func(io.Writer) error { return errors.New("the byte range names no bytes of the file") }
	}
	s, sd, err := cades.OpenPDF(r.budget, cades.PDF{
		SubFilter: string(d.SubFilter), Contents: d.Contents, Certificates: d.Certificates, ByteRange: write,
	})
	if err != nil {
		d.signed = broken(d.Contents, err)
		return
	}
	d.signed = s
	s.Dictionary = d.facts()
	if sd != nil {
		d.cms, d.info = sd, sd.Signers[0]
	}
	scope, full := r.scope(d)
	for i := range s.References {
		ref := &s.References[i]
		ref.Scope, ref.Full = scope, full
		if !d.Consistent {
			ref.Intact, ref.Full = false, false // what was hashed is not what a reader shows
		}
	}
	d.messageDigest()
}

// facts are the entries of the dictionary.
func (d *dictionary) facts() *signature.Dictionary {
	return &signature.Dictionary{
		Field: d.field, Type: string(d.Type), Filter: string(d.Filter), SubFilter: string(d.SubFilter),
		Name: d.Name, Reason: d.Reason, Location: d.Location, ContactInfo: d.ContactInfo, ByteRange: d.ByteRange,
	}
}

// messageDigest lists the signed attribute beside the byte range that it is about.
func (d *dictionary) messageDigest() {
	if d.info == nil || d.info.Signed(cms.OIDMessageDigest) == nil || len(d.signed.References) == 0 {
		return
	}
	ref := d.signed.References[0]
	ref.Name, ref.Type, ref.Scope = "message digest", "message-digest", "" // the byte range tells what is covered
	d.signed.References = append(d.signed.References, ref)
}

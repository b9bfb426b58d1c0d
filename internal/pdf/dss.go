package pdf

import (
	"maps"
	"slices"
)

// SecurityStore is the document security store (ISO 32000-2 12.8.4.3, EN 319 142-1 5.4.2): evidence
// for the signatures of the document, as DER.
type SecurityStore struct {
	Certificates, CRLs, OCSPs [][]byte
	// VRI holds the evidence of single signatures. The key is the upper-case hexadecimal SHA-1 of the
	// bytes of the signature's Contents.
	VRI map[string]*ValidationInformation
}

// ValidationInformation is one entry of the VRI dictionary.
type ValidationInformation struct {
	Certificates, CRLs, OCSPs [][]byte
	Timestamp                 []byte // TS: a time-stamp token, rarely there
}

// SecurityStore reads the DSS dictionary; nil when there is none. What cannot be decoded is left out
// and noted among the problems.
func (d *Document) SecurityStore() *SecurityStore {
	dict := d.Dict(d.Catalog()["DSS"])
	if dict == nil {
		return nil
	}
	e := evidence{d: d, byNumber: map[int][]byte{}}
	s := &SecurityStore{VRI: map[string]*ValidationInformation{}}
	s.Certificates = e.streams(dict["Certs"])
	s.CRLs = e.streams(dict["CRLs"])
	s.OCSPs = e.streams(dict["OCSPs"])
	vri := d.Dict(dict["VRI"])
	for _, key := range slices.Sorted(maps.Keys(vri)) {
		entry := d.Dict(vri[key])
		if entry == nil || len(s.VRI) >= maxEvidence {
			continue
		}
		v := &ValidationInformation{
			Certificates: e.streams(entry["Cert"]), CRLs: e.streams(entry["CRL"]), OCSPs: e.streams(entry["OCSP"]),
		}
		if t := e.streams(Array{entry["TS"]}); len(t) == 1 {
			v.Timestamp = t[0]
		}
		s.VRI[string(key)] = v
	}
	return s
}

// evidence decodes streams once, however often they are named.
type evidence struct {
	d        *Document
	byNumber map[int][]byte
	count    int
}

func (e *evidence) streams(o Object) [][]byte {
	var out [][]byte
	for _, item := range e.d.Array(o) {
		if e.count++; e.count > maxEvidence {
			return out
		}
		if data := e.stream(item); len(data) > 0 {
			out = append(out, data)
		}
	}
	return out
}

func (e *evidence) stream(o Object) []byte {
	r, _ := o.(Ref)
	if data, ok := e.byNumber[r.Number]; ok && r.Number != 0 {
		return data
	}
	s, ok := e.d.Resolve(o).(*Stream)
	if !ok {
		return nil
	}
	data, err := e.d.Decode(s)
	if err != nil {
		e.d.problem("a stream of the security store cannot be decoded: %v", err)
	}
	e.byNumber[r.Number] = data
	return data
}

package pdf

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// AppendSecurityStore appends an incremental update with a security store (DSS dictionary) that holds
// the given DER objects besides what an earlier one holds: what makes a signature B-LT. VRI entries are
// not written (EN 319 142-1 5.4.2.3 makes them optional).
func AppendSecurityStore(original []byte, certificates, crls, ocsps [][]byte) ([]byte, error) {
	if len(certificates)+len(crls)+len(ocsps) > maxEvidence {
		return nil, fmt.Errorf("pdf: more than %d objects for the security store", maxEvidence)
	}
	d, err := Open(original)
	if err != nil {
		return nil, err
	}
	u, err := newIncrement(d)
	if err != nil {
		return nil, err
	}
	ref, ok := d.trailer["Root"].(Ref)
	if !ok {
		return nil, errors.New("pdf: the catalog is no indirect object")
	}
	root, err := u.mutable(ref)
	if err != nil {
		return nil, err
	}
	store := Dict{"Type": Name("DSS")}
	maps.Copy(store, d.Dict(root["DSS"]))
	for _, part := range []struct {
		key     Name
		objects [][]byte
	}{{"Certs", certificates}, {"CRLs", crls}, {"OCSPs", ocsps}} {
		list := slices.Clone(d.Array(store[part.key]))
		for _, o := range part.objects {
			list = append(list, u.add(&Stream{Dict: Dict{}, data: o, fresh: true}))
		}
		if len(list) > 0 {
			store[part.key] = list
		}
	}
	root["DSS"] = u.add(store)
	document, _, err := u.bytes()
	return document, err
}

package p11kit

import "slices"

// Forms are the types of the attributes whose values the protocol writes as a ulong, an octet or an array, sorted.
func Forms(what string) (kinds []uint32) {
	for kind, form := range forms {
		if byte(form) == map[string]byte{"octet": byte(formOctet), "ulong": byte(formULong), "array": byte(formArray)}[what] {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

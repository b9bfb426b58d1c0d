package certificate

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxCount is what a path length or skip count is cut to: no path is longer.
const maxCount = 1 << 20

// readCount reads a non-negative INTEGER of any size with the given tag; large ones become maxCount.
func readCount(input *cryptobyte.String, tag asn1.Tag) (int, error) {
	var octets cryptobyte.String
	if !input.ReadASN1(&octets, tag) || len(octets) == 0 || octets[0]&0x80 != 0 {
		return 0, errMalformed
	}
	n := 0
	for _, b := range octets {
		if n = n<<8 | int(b); n > maxCount {
			return maxCount, nil
		}
	}
	return n, nil
}

func (c *Certificate) readBasicConstraints(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return errMalformed
	}
	bc := &BasicConstraints{MaxPathLen: -1}
	if body.PeekASN1Tag(asn1.BOOLEAN) {
		var b cryptobyte.String
		if !body.ReadASN1(&b, asn1.BOOLEAN) || len(b) != 1 {
			return errMalformed
		}
		bc.CA = b[0] != 0
		c.checkBoolean(b[0], ExtBasicConstraints)
	}
	if body.PeekASN1Tag(asn1.INTEGER) {
		n, err := readCount(&body, asn1.INTEGER)
		if err != nil {
			c.find(BadBasicConstraints, ExtBasicConstraints, "path length")
			return err
		}
		if bc.MaxPathLen = n; !bc.CA {
			c.find(PathLenWithoutCA, ExtBasicConstraints, "")
		}
	}
	if !body.Empty() {
		c.find(BadBasicConstraints, ExtBasicConstraints, "more fields")
		return errMalformed
	}
	c.BasicConstraints = bc
	return nil
}

// readFlags reads the content of a BIT STRING with named bits, the first bit as bit 0.
func (c *Certificate) readFlags(body []byte, where OID) (uint16, error) {
	if len(body) == 0 || body[0] > 7 || len(body) == 1 && body[0] != 0 {
		return 0, errMalformed
	}
	unused, octets := body[0], body[1:]
	if n := len(octets); n > 0 && (octets[n-1]>>unused&1 == 0 || octets[n-1]&(1<<unused-1) != 0) {
		c.find(NotDERBitString, where, "")
	}
	var flags uint16
	for i, b := range octets {
		for bit := 0; bit < 8 && i*8+bit < 16; bit++ {
			if b>>(7-bit)&1 == 1 && !(i == len(octets)-1 && bit >= 8-int(unused)) {
				flags |= 1 << (i*8 + bit)
			}
		}
	}
	return flags, nil
}

func (c *Certificate) readKeyUsage(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.BIT_STRING) || !v.Empty() {
		return errMalformed
	}
	flags, err := c.readFlags(body, ExtKeyUsage)
	if err != nil {
		return err
	}
	if flags == 0 {
		c.find(EmptyKeyUsage, ExtKeyUsage, "")
	}
	c.HasKeyUsage, c.KeyUsage = true, KeyUsage(flags)
	return nil
}

func (c *Certificate) readNameConstraints(v cryptobyte.String) error {
	var body cryptobyte.String
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() {
		return errMalformed
	}
	nc := &NameConstraints{}
	for i, trees := range []*[]Subtree{&nc.Permitted, &nc.Excluded} {
		var list cryptobyte.String
		var present bool
		if !body.ReadOptionalASN1(&list, &present, asn1.Tag(i).Constructed().ContextSpecific()) {
			return errMalformed
		}
		if !present {
			continue
		}
		if list.Empty() {
			c.find(EmptyExtension, ExtNameConstraints, "")
		}
		var err error
		if *trees, err = c.readSubtrees(list); err != nil {
			return err
		}
	}
	if !body.Empty() {
		return errMalformed
	}
	if nc.Permitted == nil && nc.Excluded == nil {
		c.find(EmptyExtension, ExtNameConstraints, "")
	}
	c.NameConstraints = nc
	return nil
}

func (c *Certificate) readSubtrees(list cryptobyte.String) ([]Subtree, error) {
	var trees []Subtree
	for !list.Empty() {
		var body cryptobyte.String
		if len(trees) == MaxGeneralNames || !list.ReadASN1(&body, asn1.SEQUENCE) {
			return nil, errMalformed
		}
		base, err := ReadGeneralName(&body)
		if err != nil {
			return nil, err
		}
		if base.Kind == IPName && len(base.Value) != 8 && len(base.Value) != 32 {
			base.Malformed = true
		}
		if base.Malformed {
			c.find(BadGeneralName, ExtNameConstraints, base.Kind.String())
		}
		t := Subtree{Base: base}
		minimum, maximum := asn1.Tag(0).ContextSpecific(), asn1.Tag(1).ContextSpecific()
		if body.PeekASN1Tag(minimum) {
			n, err := readCount(&body, minimum)
			if err != nil {
				return nil, err
			}
			t.Bounds = n != 0
			c.find(SubtreeBounds, ExtNameConstraints, "minimum")
		}
		if body.PeekASN1Tag(maximum) {
			if _, err := readCount(&body, maximum); err != nil {
				return nil, err
			}
			t.Bounds = true
			c.find(SubtreeBounds, ExtNameConstraints, "maximum")
		}
		if !body.Empty() {
			return nil, errMalformed
		}
		trees = append(trees, t)
	}
	return trees, nil
}

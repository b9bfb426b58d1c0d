package certificate

import (
	"math/big"
	"strconv"
)

// arcString writes one arc; the first octets hold the first two arcs (X.690 8.19.4).
func arcString(octets OID, first bool) string {
	if len(octets) > 9 {
		n := new(big.Int)
		for i := 0; i < len(octets); i++ {
			n.Lsh(n, 7).Or(n, big.NewInt(int64(octets[i]&0x7f)))
		}
		if first {
			n.Sub(n, big.NewInt(80))
			return "2." + n.String()
		}
		return n.String()
	}
	var n uint64
	for i := 0; i < len(octets); i++ {
		n = n<<7 | uint64(octets[i]&0x7f)
	}
	if !first {
		return strconv.FormatUint(n, 10)
	}
	root := min(n/40, 2)
	return strconv.FormatUint(root, 10) + "." + strconv.FormatUint(n-40*root, 10)
}

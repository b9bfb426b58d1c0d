package algorithm_test

import (
	"fmt"
	"time"

	"trustcore/verify/algorithm"
)

// A signature of 2015 with a key of 1024 bits, proven to have existed in 2018, may be relied on as far as its key goes; without
// that proof it may not.
func ExampleAcceptable() {
	for _, at := range []string{"2018-03-01", "2026-03-01"} {
		existed, _ := time.Parse(time.DateOnly, at)
		ok, why := algorithm.Acceptable("RSA-PKCS1-SHA256", 1024, existed)
		fmt.Printf("%s %v %q\n", at, ok, why)
	}
	// Output:
	// 2018-03-01 true ""
	// 2026-03-01 false "RSA-PKCS1 with 1024 bits could be relied on until 2019-10-01 (ETSI TS 119 312 V1.5.1 (2024-10))"
}

package algorithm

import (
	"fmt"
	"strings"
	"time"
)

// SuitabilitySource names the edition that the tables below are taken from.
const SuitabilitySource = "ETSI TS 119 312 V1.5.1 (2024-10)"

// suitability is one line: an algorithm of at least this size may be relied on up to and including until. An empty
// until means that no end is known; a forecast end (2029) stands until the next edition moves it.
type suitability struct {
	algorithm string
	minBits   int // of a key; 0 for digests
	until     string
}

// digestSuitability judges digests, alone and within signatures. What is not listed is not acceptable.
var digestSuitability = []suitability{
	{"MD5", 0, "2004-08-01"}, // TS 102 176-1 V2.1.1, historical
	{"SHA1", 0, "2012-08-01"},
	{"RIPEMD160", 0, "2014-08-01"},
	{"SHA224", 0, "2029-01-01"},
	{"SHA256", 0, ""},
	{"SHA384", 0, ""},
	{"SHA512", 0, ""},
	{"SHA3-256", 0, ""},
	{"SHA3-384", 0, ""},
	{"SHA3-512", 0, ""},
}

// keySuitability judges keys by their size: the last line that the key reaches holds. EdDSA, ML-DSA and SLH-DSA are
// not listed by this edition.
var keySuitability = []suitability{
	{"DSA", 1024, "2015-12-01"},
	{"DSA", 1900, "2029-01-01"},
	{"DSA", 3000, ""},
	{"RSA-PKCS1", 786, "2010-08-01"},
	{"RSA-PKCS1", 1024, "2019-10-01"},
	{"RSA-PKCS1", 1900, "2029-01-01"},
	{"RSA-PKCS1", 3000, "2029-01-01"},
	{"RSA-PSS", 786, "2010-08-01"},
	{"RSA-PSS", 1024, "2019-10-01"},
	{"RSA-PSS", 1900, "2029-01-01"},
	{"RSA-PSS", 3000, ""},
	{"ECDSA", 160, "2012-08-01"}, // TS 102 176-1 V2.1.1, historical
	{"ECDSA", 163, "2012-08-01"},
	{"ECDSA", 224, "2021-10-01"},
	{"ECDSA", 256, ""},
}

// Suitability says until when an algorithm may be relied on.
type Suitability struct {
	Listed bool      // the table knows the algorithm at this size
	Until  time.Time // last moment, UTC; zero where no end is known
	Reason string    // the line that decides, for reports
}

// Suitable looks an algorithm up by its registry name: a digest ("SHA-256") with bits 0, a signature scheme
// ("RSA-PKCS1-SHA256") with the size of its key, or a key alone by its PublicKey.Name ("RSA", "EC P-256") with its
// size. Of digest and key the earlier end counts.
func Suitable(name string, bits int) Suitability {
	family, digest := splitName(name)
	if family == "" {
		return lookUp(digestSuitability, digest, 0)
	}
	key := lookUp(keySuitability, family, bits)
	if !key.Listed || digest == "" {
		return key
	}
	hash := lookUp(digestSuitability, digest, 0)
	if !hash.Listed || key.Until.IsZero() || !hash.Until.IsZero() && hash.Until.Before(key.Until) {
		return hash
	}
	return key
}

// Acceptable reports whether an algorithm may be relied on at a time, and why not. Names and bits are those of
// Suitable. The time is that of the proof of existence, not of the computation (EN 319 102-1 5.2.8).
func Acceptable(name string, bits int, at time.Time) (ok bool, reason string) {
	s := Suitable(name, bits)
	if !s.Listed || !s.Until.IsZero() && at.After(s.Until) {
		return false, s.Reason
	}
	return true, ""
}

// splitName takes a registry name apart: family and digest of a scheme, a digest alone, or the family of a key.
func splitName(name string) (family, digest string) {
	for _, family := range []string{"RSA-PKCS1", "RSA-PSS", "ECDSA", "DSA"} {
		if rest, ok := strings.CutPrefix(name, family+"-"); ok {
			return family, rest
		}
	}
	for h := MD5; h < hashCount; h++ {
		if hashes[h].name == name || hashes[h].suffix == name {
			return "", hashes[h].suffix
		}
	}
	switch {
	case name == "RSA":
		return "RSA-PKCS1", ""
	case name == "RSASSA-PSS":
		return "RSA-PSS", ""
	case strings.HasPrefix(name, "EC "):
		return "ECDSA", ""
	}
	return name, ""
}

func lookUp(table []suitability, algorithm string, bits int) Suitability {
	found := -1
	for i, line := range table {
		if line.algorithm == algorithm && bits >= line.minBits {
			found = i
		}
	}
	what := algorithm
	if bits > 0 {
		what = fmt.Sprintf("%s with %d bits", algorithm, bits)
	}
	if found < 0 {
		return Suitability{Reason: what + " is not listed in " + SuitabilitySource}
	}
	line := table[found]
	if line.until == "" {
		return Suitability{Listed: true}
	}
	until, err := time.Parse(time.DateOnly, line.until)
	if err != nil {
		panic("algorithm: suitability table: " + err.Error())
	}
	return Suitability{Listed: true, Until: until, Reason: what + " could be relied on until " + line.until + " (" + SuitabilitySource + ")"}
}

package main

import (
	"testing"

	"trustcore/hsm/mechanism"
	"trustcore/verify/algorithm"
)

// TestMechanismsEndAsTheyAreJudged holds the ends that are announced against the table that signatures are judged by, with every key that
// the HSM makes.
func TestMechanismsEndAsTheyAreJudged(t *testing.T) {
	if mechanism.EndsSource != algorithm.SuitabilitySource {
		t.Errorf("ends from %s, judged by %s", mechanism.EndsSource, algorithm.SuitabilitySource)
	}
	for m, sizes := range map[mechanism.Mechanism][]int{
		mechanism.RSAPKCS1SHA256: {3072, 4096}, mechanism.RSAPKCS1SHA384: {3072, 4096}, mechanism.RSAPKCS1SHA512: {3072, 4096},
		mechanism.RSAPSSSHA256: {3072, 4096}, mechanism.RSAPSSSHA384: {3072, 4096}, mechanism.RSAPSSSHA512: {3072, 4096},
		mechanism.ECDSASHA256: {256}, mechanism.ECDSASHA384: {384}, mechanism.ECDSASHA512: {521},
	} {
		for _, bits := range sizes {
			judged := algorithm.Suitable(string(m), bits)
			if end, known := m.End(); !judged.Listed || known == judged.Until.IsZero() || known && !end.Equal(judged.Until) {
				t.Errorf("%s with %d bits: ends %v (%v), is judged by %v", m, bits, end, known, judged.Until)
			}
		}
	}
}

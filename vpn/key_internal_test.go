package vpn

import (
	"crypto/ecdh"
	"crypto/rand"
	"testing"
)

// TestLowOrderPoints asks the standard library about each point of the table.
func TestLowOrderPoints(t *testing.T) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range lowOrder {
		if !canonical(point) {
			t.Errorf("%x is not canonical", point)
		}
		public, err := ecdh.X25519().NewPublicKey(point[:])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.ECDH(public); err == nil {
			t.Errorf("%x is not of low order", point)
		}
	}
}

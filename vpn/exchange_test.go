package vpn_test

import (
	"bytes"
	"fmt"
	"testing"

	"trustcore/vpn"
)

// TestBothEndsAgree agrees once more after the office was interrupted, and refuses everything that is not one agreement.
func TestBothEndsAgree(t *testing.T) {
	office, other := vpn.Key{31: 9}, vpn.Key{31: 8}
	x, err := vpn.NewExchange()
	must(t, err)
	answer, core, err := vpn.Agree(x.Public(), office, 3)
	must(t, err)
	secret, err := x.Secret()
	must(t, err)
	again, err := vpn.ParseExchange(secret)
	must(t, err)
	for name, half := range map[string]*vpn.Exchange{"at once": x, "after an interruption": again} {
		if key, err := half.Open(answer, office, 3); err != nil || key != core || key.IsZero() {
			t.Errorf("%s: %v, the same %v", name, err, key == core)
		}
	}
	for name, c := range map[string]struct {
		office vpn.Key
		serial int64
	}{"another office": {other, 3}, "another serial number": {office, 4}} {
		if key, err := x.Open(answer, c.office, c.serial); err == nil && key == core {
			t.Errorf("%s has the same key", name)
		}
	}
	spoilt := bytes.Clone(answer)
	spoilt[7] ^= 1
	if key, err := x.Open(spoilt, office, 3); err == nil && key == core {
		t.Error("a changed answer gives the same key")
	}
	for name, bad := range map[string][]byte{"short": answer[1:], "long": append(bytes.Clone(answer), 0), "nothing": nil} {
		if _, err := x.Open(bad, office, 3); err == nil {
			t.Errorf("%s: an answer was taken", name)
		}
	}
	for name, bad := range map[string][]byte{"short": x.Public()[1:], "long": append(x.Public(), 0), "nothing": nil,
		"no key": bytes.Repeat([]byte{0xff}, vpn.ExchangeLen)} {
		if _, _, err := vpn.Agree(bad, office, 3); err == nil {
			t.Errorf("%s: a half was taken", name)
		}
	}
	if text := fmt.Sprintf("%v %x %s %d", core, core, core, core); text != "(secret) (secret) (secret) (secret)" {
		t.Errorf("it is shown: %s", text)
	}
}

// TestProofOfAKey is of one key, office and serial number.
func TestProofOfAKey(t *testing.T) {
	office := vpn.Key{31: 9}
	key := vpn.PresharedKey{1}
	proof, err := key.Proof(office, 3)
	must(t, err)
	for name, c := range map[string]struct {
		key    vpn.PresharedKey
		office vpn.Key
		serial int64
		proof  []byte
		want   bool
	}{
		"it": {key, office, 3, proof, true}, "another key": {vpn.PresharedKey{2}, office, 3, proof, false},
		"another office": {key, vpn.Key{31: 8}, 3, proof, false}, "another serial number": {key, office, 2, proof, false},
		"a part": {key, office, 3, proof[:31], false}, "none": {key, office, 3, nil, false},
	} {
		if got := c.key.Proves(c.proof, c.office, c.serial); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

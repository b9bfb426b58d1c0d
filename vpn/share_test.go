package vpn

import (
	"fmt"
	"strings"
	"testing"
)

// TestHubKeysSealed reach the gateway that they are for, whole, and nobody else.
func TestHubKeysSealed(t *testing.T) {
	r, err := NewRecipient()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := r.Secret()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = ParseRecipient(secret); err != nil {
		t.Fatal(err)
	}
	key, err := GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	k := HubKeys{Serial: 4, Use: 1, Secret: PairSecret{7}}
	k.Keys[1] = key
	sealed, err := SealHubKeys(k, "vpnd-2", r.Public())
	if err != nil || len(r.Public()) != RecipientLen || len(sealed) > MaxSealedHubKeys {
		t.Fatalf("%d bytes, %v", len(sealed), err)
	}
	if got, err := r.Open(sealed, "vpnd-2"); err != nil || got != k {
		t.Errorf("%v", err)
	}
	if text := fmt.Sprintf("%v %+v %x", k, k, k.Secret); strings.Contains(text, fmt.Sprintf("%x", k.Secret[:])) || !strings.Contains(text, hidden) {
		t.Errorf("shown: %s", text)
	}
	if _, err := r.Open(sealed, "vpnd-3"); err == nil {
		t.Error("another gateway's name opens them")
	}
	other, err := NewRecipient()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(sealed, "vpnd-2"); err == nil {
		t.Error("another recipient opens them")
	}
	for i := 0; i < len(sealed); i += 97 {
		bad := append([]byte(nil), sealed...)
		bad[i] ^= 1
		if _, err := r.Open(bad, "vpnd-2"); err == nil {
			t.Errorf("byte %d was changed", i)
		}
	}
	if _, err := SealHubKeys(k, "vpnd-2", r.Public()[1:]); err == nil {
		t.Error("a short recipient is sealed to")
	}
	if _, err := r.Open(make([]byte, MaxSealedHubKeys+1), "vpnd-2"); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("too long: %v", err)
	}
}

// TestHubKeysIncomplete refuses keys of which a part is missing.
func TestHubKeysIncomplete(t *testing.T) {
	r, err := NewRecipient()
	if err != nil {
		t.Fatal(err)
	}
	key, err := GeneratePrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	whole := HubKeys{Serial: 1, Keys: [2]PrivateKey{key, {}}}
	for name, change := range map[string]func(*HubKeys){
		"no number": func(k *HubKeys) { k.Serial = 0 }, "no such place": func(k *HubKeys) { k.Use = 2 }, "no key in use": func(k *HubKeys) { k.Use = 1 },
		"no next key": func(k *HubKeys) { k.Changing = true },
	} {
		k := whole
		change(&k)
		sealed, err := SealHubKeys(k, "vpnd-2", r.Public())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Open(sealed, "vpnd-2"); err == nil {
			t.Error(name)
		}
	}
}

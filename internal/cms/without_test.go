package cms_test

import (
	"bytes"
	"crypto"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

// TestWithout: what came in goes again, octet for octet, whatever the form of the lengths around it.
func TestWithout(t *testing.T) {
	id := cmstest.NewSigner(t, "p256", "officer-1")
	der, err := cms.Sign(cms.SignConfig{Signer: id.Key, Certificate: id.Cert.Raw, Hash: crypto.SHA256, Content: []byte("dane")})
	if err != nil {
		t.Fatal(err)
	}
	timestamp, record := cms.NewAttribute(cms.OIDSignatureTimestamp, []byte{5, 0}), cms.NewAttribute(cms.OIDEvidenceInternal, []byte{4, 0})
	one, err := cms.AddUnsignedAttribute(der, 0, timestamp)
	if err != nil {
		t.Fatal(err)
	}
	two, err := cms.AddUnsignedAttribute(one, 0, record)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file, want []byte
		gone       func(*cms.Attribute) bool
	}{
		"nothing":      {two, two, func(*cms.Attribute) bool { return false }},
		"one of two":   {two, one, func(a *cms.Attribute) bool { return a.Type == cms.OIDEvidenceInternal }},
		"both":         {two, der, func(*cms.Attribute) bool { return true }},
		"of none":      {der, der, func(*cms.Attribute) bool { return true }},
		"indefinite":   {indefinite(two), indefinite(one), func(a *cms.Attribute) bool { return a.Type == cms.OIDEvidenceInternal }},
		"wide lengths": {wide(t, two), wide(t, one), func(a *cms.Attribute) bool { return a.Type == cms.OIDEvidenceInternal }},
	} {
		sd, err := cms.Parse(c.file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parts, err := sd.Without(0, c.gone)
		if err != nil || !bytes.Equal(bytes.Join(parts, nil), c.want) {
			t.Errorf("%s: %x, %v; want %x", name, bytes.Join(parts, nil), err, c.want)
		}
	}
	sd, err := cms.Parse(two)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sd.Without(1, nil); err == nil {
		t.Error("a signer that is not there")
	}
}

// indefinite makes the outermost length indefinite.
func indefinite(der []byte) []byte {
	return append(append([]byte{0x30, 0x80}, der[4:]...), 0, 0)
}

// wide writes the outermost length in more octets than DER does.
func wide(t *testing.T, der []byte) []byte {
	t.Helper()
	if der[1] != 0x82 {
		t.Fatalf("a length of %#x", der[1])
	}
	return append([]byte{0x30, 0x84, 0, 0, der[2], der[3]}, der[4:]...)
}

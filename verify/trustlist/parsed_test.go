package trustlist_test

import (
	"bytes"
	"testing"

	"trustcore/verify/internal/mint"
	"trustcore/verify/trustlist"
)

// TestParsed: what was read out of a list is the same when it is read again, and for no other list.
func TestParsed(t *testing.T) {
	u := newUnion(t)
	c, err := trustlist.Check(t.Context(), u.poland(t, 7, u.national))
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.Parsed()
	if err != nil {
		t.Fatal(err)
	}
	again, err := trustlist.ReadParsed(data, c.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if again.Sequence != 7 || !bytes.Equal(again.Signer, c.Signer) || len(again.Services) != 1 || again.Services[0].Territory != "PL" ||
		again.Services[0].Certificates[0].Fingerprint != c.Services[0].Certificates[0].Fingerprint || !again.Services[0].Periods[0].Granted() {
		t.Errorf("%+v", again)
	}
	other := c.Digest
	other[0]++
	if _, err := trustlist.ReadParsed(data, other); err == nil {
		t.Error("read for another list")
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, err := trustlist.ReadParsed(bad, c.Digest); err == nil {
			t.Errorf("octet %d changed: read", i)
		}
	}
	if _, err := trustlist.ReadParsed(data[:20], c.Digest); err == nil {
		t.Error("cut: read")
	}
}

// TestWhatIsNoList names what servers put in a list's place.
func TestWhatIsNoList(t *testing.T) {
	for text, want := range map[string]string{
		"": "empty", "<!DOCTYPE HTML>": "web page", "\ufeff\n<html lang='en'>": "web page", " <HTML>": "web page", "%PDF-1.4": "PDF",
		"<a/>": "no TrustServiceStatusList", "{}": "trusted list",
	} {
		if _, err := trustlist.Check(t.Context(), []byte(text)); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func FuzzReadParsed(f *testing.F) {
	l := mint.List{Type: mint.TypeList, Territory: "PL", Sequence: 1, Services: []mint.Service{{Name: "CA", Type: mint.CAQC, By: mint.Root(f, "CA"),
		Periods: []mint.Period{{Status: mint.Granted, From: mint.Day}}}}}
	parsed, err := trustlist.Parse([]byte(l.Text()))
	if err != nil {
		f.Fatal(err)
	}
	data, err := (&trustlist.Checked{List: parsed}).Parsed()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:40])
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := trustlist.ReadParsed(data, parsed.Digest); err == nil && c.Sequence != 1 {
			t.Error("another list was read")
		}
	})
}

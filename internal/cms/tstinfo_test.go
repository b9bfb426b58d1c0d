package cms_test

import (
	"bytes"
	"strings"
	"testing"

	"trustcore/internal/cms"
	"trustcore/internal/cms/cmstest"
)

// TestTSTInfoForms: RFC 3161, 2.4.2 has one form of the time, and bounds of the accuracy.
func TestTSTInfoForms(t *testing.T) {
	sd, err := cms.Parse(cmstest.NewTSU(t, "p256", "TSU 1").Stamp(t, []byte("a"), cmstest.Now))
	if err != nil {
		t.Fatal(err)
	}
	good := sd.Content.Bytes()
	const now = "20261102100000Z"
	at := bytes.Index(good, []byte(now))
	with := func(text string, accuracy ...byte) []byte {
		tail := good[at+len(now):]
		info := bytes.Clone(good[:at-1])
		info = append(append(append(append(info, byte(len(text))), text...), accuracy...), tail...)
		info[1] += byte(len(text) - len(now) + len(accuracy))
		return info
	}
	for _, c := range []struct {
		der  []byte
		want string
	}{
		{with(now), ""}, {with("20261102100000.5Z"), ""}, {with("20261102100000.001Z"), ""}, {with(now, 0x30, 3, 0x80, 1, 9), ""},
		{with(now, 0x30, 3, 2, 1, 1), ""},
		{with("20261102110000+0100"), "genTime"}, {with("20261102100000+0000"), "genTime"}, {with("20261102100000"), "genTime"},
		{with("202611021000Z"), "genTime"}, {with("2026110210Z"), "genTime"}, {with("20261102100000,5Z"), "genTime"},
		{with("20261102100000.50Z"), "genTime"}, {with("20261102100000.0Z"), "genTime"}, {with("20261102100000.Z"), "genTime"},
		{with("20261102100000.5+0100"), "genTime"}, {with("20261302100000Z"), "cannot be read"}, {with("20261102100060Z"), "cannot be read"},
		{with(now, 0x30, 3, 2, 1, 0xff), "accuracy"}, {with(now, 0x30, 3, 0x80, 1, 0x80), "accuracy"}, {with(now, 0x30, 4, 0x80, 2, 3, 0xe8), "accuracy"},
		{with(now, 0x30, 4, 0x81, 2, 3, 0xe8), "accuracy"}, {with(now, 0x30, 2, 2, 0), "accuracy"},
	} {
		_, err := cms.ParseTSTInfo(c.der)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.der[at:], err, c.want)
		}
	}
}

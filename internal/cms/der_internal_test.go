package cms

import (
	"bytes"
	"testing"
)

// FuzzIsDER holds IsDER against what ToDER makes of the same octets.
func FuzzIsDER(f *testing.F) {
	for _, seed := range []string{
		"", "\x05\x00", "\x30\x80\x00\x00", "\x30\x03\x02\x01\x05", "\x30\x81\x03\x02\x01\x05", "\x24\x03\x04\x01a", "\x30\x02\x1f\x00",
		"\x30\x03\x02\x01\x05\x00", "\x30\x04\x30\x80\x00\x00", "\x04\x81\x80" + string(make([]byte, 128)), "\x04\x82\x00\x80" + string(make([]byte, 128)),
		"\x30\x04\x02\x01\x05\x05", "\xa0\x02\x05\x00", "\x30\x05\x24\x03\x04\x01a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := ToDER(data)
		if want := err == nil && bytes.Equal(der, data); IsDER(data) != want {
			t.Errorf("%x: IsDER says %t, ToDER gives %x, %v", data, !want, der, err)
		}
	})
}

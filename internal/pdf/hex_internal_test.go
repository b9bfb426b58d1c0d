package pdf

import "testing"

// TestHex reads strings of digits with white space wherever it may stand.
func TestHex(t *testing.T) {
	for text, want := range map[string]string{
		"": "", " \n": "", "4a4B": "JK", "4 a4b": "JK", "4a\r\n4b": "JK", " 4a4b ": "JK", "4": "@", "4a4": "J@", "4a4 ": "J@", "4a 4 b 4": "JK@",
		"4a00000000 000000004b0": "J\x00\x00\x00\x00\x00\x00\x00\x00K\x00", "000000000": "\x00\x00\x00\x00\x00",
	} {
		if got, ok := decodeHex([]byte(text)); !ok || string(got) != want {
			t.Errorf("%q: %q %t", text, got, ok)
		}
	}
	for _, text := range []string{"4g", "g", "4a4g", "4 g", "000000000g", "00000000g0", "\xff4", "4a-b"} {
		if got, ok := decodeHex([]byte(text)); ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func BenchmarkHex(b *testing.B) {
	digits := make([]byte, 32768)
	for i := range digits {
		digits[i] = "0123456789abcdef"[i%16]
	}
	b.SetBytes(int64(len(digits)))
	for b.Loop() {
		decodeHex(digits)
	}
}

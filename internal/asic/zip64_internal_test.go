package asic

import (
	"encoding/binary"
	"testing"
)

// TestZip64Agrees: both end records name one directory, and nothing lies between the 64-bit one and its locator.
func TestZip64Agrees(t *testing.T) {
	build := func(edit func(record []byte, d *directory)) ([]byte, directory) {
		data := make([]byte, 100+end64Size+locatorSize)
		r := data[100:]
		copy(r, end64Signature)
		binary.LittleEndian.PutUint64(r[4:], end64Size-12)
		for at, value := range map[int]uint64{24: 2, 32: 2, 40: 60, 48: 40} {
			binary.LittleEndian.PutUint64(r[at:], value)
		}
		binary.LittleEndian.PutUint64(data[100+end64Size+8:], 100)
		d := directory{entries: 2, size: 60, offset: 40}
		edit(r, &d)
		return data, d
	}
	for name, c := range map[string]struct {
		edit func(record []byte, d *directory)
		ok   bool
	}{
		"one directory":   {func([]byte, *directory) {}, true},
		"look there":      {func(_ []byte, d *directory) { d.entries, d.size, d.offset = 0xffff, 0xffffffff, 0xffffffff }, true},
		"other entries":   {func(_ []byte, d *directory) { d.entries = 3 }, false},
		"another size":    {func(_ []byte, d *directory) { d.size = 61 }, false},
		"another place":   {func(_ []byte, d *directory) { d.offset = 0 }, false},
		"bytes behind it": {func(r []byte, _ *directory) { r[4]-- }, false},
		"another disk":    {func(r []byte, _ *directory) { r[16] = 1 }, false},
		"entries apart":   {func(r []byte, _ *directory) { r[24] = 1 }, false},
	} {
		data, d := build(c.edit)
		if _, err := d.zip64(data, 100+end64Size); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

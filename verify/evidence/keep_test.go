package evidence

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"trustcore/verify/certificate"
)

func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "keep")
	k, err := OpenKeep(dir)
	if err != nil {
		t.Fatal(err)
	}
	key, other := [32]byte{1}, [32]byte{2}
	at := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC) }
	for _, put := range []struct {
		of  time.Time
		der string
	}{{at(3, 1), "march"}, {at(5, 1), "may"}, {at(5, 20), "late may"}, {at(5, 1), "may"}} {
		if err := k.Put(key, put.of, []byte(put.der)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := OpenKeep(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		until time.Time
		der   string
	}{{at(2, 1), ""}, {at(3, 1), "march"}, {at(4, 30), "march"}, {at(5, 1), "may"}, {at(5, 19), "may"},
		{at(12, 1), "late may"}} {
		if got, _ := again.Newest(key, want.until); string(got.DER) != want.der {
			t.Errorf("until %s: %q, want %q", want.until.Format(time.DateOnly), got.DER, want.der)
		}
	}
	if _, ok := again.Newest(other, at(12, 1)); ok {
		t.Error("another source's answer")
	}
}

// TestKeepPassesOverBrokenFiles finds the answer before one that a disk spoilt, and leaves half-written ones alone.
func TestKeepPassesOverBrokenFiles(t *testing.T) {
	k, err := OpenKeep(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key, first, second := [32]byte{7}, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC)
	for of, der := range map[time.Time]string{first: "first", second: "second"} {
		if err := k.Put(key, of, []byte(der)); err != nil {
			t.Fatal(err)
		}
	}
	month := filepath.Join(k.folder(key), "2026-05")
	files, err := filepath.Glob(filepath.Join(month, "20260502*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{files[0]: "secund", filepath.Join(month, ".half"): "sec",
		filepath.Join(month, "zzz"): "x"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := k.Newest(key, second.AddDate(1, 0, 0)); !ok || !bytes.Equal(got.DER, []byte("first")) {
		t.Errorf("%q", got.DER)
	}
}

func TestKeepNeedsAnAbsolutePath(t *testing.T) {
	if _, err := OpenKeep("keep"); err == nil {
		t.Error("a relative path was taken")
	}
}

// TestUnwritableKeep says so, and answers all the same.
func TestUnwritableKeep(t *testing.T) {
	w := newWorld(t)
	g, leaf := w.gatherer(nil), w.leaf("/ocsp")
	if err := os.RemoveAll(w.keep.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.keep.dir, nil, 0o600); err != nil { // a file where the folder was
		t.Fatal(err)
	}
	f := w.gather(g, leaf)
	if w.wantFound(f, 1, 0); len(f.Problems) != 1 {
		t.Errorf("problems: %q", f.Problems)
	}
}

// FuzzReadIssuers reads what a stranger's server may answer to the question for an issuer.
func FuzzReadIssuers(f *testing.F) {
	w := newWorld(f)
	f.Add(w.ca.x.Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"))
	f.Add([]byte{0x30, 0x80, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02})
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := readIssuers(data, certificate.Parse)
		if (err == nil) == (len(list) == 0) || len(list) > maxIssuers {
			t.Errorf("%d certificates, %v", len(list), err)
		}
	})
}

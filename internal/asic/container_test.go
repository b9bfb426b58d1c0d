package asic

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trustcore/internal/budget"
	"trustcore/internal/budget/budgettest"
)

// file is one entry to be packed.
type file struct {
	name, content string
	deflate       bool
}

// pack writes a ZIP file with the standard library: entries stream, so they have data descriptors.
func pack(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name}
		if f.deflate {
			header.Method = zip.Deflate
		}
		e, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(e, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const extended = "application/vnd.etsi.asic-e+zip"

func sample(t testing.TB) []byte {
	return pack(t, file{"mimetype", extended, false}, file{"umowa.txt", strings.Repeat("umowa ", 100), true},
		file{"META-INF/signatures0.xml", "<x/>", true}, file{"META-INF/", "", false})
}

func open(t testing.TB, data []byte) (*Container, error) {
	t.Helper()
	return Open(budget.New(t.Context(), len(data)), data)
}

func TestOpen(t *testing.T) {
	c, err := open(t, sample(t))
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != Extended || len(c.Faults)+len(c.Remarks) != 0 || len(c.Data()) != 1 || len(c.WithRole(XAdESSignatures)) != 1 {
		t.Errorf("%+v", c)
	}
	b, err := c.Read(c.Find("umowa.txt"))
	if err != nil || string(b) != strings.Repeat("umowa ", 100) {
		t.Errorf("%q, %v", b, err)
	}
}

// Info-ZIP writes sizes into the local headers and packs by other rules.
func TestOpenInfoZIP(t *testing.T) {
	if _, err := exec.LookPath("zip"); err != nil {
		t.Skip("zip is not installed")
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"mimetype": extended, "pismo.txt": strings.Repeat("a", 5000), "META-INF/signature.p7s": "x"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"-X0", "c.asice", "mimetype"}, {"-rD", "c.asice", "META-INF", "pismo.txt"}} {
		cmd := exec.Command("zip", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("zip: %v\n%s", err, out)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "c.asice"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(t, data)
	if err != nil || len(c.Faults)+len(c.Remarks) != 0 || len(c.Entries) != 3 {
		t.Fatalf("%+v, %v", c, err)
	}
	if b, err := c.Read(c.Find("pismo.txt")); err != nil || len(b) != 5000 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestKind(t *testing.T) {
	signatureFile := file{"META-INF/signature.p7s", "x", false}
	cases := []struct {
		name  string
		files []file
		want  Kind
	}{
		{"declared simple", []file{{"mimetype", "application/vnd.etsi.asic-s+zip", false}, {"a", "1", false}}, Simple},
		{"declared extended", []file{{"mimetype", extended, false}}, Extended},
		{"spreadsheet", []file{{"mimetype", "application/vnd.oasis.opendocument.spreadsheet", false}}, OpenDocument},
		{"one file", []file{{"a", "1", false}, signatureFile}, Simple},
		{"two files", []file{{"a", "1", false}, {"b", "1", false}, signatureFile}, Extended},
		{"one file with a package manifest", []file{{"a", "1", false}, {"META-INF/manifest.xml", "<a/>", false}, {"META-INF/signatures0.xml", "<a/>", false}}, Extended},
		{"one file, signatures by another name", []file{{"a", "1", false}, {"META-INF/signatures0.xml", "<a/>", false}}, Simple},
		{"one file, time-stamp and package manifest", []file{{"a", "1", false}, {"META-INF/manifest.xml", "<a/>", false}, {"META-INF/timestamp.tst", "x", false}}, Simple},
		{"one file, XML", []file{{"a", "1", false}, {"META-INF/signatures.xml", "<a/>", false}}, Simple},
		{"one file with a manifest", []file{{"a", "1", false}, {"META-INF/ASiCManifest1.xml", "<a/>", false}, signatureFile}, Extended},
	}
	for _, c := range cases {
		got, err := open(t, pack(t, c.files...))
		if err != nil || got.Kind != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	if _, err := open(t, pack(t, file{"a", "1", false})); !errors.Is(err, ErrNotContainer) {
		t.Errorf("a plain ZIP file: %v", err)
	}
}

func TestRole(t *testing.T) {
	for name, want := range map[string]Role{
		"mimetype": MimetypeEntry, "umowa.pdf": Data, "a/META-INF/signatures.xml": Data, "META-INF/": Folder, "folder/": Folder,
		"META-INF/signatures001.xml": XAdESSignatures, "meta-inf/Signatures.xml": XAdESSignatures, "META-INF/documentsignatures.xml": XAdESSignatures,
		"META-INF/signature.p7s": CAdESSignature, "META-INF/timestamp002.tst": TimestampToken, "META-INF/manifest.xml": PackageManifest, "META-INF/x.txt": Meta,
		"META-INF/ASiCManifest.xml": SignatureManifest, "META-INF/ASiCManifestsignature.xml": SignatureManifest,
		"META-INF/ASiCArchiveManifest001.xml": ArchiveManifest, "META-INF/ASiCEvidenceRecordManifest.xml": RecordManifest,
		"META-INF/evidencerecord.ers": EvidenceRecord, "META-INF/evidencerecord001.xml": EvidenceRecord,
	} {
		if got := roleOf(name); got != want {
			t.Errorf("%s: role %d, want %d", name, got, want)
		}
	}
}

// What two readers may see differently is refused or reported.
func TestGuard(t *testing.T) {
	twice := pack(t, file{"mimetype", extended, false}, file{"a", "1", false}, file{"./a", "2", false})
	good := sample(t)
	local := bytes.Index(good, []byte("umowa.txt")) - localSize
	central := bytes.LastIndex(good, []byte("umowa.txt")) - centralSize
	at := func(offset int, value byte) []byte {
		out := bytes.Clone(good)
		out[offset] = value
		return out
	}
	cases := []struct {
		name  string
		data  []byte
		fault string // part of a fault; "" when refused
	}{
		{"names that are one file", twice, "occurs twice"},
		{"bytes before", shifted(t, []byte("%PDF-1.7 ")), "before the first entry"},
		{"other name in the local header", at(local+localSize, 'x'), "another name"},
		{"other method in the local header", at(local+8, 0), "another method"},
		{"gap", gap(t), "belong to no entry"},
		{"name like mimetype", pack(t, file{"mimetype ", extended, false}, file{"a", "1", false}, file{"META-INF/signatures0.xml", "<a/>", false}), "looks like the mimetype entry"},
		{"name that goes back", pack(t, file{"mimetype", extended, false}, file{"x/../umowa.txt", "1", false}), "goes back on its way"},
		{"names that differ in case", pack(t, file{"mimetype", extended, false}, file{"Umowa.txt", "1", false}, file{"umowa.TXT", "2", false}), "are one on some systems"},
		{"names that differ in composed letters", pack(t, file{"mimetype", extended, false}, file{"z\u0142\u00f3.txt", "1", false}, file{"z\u0142o\u0301.txt", "2", false}), "are one on some systems"},
		{"names that differ in a dot at the end", pack(t, file{"mimetype", extended, false}, file{"a.txt", "1", false}, file{"a.txt.", "2", false}), "are one on some systems"},
		{"name that turns around", pack(t, file{"mimetype", extended, false}, file{"umowa\u202efdp.exe", "1", false}), "how it is shown"},
		{"name with an escape", pack(t, file{"mimetype", extended, false}, file{"umowa\x1b[2K.txt", "1", false}), "how it is shown"},
		{"drive", pack(t, file{"mimetype", extended, false}, file{"C:\\x", "1", false}), "leads out"},
		{"symbolic link", link(t), "symbolic link"},
		{"another name in Unicode", renamed(t, 0x7075), "another name for readers"},
		{"folder with data", raw([]rawEntry{{"mimetype", extended, -1}, {"a/", "data", -1}}, "", ""), "holds data"},
		{"leads out", pack(t, file{"mimetype", extended, false}, file{"../x", "1", false}), "leads out"},
		{"bytes behind", append(bytes.Clone(good), 'x'), ""},
		{"encrypted", at(central+8, good[central+8]|flagEncrypted), ""},
		{"method of another age", at(central+10, 99), ""},
		{"overlap", overlap(t), ""},
		{"cut", good[:len(good)-1], ""},
		{"no directory", []byte("PK\x03\x04 nothing else"), ""},
		{"empty", nil, ""},
	}
	for _, c := range cases {
		got, err := open(t, c.data)
		switch {
		case c.fault == "" && err == nil:
			t.Errorf("%s: accepted", c.name)
		case c.fault != "" && (err != nil || !strings.Contains(strings.Join(got.Faults, "; "), c.fault)):
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	c, err := open(t, twice)
	if err != nil || c.Find("a") != nil {
		t.Error("a name that occurs twice gives one of the two")
	}
}

// link packs a symbolic link beside a file.
func link(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, mode := range map[string]os.FileMode{"other.txt": 0o644, "umowa.txt": os.ModeSymlink | 0o777} {
		header := &zip.FileHeader{Name: name}
		header.SetMode(mode)
		f, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, "other.txt"); err != nil {
			t.Fatal(err)
		}
	}
	header := &zip.FileHeader{Name: "META-INF/signatures0.xml"}
	if _, err := w.CreateHeader(header); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// renamed packs a file with an extra field that holds another name.
func renamed(t testing.TB, field uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range []string{"umowa.txt", "META-INF/signatures0.xml"} {
		other := "\x01\x00\x00\x00\x00inna.txt"
		extra := binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, field), uint16(len(other)))
		if _, err := w.CreateHeader(&zip.FileHeader{Name: name, Extra: append(extra, other...)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rawEntry is an entry for archives that no writer makes.
type rawEntry struct {
	name, content string
	local         int // offset of the local header that the directory names; -1 for the true one
}

// raw writes stored entries with bytes before each, and a directory as told.
func raw(entries []rawEntry, before, between string) []byte {
	var b bytes.Buffer
	b.WriteString(before)
	var directory bytes.Buffer
	le := binary.LittleEndian
	for i, e := range entries {
		if i > 0 {
			b.WriteString(between)
		}
		at := b.Len()
		common := le.AppendUint16(nil, 20)
		common = append(common, 0, 0, 0, 0, 0, 0, 0, 0)
		common = le.AppendUint32(common, crc32.ChecksumIEEE([]byte(e.content)))
		common = le.AppendUint32(common, uint32(len(e.content)))
		common = le.AppendUint32(common, uint32(len(e.content)))
		common = le.AppendUint16(common, uint16(len(e.name)))
		common = append(common, 0, 0)
		b.WriteString(localSignature)
		b.Write(common)
		b.WriteString(e.name + e.content)
		if e.local >= 0 {
			at = e.local
		}
		directory.WriteString(centralSignature + "\x14\x00")
		directory.Write(common)
		directory.Write(make([]byte, 10))
		directory.Write(le.AppendUint32(nil, uint32(at)))
		directory.WriteString(e.name)
	}
	end := le.AppendUint16([]byte(endSignature+"\x00\x00\x00\x00"), uint16(len(entries)))
	end = le.AppendUint16(end, uint16(len(entries)))
	end = le.AppendUint32(end, uint32(directory.Len()))
	end = le.AppendUint32(end, uint32(b.Len()))
	b.Write(directory.Bytes())
	b.Write(end)
	b.WriteString("\x00\x00")
	return b.Bytes()
}

func shifted(_ testing.TB, before []byte) []byte {
	return raw([]rawEntry{{"mimetype", extended, -1}, {"a", "1", -1}}, string(before), "")
}

func gap(testing.TB) []byte {
	return raw([]rawEntry{{"mimetype", extended, -1}, {"a", "1", -1}}, "", "hidden")
}

func overlap(testing.TB) []byte {
	return raw([]rawEntry{{"mimetype", extended, -1}, {"a", "1", -1}, {"a", "1", localSize + len("mimetype") + len(extended)}}, "", "")
}

func TestBombs(t *testing.T) {
	zeros := strings.Repeat("\x00", 8<<20)
	c, err := open(t, pack(t, file{"mimetype", extended, false}, file{"bomb", zeros, true}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(c.Find("bomb")); err == nil {
		t.Error("an entry that inflates a thousandfold was read")
	}
	lying := pack(t, file{"mimetype", extended, false}, file{"b", strings.Repeat("abc", 1000), true})
	central := bytes.LastIndex(lying, []byte("b")) // the name in the directory
	binary.LittleEndian.PutUint32(lying[central-centralSize+24:], 10)
	if c, err = open(t, lying); err == nil {
		if _, err = c.Read(c.Find("b")); err == nil {
			t.Error("an entry longer than declared was read")
		}
	}
	many := make([]rawEntry, MaxEntries+1)
	for i := range many {
		many[i] = rawEntry{"n", "", -1}
	}
	if _, err := open(t, raw(many, "", "")); err == nil {
		t.Error("too many entries were read")
	}
}

func TestCodePage437(t *testing.T) {
	if got := decodeName("\xa0\x82\x8b\xfb.pdf"); got != "áéï√.pdf" {
		t.Error(got)
	}
	if got := decodeName("żółw.pdf"); got != "żółw.pdf" {
		t.Error(got)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(sample(f))
	f.Add(shifted(f, []byte("x")))
	f.Add(gap(f))
	f.Add(overlap(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Check(t, len(data), fuzzLimit, func() { walk(t, data) })
	})
}

// fuzzLimit is what a small container may cost: what a hundredfold inflated one holds, and much room.
var fuzzLimit = budgettest.Limit{Time: 300 * time.Millisecond, TimeAnOctet: 20 * time.Microsecond, Alloc: 8 << 20, AllocAnOctet: 2 << 10}

func walk(t *testing.T, data []byte) {
	c, err := open(t, data)
	if err != nil {
		return
	}
	for _, e := range c.Entries {
		b, err := c.Read(e)
		if err == nil && int64(len(b)) != e.Size {
			t.Errorf("%q: %d bytes, declared %d", e.Name, len(b), e.Size)
		}
		c.Forget(e)
		var copied bytes.Buffer
		if other := c.CopyTo(&copied, e); (other == nil) != (err == nil) || err == nil && !bytes.Equal(copied.Bytes(), b) {
			t.Errorf("%q: read %v, copied %v", e.Name, err, other)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	data := sample(b)
	for b.Loop() {
		c, err := open(b, data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(c.Find("umowa.txt")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkArchiveZip is the standard library on the same task, without the guard.
func BenchmarkArchiveZip(b *testing.B) {
	data := sample(b)
	for b.Loop() {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			b.Fatal(err)
		}
		f, err := r.Open("umowa.txt")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadAll(f); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDamaged: content that is not what the headers say is given to nobody.
func TestDamaged(t *testing.T) {
	for _, deflate := range []bool{true, false} {
		data := pack(t, file{"mimetype", extended, false}, file{"a.txt", "umowa nr 1", deflate})
		central := bytes.LastIndex(data, []byte("a.txt")) - centralSize
		for _, at := range []int{16, 24} { // checksum, size
			if at == 24 && !deflate {
				continue // then the size is that of the entry itself
			}
			broken := bytes.Clone(data)
			broken[central+at]++
			c, err := open(t, broken)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := c.Read(c.Find("a.txt")); err == nil {
				t.Errorf("read %q", b)
			}
			if err := c.CopyTo(io.Discard, c.Find("a.txt")); err == nil {
				t.Error("copied")
			}
		}
	}
}

// TestBudget: what is inflated is spent, and held as long as it is kept.
func TestBudget(t *testing.T) {
	data := pack(t, file{"mimetype", extended, false}, file{"a.bin", strings.Repeat("umowa ", 1<<16), true})
	const size = 6 << 16
	for _, c := range []struct {
		name       string
		work, held int64
		use        func(*Container, *Entry) error
		ok         bool
	}{
		{"read", 1 << 30, 1 << 20, func(c *Container, e *Entry) error { _, err := c.Read(e); return err }, true},
		{"copied", 1 << 30, 1 << 13, func(c *Container, e *Entry) error { return c.CopyTo(io.Discard, e) }, true},
		{"kept", 1 << 30, size, func(c *Container, e *Entry) error { _, err := c.Read(e); return err }, false},
		{"read, too much work", 1 << 17, 1 << 20, func(c *Container, e *Entry) error { _, err := c.Read(e); return err }, false},
		{"copied, too much work", 1 << 17, 1 << 20, func(c *Container, e *Entry) error { return c.CopyTo(io.Discard, e) }, false},
		{"kept and forgotten", 1 << 30, size + 1<<13, func(c *Container, e *Entry) error {
			for range 3 {
				if _, err := c.Read(e); err != nil {
					return err
				}
				c.Forget(e)
			}
			return nil
		}, true},
	} {
		b := budget.Of(t.Context(), c.work, c.held)
		container, err := Open(b, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.use(container, container.Find("a.bin")); (err == nil) != c.ok || err != nil && !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

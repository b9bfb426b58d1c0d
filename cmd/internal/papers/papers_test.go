package papers

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func write(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFind: files, patterns and folders, in the order in which they are named; a signature beside its file is about it.
func TestFind(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".", "b.pdf", "a.pdf", "in/x.pdf", "in/x.pdf.p7s", "in/.hidden", "in/.git/y.pdf")
	list, folders := Find([]string{"none.pdf", "*.pdf", "in"})
	var names []string
	for _, p := range list {
		names = append(names, p.File)
	}
	if want := []string{"none.pdf", "a.pdf", "b.pdf", "in/x.pdf", "in/x.pdf.p7s"}; !slices.Equal(names, want) || !folders {
		t.Fatalf("%q, folders %v", names, folders)
	}
	if !list[3].SignedBeside || !slices.Equal(list[4].Detached, []string{"in/x.pdf"}) {
		t.Errorf("%+v", list[3:])
	}
	if _, folders := Find([]string{"a.pdf"}); folders {
		t.Error("a file is no folder")
	}
}

// TestPlace: a file for one document, a folder with names of their own for several, and nothing that is there.
func TestPlace(t *testing.T) {
	dir := t.TempDir()
	one, err := Place(filepath.Join(dir, "r.pdf"), ".pdf", []string{"a/x"})
	if err != nil || !slices.Equal(one, []string{filepath.Join(dir, "r.pdf")}) {
		t.Errorf("%q %v", one, err)
	}
	many := filepath.Join(dir, "many")
	files, err := Place(many, ".pdf", []string{"a/x", "b/x", "y"})
	want := []string{filepath.Join(many, "x.report.pdf"), filepath.Join(many, "x.report-2.pdf"),
		filepath.Join(many, "y.report.pdf")}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("%q %v", files, err)
	}
	write(t, many, "y.report.pdf")
	if files, err := Place(many, ".pdf", []string{"a/x", "y"}); err == nil {
		t.Errorf("a report would be written over: %q", files)
	}
}

// TestWriteNew: a file that somebody puts there while the document is judged stays.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "report.pdf")
	if err := WriteNew(filepath.Join(dir, "report.pdf"), []byte("ours")); err == nil {
		t.Error("a file was written over")
	}
	if err := WriteNew(filepath.Join(dir, "new.pdf"), []byte("ours")); err != nil {
		t.Error(err)
	}
}

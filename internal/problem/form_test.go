package problem_test

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"testing"
	"testing/iotest"

	"trustcore/internal/problem"
)

// TestFormsThatWereCut cuts a form at every place: only one that has its end ends well, with all of its parts.
func TestFormsThatWereCut(t *testing.T) {
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for _, content := range []string{"first", string(bytes.Repeat([]byte("long "), 1200)), "last\r\n--"} {
		part, err := w.CreateFormFile("document", "name")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(part, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := form.Len() - len("\r\n")
	for cut := range form.Len() + 1 {
		if cut > 300 && cut < form.Len()-400 && cut%211 != 0 {
			continue // in the middle of the long one
		}
		for name, body := range map[string]io.Reader{
			"at once": bytes.NewReader(form.Bytes()[:cut]), "by bytes": iotest.OneByteReader(bytes.NewReader(form.Bytes()[:cut])),
		} {
			parts, err := readForm(problem.NewForm(body, w.Boundary()))
			if complete := err == nil && parts == 3; complete != (cut >= whole) {
				t.Errorf("%s, %d of %d bytes: %d parts, %v", name, cut, form.Len(), parts, err)
			}
		}
	}
	long := append(form.Bytes(), bytes.Repeat([]byte("epilogue "), 10_000)...)
	if parts, err := readForm(problem.NewForm(bytes.NewReader(long), w.Boundary())); parts != 3 || err != nil {
		t.Errorf("with an epilogue: %d parts, %v", parts, err)
	}
}

func readForm(f *problem.Form) (parts int, err error) {
	for {
		part, err := f.Next()
		if errors.Is(err, io.EOF) {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		if _, err := io.Copy(io.Discard, part); err != nil {
			return parts, err
		}
		parts++
	}
}

package problem

import (
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

func gzipped(t *testing.T, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// noise does not compress.
func noise(size int) string {
	text := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(text) // never fails
	return string(text)
}

// TestGzip takes a body that is compressed where that is wanted; the limits bound what comes in and what comes out, and
// what is no gzip, is cut off, or is compressed in another way is told.
func TestGzip(t *testing.T) {
	url, _ := serve(t, Body{Gzip: true, Max: 10_000})
	whole := gzipped(t, "zażółć")
	changed := bytes.Clone(whole)
	changed[len(changed)-8] ^= 1 // of the checksum
	for name, test := range map[string]struct {
		coding string
		body   []byte
		status int
		is     string // of the answer or its detail
	}{
		"gzip":               {"gzip", whole, 200, "zażółć"},
		"by its old name":    {"X-GZIP", whole, 200, "zażółć"},
		"two members":        {"gzip", append(bytes.Clone(whole), whole...), 200, "zażółćzażółć"},
		"as it is":           {"identity", []byte("zażółć"), 200, "zażółć"},
		"just fits":          {"gzip", gzipped(t, strings.Repeat("x", 10_000)), 200, strings.Repeat("x", 10_000)},
		"a bomb":             {"gzip", gzipped(t, strings.Repeat("x", 5_000_000)), 413, "at most 10000 bytes"},
		"cut off":            {"gzip", whole[:len(whole)-9], 400, "cut off"},
		"cut in the head":    {"gzip", whole[:5], 400, "cut off"},
		"nothing":            {"gzip", []byte{}, 400, "cut off"},
		"another content":    {"gzip", []byte("zażółć"), 400, "no gzip"},
		"more behind it":     {"gzip", append(bytes.Clone(whole), "more"...), 400, "no gzip"},
		"a wrong checksum":   {"gzip", changed, 400, "no gzip"},
		"another coding":     {"br", whole, 415, "compressed once with gzip"},
		"twice":              {"gzip, gzip", gzipped(t, string(whole)), 415, "compressed once with gzip"},
		"more than comes in": {"gzip", gzipped(t, noise(20_000)), 413, "at most 10000 bytes"},
	} {
		request := newRequest(t, http.MethodPost, url+"/echo", io.NopCloser(bytes.NewReader(test.body)))
		request.Header.Set("Content-Encoding", test.coding)
		request.ContentLength = -1 // so that nothing is refused by its length
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(text), test.is) {
			t.Errorf("%s: %d %.200s, %v", name, response.StatusCode, text, err)
		}
		if accepts := response.Header.Get("Accept-Encoding"); (accepts == "gzip, identity") != (test.status == 415) {
			t.Errorf("%s: Accept-Encoding %q", name, accepts)
		}
	}
}

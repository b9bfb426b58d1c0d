package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"trustcore/cmd/internal/custody"
	"trustcore/hsm/seal"
	"trustcore/verify"
)

// maxMegabytes bounds --megabytes: more is read of no document.
const maxMegabytes = verify.MaxDocument / 1_000_000

// largeDocument is one document of a measurement of memory.
type largeDocument struct {
	name     string
	data     []byte
	detached []byte // nil for none
}

// resident is what judging one document took.
type resident struct {
	MB         float64 `json:"mb"` // of the process at its largest
	Empty      float64 `json:"mb_empty"`
	TimesSize  float64 `json:"times_size"` // MB beyond the one of an empty process, by the size of what is read
	Seconds    float64 `json:"seconds"`
	Indication string  `json:"indication"`
}

// benchLarge judges one large document of each kind, each in a process of its own.
func benchLarge(ctx context.Context, s *benchSettings) (_ *measurement, err error) {
	if s.megabytes < 1 || s.megabytes > maxMegabytes {
		return nil, fmt.Errorf("--megabytes: %d is not within 1 to %d", s.megabytes, maxMegabytes)
	}
	s.note("preparing documents")
	m, err := openMinting(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.end()) }()
	anchors := filepath.Join(m.dir, "root.pem")
	if err := os.WriteFile(anchors, custody.PEM(m.root.Raw), 0o600); err != nil {
		return nil, err
	}
	documents, err := m.large(ctx, s.megabytes*1_000_000)
	if err != nil {
		return nil, err
	}
	details := map[string]any{"megabytes": s.megabytes}
	begun := time.Now()
	for _, d := range documents {
		s.note(d.name)
		if details[d.name], err = d.measure(ctx, m.dir, anchors); err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
	}
	whole := time.Since(begun)
	r := rate{perSecond: float64(len(documents)) / whole.Seconds(), p50: whole, p99: whole}
	result := &measurement{Unit: "large documents", Details: details}
	result.set(r, "", rate{})
	return result, nil
}

// large makes a document of each kind over so many octets that nothing can compress.
func (m *minting) large(ctx context.Context, size int) ([]largeDocument, error) {
	content := make([]byte, size)
	if _, err := rand.NewChaCha8([32]byte{}).Read(content); err != nil {
		return nil, err
	}
	letter := largeLetter(content[:size/4*3])
	now := time.Now()
	list := []largeDocument{{name: "PAdES"}, {name: "CAdES"}, {name: "CAdES_detached", detached: content}, {name: "ASiC"}, {name: "XAdES"}}
	makers := []func() ([]byte, error){
		func() ([]byte, error) {
			return seal.PAdES(ctx, largePDF(content), m.rsa, seal.PDFOptions{Time: now, TSA: m.stamp})
		},
		func() ([]byte, error) { return m.cades(ctx, m.rsa, content, content) },
		func() ([]byte, error) { return m.cades(ctx, m.rsa, content, nil) },
		func() ([]byte, error) { return m.asic(ctx, content) },
		func() ([]byte, error) { return seal.XAdES(ctx, letter, m.ec, seal.XMLOptions{Time: now, TSA: m.stamp}) },
	}
	for i, make := range makers {
		var err error
		if list[i].data, err = make(); err != nil {
			return nil, fmt.Errorf("making a document, %s: %w", list[i].name, err)
		}
	}
	return list, nil
}

// largeLetter has an element for each kilobyte or so.
func largeLetter(content []byte) []byte {
	letter := []byte(`<Pismo xmlns="urn:trustcore:benchmark">`)
	for row := range slices.Chunk(content, 768) {
		letter = append(letter, "<Wiersz>"...)
		letter = base64.StdEncoding.AppendEncode(letter, row)
		letter = append(letter, "</Wiersz>"...)
	}
	return append(letter, "</Pismo>"...)
}

// largePDF is the demonstration's document with a stream more.
func largePDF(content []byte) []byte {
	return pdfOf(append(demoObjects(), fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content)))
}

// measure judges the document as trustctl verify does, in a process of its own.
func (d *largeDocument) measure(ctx context.Context, dir, anchors string) (*resident, error) {
	file, content := filepath.Join(dir, "large"), filepath.Join(dir, "content")
	empty, err := verifyApart(ctx, anchors, filepath.Join(dir, "root.pem"))
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, d.data, 0o600); err != nil {
		return nil, err
	}
	arguments, size := []string{file}, len(d.data)
	if d.detached != nil {
		if err := os.WriteFile(content, d.detached, 0o600); err != nil {
			return nil, err
		}
		arguments, size = append(arguments, "--detached", content), size+len(d.detached)
	}
	r, err := verifyApart(ctx, anchors, arguments...)
	if err != nil {
		return nil, err
	}
	if r.Indication == "" {
		return nil, errors.New("the signature is not intact, or none was found")
	}
	r.Empty, r.TimesSize = empty.MB, (r.MB-empty.MB)*1e6/float64(size)
	return r, nil
}

// watchEvery is how often a process is asked for its memory. What the kernel says when it has ended holds what it was
// forked from, this large process, too.
const watchEvery = 2 * time.Millisecond

// watch is the memory that a process held at its largest, in MB, as of shortly before its end.
func watch(process string, ended <-chan struct{}) (largest float64) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return largest
		case <-tick.C:
			if mb, err := residentOf(process); err == nil {
				largest = mb
			}
		}
	}
}

// verifyApart runs this program as trustctl verify. The indication is "" where no signature is intact.
func verifyApart(ctx context.Context, anchors string, arguments ...string) (*resident, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self, append([]string{"verify", "--json", "--anchors", anchors}, arguments...)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, os.Stderr
	begun := time.Now()
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended, largest := make(chan struct{}), make(chan float64)
	go func() { largest <- watch(strconv.Itoa(c.Process.Pid), ended) }()
	err = c.Wait()
	close(ended)
	r := &resident{Seconds: time.Since(begun).Seconds(), MB: <-largest}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	var report struct {
		Signatures []struct {
			Indication string `json:"indication"`
			Intact     bool   `json:"signature_intact"`
			References bool   `json:"references_intact"`
		} `json:"signatures"`
	}
	if err := json.Unmarshal(out.Bytes(), &report); err == nil && len(report.Signatures) == 1 &&
		report.Signatures[0].Intact && report.Signatures[0].References {
		r.Indication = report.Signatures[0].Indication
	}
	return r, nil
}

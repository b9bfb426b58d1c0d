package xmldsig

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reportCPU gives megabytes a second of processor time beside the wall clock's, which other work disturbs.
func reportCPU(b *testing.B, size int, since time.Duration) {
	if spent := cpuTime(b) - since; spent > 0 {
		b.ReportMetric(float64(size)*float64(b.N)/1e6/spent.Seconds(), "MB/cpu-s")
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUndisturbed says of short documents what the fastest tenth of the turns take, which other work on the
// machine disturbs little.
func BenchmarkUndisturbed(b *testing.B) {
	data := invoices(100_000)
	for name, act := range map[string]func(*Document) error{
		"parse": func(*Document) error { return nil },
		"exclusive": func(d *Document) error {
			return d.WholeDocument().Canonical(io.Discard, Canonicalization{Form: Exclusive})
		},
		"c14n10": func(d *Document) error { return d.WholeDocument().Canonical(io.Discard, Canonicalization{}) },
		"sha256": func(d *Document) error { return d.WholeDocument().Canonical(sha256.New(), Canonicalization{}) },
	} {
		b.Run(name, func(b *testing.B) {
			var turns []time.Duration
			for b.Loop() {
				begun := time.Now()
				d, err := Parse(data, Limits{})
				if err == nil {
					err = act(d)
				}
				if err != nil {
					b.Fatal(err)
				}
				turns = append(turns, time.Since(begun))
			}
			slices.Sort(turns)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(len(data))/1e6/turns[len(turns)/10].Seconds(), "MB/s-undisturbed")
		})
	}
}

// invoices is a document of markup and Polish text, about as dense as electronic invoices are.
func invoices(size int) []byte {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><f:Faktury xmlns:f="urn:faktura" xmlns="urn:pozycje">` + "\n")
	for n := 0; b.Len() < size; n++ {
		fmt.Fprintf(&b, `  <f:Faktura nr="FV/%d/2026" data="2026-11-23">
    <Nabywca><Nazwa>Urząd Miasta Przykładowo &amp; Spółka</Nazwa><Adres>ul. Świętej Jadwigi %d, 40-001 Przykładowo</Adres></Nabywca>
    <Wiersz lp="1"><Opis>Usługa świadczona drogą elektroniczną</Opis><Kwota waluta="PLN">%d.00</Kwota></Wiersz>
  </f:Faktura>
`, n, n%100, n)
	}
	b.WriteString(`</f:Faktury>`)
	return []byte(b.String())
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000, 50_000_000} {
		data := invoices(size)
		b.Run(fmt.Sprintf("ours/%dKB", size/1000), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			start := cpuTime(b)
			defer func() { reportCPU(b, len(data), start) }()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(data, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		for name, m := range map[string]Canonicalization{"exclusive": {Form: Exclusive}, "c14n10": {}} {
			b.Run(fmt.Sprintf("ours+%s+sha256/%dKB", name, size/1000), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				start := cpuTime(b)
				defer func() { reportCPU(b, len(data), start) }()
				for b.Loop() {
					d, err := Parse(data, Limits{})
					if err != nil {
						b.Fatal(err)
					}
					h := sha256.New()
					if err := d.WholeDocument().Canonical(h, m); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	data := invoices(1_000_000)
	b.Run("encoding-xml-tokens/1000KB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		start := cpuTime(b)
		defer func() { reportCPU(b, len(data), start) }()
		b.ReportAllocs()
		for b.Loop() {
			tokens := xml.NewDecoder(bytes.NewReader(data))
			for {
				if _, err := tokens.Token(); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("sha256/1000KB", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			sha256.Sum256(data)
		}
	})
}

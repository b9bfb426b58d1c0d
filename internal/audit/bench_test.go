package audit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trustcore/internal/audit"
)

// BenchmarkAppend measures one caller beside fdatasync on the same disk in the same run, and 64 callers.
func BenchmarkAppend(b *testing.B) {
	b.Run("one", func(b *testing.B) {
		l := opened(b)
		syncs := make([]time.Duration, 0, b.N)
		appends := make([]time.Duration, 0, b.N)
		raw := rawFile(b)
		record := make([]byte, 300)
		for i := range b.N {
			begun := time.Now()
			if _, err := raw.WriteAt(record, int64(i)*300%(4<<20)); err != nil {
				b.Fatal(err)
			}
			if err := unix.Fdatasync(int(raw.Fd())); err != nil {
				b.Fatal(err)
			}
			syncs = append(syncs, time.Since(begun))
			begun = time.Now()
			if _, err := l.Append(b.Context(), entry(i)); err != nil {
				b.Fatal(err)
			}
			appends = append(appends, time.Since(begun))
		}
		b.ReportMetric(float64(middle(syncs).Microseconds()), "fdatasync-p50-us")
		b.ReportMetric(float64(middle(appends).Microseconds()), "append-p50-us")
	})
	b.Run("callers=64", func(b *testing.B) {
		l := opened(b)
		var wg sync.WaitGroup
		work := make(chan int)
		for range 64 {
			wg.Go(func() {
				for i := range work {
					if _, err := l.Append(b.Context(), entry(i)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		before := written(b)
		b.ResetTimer()
		for i := range b.N {
			work <- i
		}
		close(work)
		wg.Wait()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		b.ReportMetric(float64(written(b)-before)/float64(b.N), "written-B/entry")
	})
}

func opened(b *testing.B) *audit.Log {
	l, err := audit.Open(b.Context(), audit.Config{Dir: filepath.Join(b.TempDir(), "audit")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return l
}

// rawFile is a file of zeros, as the journal writes into.
func rawFile(b *testing.B) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err == nil {
		_, err = f.Write(make([]byte, 5<<20))
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return f
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// written returns how many octets this process has given to files.
func written(b *testing.B) int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	var rchar, wchar int64
	if _, err := fmt.Sscanf(string(text), "rchar: %d\nwchar: %d", &rchar, &wchar); err != nil {
		b.Fatal(err)
	}
	return wchar
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// rate is a speed and the times of single acts.
type rate struct {
	perSecond float64
	p50, p99  time.Duration
	count     int
	samples   *samples // nil where they are not kept
}

// turns is how often the ways of one measurement take turns, so that a busy moment of the machine hits all alike.
const turns = 5

// way is one thing to be measured: do works on the n-th subject.
type way struct {
	name   string
	repeat int // how often a subject is worked on in one turn, for what is short; 0 means once
	do     func(ctx context.Context, n int) error
}

// alternate lets ways work on the same subjects in turns: the first one, which ought to be the slowest, goes through them until its
// slice is spent, then the others do exactly those. What the one leaves to the garbage collector is not left to the next.
func alternate(ctx context.Context, total time.Duration, concurrency, subjects int, ways []way) ([]rate, error) {
	if subjects == 0 || len(ways) == 0 {
		return nil, errors.New("nothing to measure")
	}
	taken := make([]samples, len(ways))
	slice := total / time.Duration(turns*len(ways))
	next := 0
	for range turns {
		from, to := next, next
		for i := range ways {
			runtime.GC()
			lead := i == 0
			end := time.Now().Add(slice)
			var at atomic.Int64
			at.Store(int64(from))
			err := taken[i].work(ctx, concurrency, func() (int, bool) {
				n := int(at.Add(1)) - 1
				if lead {
					return n, n == from || time.Now().Before(end)
				}
				return n, n < to
			}, ways[i], subjects)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ways[i].name, err)
			}
			if lead {
				to = from + taken[i].last
			}
		}
		next = to
	}
	rates := make([]rate, len(ways))
	for i := range ways {
		rates[i] = taken[i].bySubject(concurrency)
		rates[i].samples = &taken[i]
	}
	return rates, nil
}

// contend lets ways take turns in closed loops: each worker acts again when it is done, until the slice is over. Each way has its own
// number of workers.
func contend(ctx context.Context, total time.Duration, subjects int, ways []way, concurrency []int) ([]rate, error) {
	taken := make([]samples, len(ways))
	slice := total / time.Duration(turns*len(ways))
	for range turns {
		for i := range ways {
			runtime.GC()
			end := time.Now().Add(slice)
			var at atomic.Int64
			err := taken[i].work(ctx, concurrency[i], func() (int, bool) {
				n := int(at.Add(1)) - 1
				return n, n < concurrency[i] || time.Now().Before(end)
			}, ways[i], subjects)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ways[i].name, err)
			}
		}
	}
	rates := make([]rate, len(ways))
	for i := range ways {
		rates[i] = taken[i].byTurn()
		rates[i].samples = &taken[i]
	}
	return rates, nil
}

// samples collects the times of one way over all turns.
type samples struct {
	times [][]time.Duration // of each subject
	turns []float64         // rate of each turn
	acts  int
	last  int           // subjects of the latest turn
	spent time.Duration // of all processors, by the whole process: what collects garbage included
}

// work runs one turn. take hands out subjects until it says no.
func (s *samples) work(ctx context.Context, concurrency int, take func() (int, bool), w way, subjects int) error {
	repeat := max(w.repeat, 1)
	if s.times == nil {
		s.times = make([][]time.Duration, subjects)
	}
	var mu sync.Mutex
	var failure error
	s.last = 0
	var workers sync.WaitGroup
	begun, before := time.Now(), processorTime()
	for range concurrency {
		workers.Go(func() {
			own := make([][]time.Duration, subjects)
			acts := 0
			var err error
			for err == nil && ctx.Err() == nil {
				n, more := take()
				if !more {
					break
				}
				n %= subjects
				start := time.Now()
				for range repeat {
					err = errors.Join(err, w.do(ctx, n))
				}
				own[n] = append(own[n], time.Since(start)/time.Duration(repeat))
				acts++
			}
			mu.Lock()
			defer mu.Unlock()
			for n := range own {
				s.times[n] = append(s.times[n], own[n]...)
			}
			s.last += acts
			if failure == nil {
				failure = err // the others' are the same, once a worker
			}
		})
	}
	workers.Wait()
	s.spent += processorTime() - before
	s.acts += s.last * repeat
	s.turns = append(s.turns, float64(s.last*repeat)/time.Since(begun).Seconds())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failure
}

// bySubject is the rate of workers who take the median time for each subject. The mean would measure the other programs of a shared
// machine: one act in twenty that is stopped for ten milliseconds outweighs all the others. The 99th percentile tells of those.
func (s *samples) bySubject(concurrency int) rate {
	var sum time.Duration
	subjects := 0
	for _, times := range s.times {
		if len(times) == 0 {
			continue
		}
		slices.Sort(times)
		sum, subjects = sum+times[(len(times)-1)/2], subjects+1
	}
	if sum == 0 {
		return rate{}
	}
	r := s.percentiles()
	r.perSecond = float64(concurrency*subjects) / sum.Seconds()
	return r
}

// processorTime is what this process has taken so far of all processors.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// processorRatio compares the processor time of an act: other programs of a busy machine hardly change it.
func processorRatio(r, limit rate) float64 {
	if r.samples.spent == 0 || limit.samples.acts == 0 {
		return 0
	}
	return float64(limit.samples.spent) * float64(r.samples.acts) / float64(r.samples.spent) / float64(limit.samples.acts)
}

// of is the rate on some of the subjects.
func (r rate) of(subjects []int, concurrency int) rate {
	var some samples
	for _, n := range subjects {
		some.times = append(some.times, r.samples.times[n])
		some.acts += len(r.samples.times[n])
	}
	return some.bySubject(concurrency)
}

// byTurn is the rate of the turn in the middle.
func (s *samples) byTurn() rate {
	r := s.percentiles()
	slices.Sort(s.turns)
	r.perSecond = s.turns[len(s.turns)/2]
	return r
}

func (s *samples) percentiles() rate {
	all := slices.Concat(s.times...)
	if len(all) == 0 {
		return rate{}
	}
	slices.Sort(all)
	return rate{p50: all[len(all)/2], p99: all[len(all)*99/100], count: s.acts}
}

// largestResident is how much memory this process held at its largest, in MB (10^6 octets).
func largestResident() (float64, error) { return residentOf("self") }

// residentOf is largestResident of a process that runs, by its number.
func residentOf(process string) (float64, error) {
	file := "/proc/" + process + "/status"
	status, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("reading the memory in use: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("reading the memory in use: no VmHWM in %s", file)
}

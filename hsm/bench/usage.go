package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// usage is what this process and the worker have used.
type usage struct {
	processor time.Duration
	written   int64 // octets given to write(2), but to network connections
}

// tick is the unit of processor times in /proc (proc(5)): USER_HZ is 100 on Linux.
const tick = 10 * time.Millisecond

func (b *bench) usage() (usage, error) {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return usage{}, err
	}
	of := usage{processor: time.Duration(own.Utime.Nano() + own.Stime.Nano())}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.module.WorkerPID()))
	if err != nil {
		return usage{}, err
	}
	_, behind, _ := bytes.Cut(text, []byte(") ")) // the name in parentheses may hold anything
	fields := bytes.Fields(behind)
	for _, at := range []int{11, 12} { // utime and stime, fields 14 and 15 of the whole
		if len(fields) <= at {
			return usage{}, fmt.Errorf("processor time of the worker: %q", text)
		}
		ticks, err := strconv.ParseInt(string(fields[at]), 10, 64)
		if err != nil {
			return usage{}, err
		}
		of.processor += time.Duration(ticks) * tick
	}
	if text, err = os.ReadFile("/proc/self/io"); err != nil {
		return usage{}, err
	}
	_, behind, _ = bytes.Cut(text, []byte("wchar: "))
	line, _, _ := bytes.Cut(behind, []byte("\n"))
	if of.written, err = strconv.ParseInt(string(line), 10, 64); err != nil {
		return usage{}, err
	}
	of.written -= b.sent.Load()
	return of, nil
}

// counting is a listener, and a connection, whose octets are counted.
type counting struct {
	net.Listener
	sent *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c, l.sent}, nil
}

type countingConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

package api

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"trustcore/internal/problem"
)

// inMemory is up to how many bytes a body is kept in memory until its turn; larger ones wait in files.
const inMemory = 64 << 10

// firstRead is how many bytes have to come before room is made for the rest.
const firstRead = 4 << 10

// quota bounds a sum of bytes.
type quota struct {
	max  int64
	used atomic.Int64
}

func (q *quota) take(n int64) bool {
	if q.used.Add(n) <= q.max {
		return true
	}
	q.used.Add(-n)
	return false
}

func (q *quota) give(n int64) { q.used.Add(-n) }

// spool keeps bodies until their turn, in files that have no name: what is left of a process that died is nothing. They
// are enciphered with keys that are in memory alone, since what a disk once held may be read from it later: documents,
// and passwords of documents. What a client has sent counts, not what it announced, so that promises take no room.
type spool struct {
	dir  string
	room quota
	log  *slog.Logger
}

// body is a request's body, come in completely.
type body struct {
	size   int64
	memory []byte   // all of it, or nil
	file   *os.File // all of it, enciphered, or nil
	key    cipher.Block
	pen    cipher.Stream // enciphers what is written next
	spool  *spool
}

// newKey makes the key of a body. Each has its own, so that all may begin with the same counter.
func (b *body) newKey() error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	var err error
	if b.key, err = aes.NewCipher(key); err == nil {
		b.pen = b.stream()
	}
	return err
}

// stream enciphers or deciphers the body from its beginning.
func (b *body) stream() cipher.Stream { return cipher.NewCTR(b.key, make([]byte, aes.BlockSize)) }

// receive reads a body to its end, into a file where it is large or to be kept. One that the spool has no room for is
// refused with 503.
// announced is its length where that is known, -1 where not.
func (s *spool) receive(r io.Reader, announced int64, kept bool) (_ *body, err error) {
	head, err := readHead(r, announced)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	if len(head) < inMemory && !kept {
		return &body{size: int64(len(head)), memory: head}, nil
	}
	b := &body{spool: s}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err = b.newKey(); err != nil {
		return nil, err
	}
	if b.file, err = s.open(); err != nil {
		return nil, err
	}
	if err = b.write(head); err != nil {
		return nil, err
	}
	head = head[:cap(head)]
	for {
		n, err := r.Read(head)
		if err := b.write(head[:n]); err != nil {
			return nil, err
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the request: %w", err)
		}
	}
}

// readHead reads as much of a body as is kept in memory. The room that is announced is made when the first of it has
// come: who only promises takes little.
func readHead(r io.Reader, announced int64) ([]byte, error) {
	head := make([]byte, firstRead)
	n, err := io.ReadFull(r, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return head[:n], nil
	}
	if err != nil {
		return nil, err
	}
	var whole bytes.Buffer
	whole.Grow(int(min(max(announced, 2*firstRead), inMemory)) + bytes.MinRead)
	whole.Write(head)
	clear(head) // which may hold a password
	_, err = whole.ReadFrom(io.LimitReader(r, inMemory-firstRead))
	return whole.Bytes(), err
}

func (s *spool) open() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, "body-")
	if err == nil {
		err = os.Remove(f.Name())
	}
	if err != nil {
		return nil, s.full(err)
	}
	return f, nil
}

func (s *spool) full(err error) error {
	s.log.Error("a request finds no room to wait in", "error", err)
	p := problem.Refuse(http.StatusServiceUnavailable,
		"there is no room for more requests that wait; try again in a moment")
	p.RetryAfter = 5
	return p
}

// write takes p, which it enciphers where it stands.
func (b *body) write(p []byte) error {
	if !b.spool.room.take(int64(len(p))) {
		return b.spool.full(fmt.Errorf("%d bytes wait already", b.spool.room.max))
	}
	b.size += int64(len(p))
	b.pen.XORKeyStream(p, p)
	if _, err := b.file.Write(p); err != nil {
		return b.spool.full(err)
	}
	return nil
}

// reader reads the body from its beginning.
func (b *body) reader() io.Reader {
	if b.file == nil {
		return bytes.NewReader(b.memory)
	}
	return cipher.StreamReader{S: b.stream(), R: io.NewSectionReader(b.file, 0, b.size)}
}

// bytes returns the body; one that waited in a file takes its size in memory, no more.
func (b *body) bytes() ([]byte, error) {
	if b.file == nil {
		return b.memory, nil
	}
	data := make([]byte, b.size)
	if _, err := io.ReadFull(b.reader(), data); err != nil {
		return nil, fmt.Errorf("reading a request that waited: %w", err)
	}
	return data, nil
}

// close lets go of the body; nil is none.
func (b *body) close() {
	if b == nil || b.file == nil {
		return
	}
	if err := b.file.Close(); err != nil {
		b.spool.log.Error("the file of a request was not closed", "error", err)
	}
	b.spool.room.give(b.size)
}

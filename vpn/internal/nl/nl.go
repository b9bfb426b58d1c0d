//go:build linux

// Package nl speaks netlink with as little work as ten thousand answers allow: it hands out each message where it lies in
// the buffer. One socket asks and changes, another hears what everybody changes.
package nl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	headerLen    = unix.NLMSG_HDRLEN
	receiveBytes = 256 << 10 // the kernel fills at most 32 kB at once
	eventBytes   = 16 << 20  // of events that wait; what does not fit is told as lost
)

// ErrLost says that the kernel had no room for some events: everything has to be looked at.
var ErrLost = errors.New("events were lost")

// Message is one netlink message; its data are valid until the next call of its socket.
type Message struct {
	Type  uint16
	Flags uint16
	Data  []byte // after the header

	seq uint32
}

// Socket asks and changes. Its calls come one after another.
type Socket struct {
	mu     sync.Mutex
	fd     int
	seq    uint32
	first  uint32 // of the present call: what is older answers one that gave up
	buffer []byte
}

// Open opens a socket of the protocol in the network namespace of the calling thread.
func Open(protocol int) (*Socket, error) {
	fd, err := open(protocol, 0)
	if err != nil {
		return nil, err
	}
	return &Socket{fd: fd, buffer: make([]byte, receiveBytes)}, nil
}

func open(protocol, flags int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, protocol)
	if err != nil {
		return -1, fmt.Errorf("open netlink: %w", err)
	}
	return fd, nil
}

// Close closes the socket.
func (s *Socket) Close() error { return unix.Close(s.fd) }

// Dump asks for a list and hands each message of it to take. When somebody changed the list meanwhile it begins again,
// some times, and calls begin each time: what was taken is void then.
func (s *Socket) Dump(kind uint16, data []byte, begin func(), take func(Message) error) (err error) {
	for range dumpTries {
		begin()
		if err = s.dump(kind, data, take); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return err
}

const dumpTries = 10

func (s *Socket) dump(kind uint16, data []byte, take func(Message) error) error {
	defer s.begin()()
	if err := s.send(s.append(nil, kind, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, data)); err != nil {
		return err
	}
	var failed error
	for {
		done, err := s.receive(func(m Message) error {
			if m.Flags&unix.NLM_F_DUMP_INTR != 0 {
				failed = unix.EINTR
			}
			if failed == nil {
				failed = take(m)
			}
			return nil
		})
		if err != nil || done {
			return errors.Join(failed, err)
		}
	}
}

// Ask asks for one thing, and hands the answer to take.
func (s *Socket) Ask(kind uint16, data []byte, take func(Message) error) error {
	defer s.begin()()
	if err := s.send(s.append(nil, kind, unix.NLM_F_REQUEST|unix.NLM_F_ACK, data)); err != nil {
		return err
	}
	for {
		done, err := s.receive(take)
		if err != nil || done {
			return err
		}
	}
}

// Change sends one request a message and returns what the kernel says to each, nil where it did as it was told.
func (s *Socket) Change(kind, flags uint16, all iter.Seq[[]byte]) (answers []error, err error) {
	defer s.begin()()
	var batch []byte
	waiting := 0
	flush := func() error {
		if waiting == 0 {
			return nil
		}
		if err := s.send(batch); err != nil {
			return err
		}
		for waiting > 0 {
			done, err := s.receive(func(Message) error { return nil })
			if err != nil && !done {
				return err
			}
			if done {
				answers = append(answers, err)
				waiting--
			}
		}
		batch = batch[:0]
		return nil
	}
	for data := range all {
		batch = s.append(batch, kind, flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK, data)
		if waiting++; waiting == batchSize {
			if err := flush(); err != nil {
				return answers, err
			}
		}
	}
	return answers, flush()
}

// batchSize is how many requests are answered at once: their answers have to fit into the socket.
const batchSize = 64

// begin begins a call; what it returns ends it.
func (s *Socket) begin() (end func()) {
	s.mu.Lock()
	s.first = s.seq + 1
	return s.mu.Unlock
}

func (s *Socket) append(to []byte, kind, flags uint16, data []byte) []byte {
	s.seq++
	to = binary.NativeEndian.AppendUint32(to, uint32(headerLen+len(data)))
	to = binary.NativeEndian.AppendUint16(to, kind)
	to = binary.NativeEndian.AppendUint16(to, flags)
	to = binary.NativeEndian.AppendUint32(to, s.seq)
	to = binary.NativeEndian.AppendUint32(to, 0)
	to = append(to, data...)
	return append(to, make([]byte, align(len(data))-len(data))...)
}

func (s *Socket) send(data []byte) error {
	return unix.Sendto(s.fd, data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// receive hands out what one reading brings, up to the end of one answer: done says that it came, err that it is a
// refusal.
func (s *Socket) receive(take func(Message) error) (done bool, err error) {
	n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for m, err := range messages(s.buffer[:n]) {
		switch {
		case err != nil:
			return true, err
		case m.seq-s.first > s.seq-s.first:
			continue
		case m.Type == unix.NLMSG_DONE:
			return true, nil
		case m.Type == unix.NLMSG_ERROR:
			return true, errorOf(m.Data)
		}
		if err := take(m); err != nil {
			return true, err
		}
	}
	return false, nil
}

// errorOf reads the answer to a request; no error is an acknowledgement.
func errorOf(data []byte) error {
	if len(data) < 4 {
		return errors.New("netlink: an answer is cut short")
	}
	if code := int32(binary.NativeEndian.Uint32(data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// messages walks through what was received.
func messages(b []byte) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		for len(b) >= headerLen {
			n := int(binary.NativeEndian.Uint32(b))
			if n < headerLen || n > len(b) {
				yield(Message{}, errors.New("netlink: a message is cut short"))
				return
			}
			m := Message{binary.NativeEndian.Uint16(b[4:]), binary.NativeEndian.Uint16(b[6:]), b[headerLen:n], binary.NativeEndian.Uint32(b[8:])}
			if !yield(m, nil) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// Attributes walks through the attributes of a message (netlink(7)), without the flags of their kind.
func Attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofNlAttr || n > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) & (1<<14 - 1)
			if !yield(kind, b[unix.SizeofNlAttr:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// Attribute returns the first attribute of the kind, nil when there is none.
func Attribute(b []byte, kind uint16) []byte {
	for k, value := range Attributes(b) {
		if k == kind {
			return value
		}
	}
	return nil
}

// AppendAttribute writes one attribute.
func AppendAttribute(to []byte, kind uint16, value []byte) []byte {
	to = binary.NativeEndian.AppendUint16(to, uint16(unix.SizeofNlAttr+len(value)))
	to = binary.NativeEndian.AppendUint16(to, kind)
	to = append(to, value...)
	return append(to, make([]byte, align(len(value))-len(value))...)
}

// Text is a string as attributes have it, without the zero at its end.
func Text(b []byte) string {
	if n := len(b); n > 0 && b[n-1] == 0 {
		b = b[:n-1]
	}
	return string(b)
}

func align(n int) int { return (n + 3) &^ 3 }

// Events hears what everybody changes.
type Events struct {
	file   *os.File
	buffer []byte
}

// Listen hears the multicast groups of the protocol in the network namespace of the calling thread.
func Listen(protocol int, groups ...int) (*Events, error) {
	fd, err := open(protocol, unix.SOCK_NONBLOCK)
	if err != nil {
		return nil, err
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, group := range groups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hear netlink: %w", err), unix.Close(fd))
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, eventBytes) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, eventBytes) // less room: more looks at everything
	}
	return &Events{os.NewFile(uintptr(fd), "netlink"), make([]byte, receiveBytes)}, nil
}

// Drain hands out the events that are there now and does not wait for others. What somebody changed before the call is
// among them, or [ErrLost] is returned.
func (e *Events) Drain(take func(Message)) (err error) {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) { // and not Read, which a Wait holds
		for {
			n, _, got := unix.Recvfrom(int(fd), e.buffer, unix.MSG_DONTWAIT)
			switch {
			case errors.Is(got, unix.EAGAIN):
				return
			case errors.Is(got, unix.ENOBUFS):
				err = ErrLost
			case errors.Is(got, unix.EINTR):
			case got != nil:
				err = got
				return
			default:
				for m, bad := range messages(e.buffer[:n]) {
					if bad != nil {
						err = ErrLost
						break
					}
					take(m)
				}
			}
		}
	})
	return errors.Join(err, failed)
}

// Wait returns when there is an event, or an error once the socket is closed.
func (e *Events) Wait() error {
	raw, err := e.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool { // reading, and be it to peek, would take the word of a loss from Drain
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && !errors.Is(err, unix.EINTR)
	})
}

// Close ends a Wait, too.
func (e *Events) Close() error { return e.file.Close() }

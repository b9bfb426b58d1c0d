// Package scan has clamd, the daemon of ClamAV, look for malicious software in documents, over its socket on this machine
// (clamd(8)). What it says is no part of a verdict on signatures.
package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// State is what became of looking.
type State string

// The states. A file of which the scanner takes no more than a part counts as not looked at.
const (
	Clean    State = "clean"
	Infected State = "infected"
	TooLarge State = "too-large" // for the scanner's StreamMaxLength
	Away     State = "away"      // the scanner does not answer, or not in words that are known
)

// Result is what the scanner says of the files of one request.
type Result struct {
	State  State  `json:"state"`
	Threat string `json:"threat,omitempty"`  // as the scanner calls it
	By     string `json:"scanner,omitempty"` // program, number and date of its signatures, as it says
}

// The bounds of one talk with the scanner.
const (
	chunk      = 1 << 20 // octets sent at once
	maxAnswer  = 4 << 10
	versionFor = time.Minute     // a version is asked for again after
	awayFor    = 5 * time.Second // one that is away, after
	asking     = 3 * time.Second // for a version
	// Timeout bounds looking at the files of one request. A scanner that hangs costs a document no more, and the next
	// ones no more than asking once in awayFor: it counts as away.
	Timeout = 20 * time.Second
)

// Scanner is safe for concurrent use.
type Scanner struct {
	socket string
	now    func() time.Time

	mu      sync.Mutex
	version string // "" where the scanner was away; guarded by mu, as what follows
	problem error
	asked   time.Time // zero before the first time
}

// New returns the scanner behind a socket, which need not be there yet. The path is absolute.
func New(socket string, now func() time.Time) (*Scanner, error) {
	if !filepath.IsAbs(socket) {
		return nil, fmt.Errorf("%q is not the absolute path of clamd's socket, such as /run/clamav/clamd.ctl", socket)
	}
	return &Scanner{socket: socket, now: now}, nil
}

// Scan has all files looked at. The first threat found is told, and otherwise the worst of what became of them.
func (s *Scanner) Scan(ctx context.Context, files ...[]byte) Result {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	version, err := s.Version(ctx)
	worst := Result{State: Clean, By: version}
	if err != nil {
		worst.State = Away
		return worst
	}
	for _, file := range files {
		answer, err := s.stream(ctx, file)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.keep("", fmt.Errorf("the scanner behind %s did not come to an end within %s", s.socket, Timeout))
		}
		switch state, threat := read(answer, err); state {
		case Infected:
			return Result{State: Infected, Threat: threat, By: version}
		case Away:
			worst.State = Away
		case TooLarge:
			if worst.State == Clean {
				worst.State = TooLarge
			}
		}
	}
	return worst
}

// read understands an answer to INSTREAM; whatever is not known to be good is not.
func read(answer string, err error) (State, string) {
	verdict, ok := strings.CutPrefix(answer, "stream: ")
	threat, found := strings.CutSuffix(verdict, " FOUND")
	switch {
	case ok && found: // also where the scanner ends the talk before it has heard everything
		return Infected, threat
	case strings.Contains(answer, "size limit exceeded"):
		return TooLarge, ""
	case err == nil && answer == "stream: OK":
		return Clean, ""
	}
	return Away, ""
}

// stream gives a file to the scanner in pieces, and returns its answer. The answer counts though sending failed: the
// scanner stops listening when it has heard enough.
func (s *Scanner) stream(ctx context.Context, file []byte) (string, error) {
	return s.talk(ctx, "zINSTREAM\x00", func(w io.Writer) error {
		for len(file) > 0 {
			piece := file[:min(len(file), chunk)]
			file = file[len(piece):]
			if err := binary.Write(w, binary.BigEndian, uint32(len(piece))); err != nil {
				return err
			}
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return binary.Write(w, binary.BigEndian, uint32(0))
	})
}

// Version is the scanner's program with the number and date of its signatures, asked for once in a while. The error is
// that of a scanner that is away.
func (s *Scanner) Version(ctx context.Context) (string, error) {
	if version, known, err := s.last(); known {
		return version, err
	}
	limited, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	version, err := s.talk(limited, "zVERSION\x00", nil)
	if err == nil && !strings.HasPrefix(version, "ClamAV ") {
		err = errors.New("what answers is not ClamAV")
	}
	if err != nil {
		version, err = "", fmt.Errorf("the scanner behind %s is away: %w", s.socket, err)
	}
	if ctx.Err() == nil { // else it was not the scanner that gave up
		s.keep(version, err)
	}
	return version, err
}

// last is what was known of late.
func (s *Scanner) last() (version string, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	life := versionFor
	if s.problem != nil {
		life = awayFor
	}
	return s.version, !s.asked.IsZero() && s.now().Sub(s.asked) < life, s.problem
}

func (s *Scanner) keep(version string, problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version, s.problem, s.asked = version, problem, s.now()
}

// Signatures is the date of the scanner's signatures, zero where its version does not tell.
func Signatures(version string) time.Time {
	parts := strings.Split(version, "/")
	at, err := time.Parse("Mon Jan _2 15:04:05 2006", parts[len(parts)-1])
	if err != nil {
		return time.Time{}
	}
	return at
}

// talk sends a command, and what belongs to it, and returns the answer up to its end.
func (s *Scanner) talk(ctx context.Context, command string, send func(io.Writer) error) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	_, sent := io.WriteString(conn, command)
	if sent == nil && send != nil {
		sent = send(conn)
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if end := bytes.IndexByte(answer, 0); end >= 0 {
		return string(answer[:end]), sent
	}
	return "", errors.Join(sent, err, errors.New("its answer has no end"))
}

// Package worker is the process that loads a vendor's PKCS#11 module for trustd: it alone knows the PIN, and a crash
// or hang of the module costs nothing but its restart. It serves one client over one socket and ends with it.
package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"trustcore/hsm/internal/wire"
)

// socketFD is the descriptor that trustd hands over.
const socketFD = 3

// maxCalls bounds the calls in progress. The client holds itself to far fewer; this keeps a wild one from filling the
// memory.
const maxCalls = 2048

// Main serves trustd on the socket that it inherited as descriptor 3. It returns at the end of that connection; the
// caller then leaves the process. An error other than nil says why the worker can't go on: a new process is the
// remedy.
func Main(ctx context.Context) error {
	if err := harden(); err != nil {
		return err
	}
	f := os.NewFile(socketFD, "trustd")
	conn, err := net.FileConn(f)
	if err != nil {
		return fmt.Errorf("the HSM worker is started by trustd, not by hand: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return serve(ctx, conn)
}

// harden keeps the PIN out of core dumps and out of reach of other processes of the same user.
func harden() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core dumps: %w", err)
	}
	const prSetDumpable = 4
	if _, _, e := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDumpable, 0, 0); e != 0 {
		return fmt.Errorf("closing the process to debuggers: %w", e)
	}
	return nil
}

// server is one connection.
type server struct {
	token *token // nil until Open; set before any other call is taken
	out   *wire.Writer
	fatal chan error // why the worker can't go on; has room for one
}

// serve answers calls until the client hangs up, ctx ends, or the module can't be healed inside this process.
func serve(ctx context.Context, conn net.Conn) error {
	s := &server{out: wire.NewWriter(conn), fatal: make(chan error, 1)}
	ended := make(chan error, 1)
	go func() { ended <- s.read(conn) }()
	select {
	case err := <-ended:
		return err
	case err := <-s.fatal:
		return err
	case <-ctx.Done():
		return nil
	}
}

func (s *server) read(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 32<<10)
	slots := make(chan struct{}, maxCalls)
	for {
		f, err := wire.Read(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.Kind == wire.Open || s.token == nil {
			if err := s.answer(f, s.open(f)); err != nil {
				return err
			}
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := s.answer(f, s.handle(f)); err != nil {
				s.fail(err)
			}
		}()
	}
}

func (s *server) fail(err error) {
	select {
	case s.fatal <- err:
	default: // one reason is enough
	}
}

func (s *server) answer(request, answer wire.Frame) error {
	answer.Call = request.Call
	return s.out.Write(answer)
}

func (s *server) open(f wire.Frame) wire.Frame {
	var request wire.OpenRequest
	switch {
	case f.Kind != wire.Open:
		return refused(errors.New("the first call must open the token"))
	case s.token != nil:
		return refused(errors.New("the token is open already"))
	}
	if err := json.Unmarshal(f.Body, &request); err != nil {
		return refused(err)
	}
	t, err := openToken(request)
	if wrongPIN(err) || errors.Is(err, errPINRefused) {
		answer := answerJSON(wire.PINRefusal{Serial: t.serial, Reason: err.Error(), Tried: wrongPIN(err)})
		answer.Kind = wire.Refused
		return answer
	}
	if err != nil {
		return failed(err)
	}
	s.token = t
	return answerJSON(t.describe())
}

func (s *server) handle(f wire.Frame) wire.Frame {
	switch f.Kind {
	case wire.Sign:
		id, m, digests, err := wire.ParseSign(f.Body)
		if err != nil {
			return refused(err)
		}
		signatures, err := s.token.signAll(id, m, digests)
		why := s.outcome(nil, err)
		return wire.Frame{Kind: wire.OK, Body: wire.SignedBody(wire.Signed{Kind: why.Kind, Signatures: signatures, Reason: why.Body})}
	case wire.Decrypt:
		id, m, ciphertext, err := wire.ParseDecrypt(f.Body)
		if err != nil {
			return refused(err)
		}
		plaintext, err := s.token.decrypt(id, m, ciphertext)
		return s.outcome(plaintext, err)
	case wire.Probe:
		m, err := wire.ParseProbe(f.Body)
		if err != nil {
			return refused(err)
		}
		return s.outcome(nil, s.token.probe(m))
	case wire.Generate:
		var request wire.GenerateRequest
		if err := json.Unmarshal(f.Body, &request); err != nil {
			return refused(err)
		}
		made, err := s.token.generate(request)
		if err != nil {
			return s.outcome(nil, err)
		}
		return answerJSON(made)
	case wire.Destroy:
		if len(f.Body) != wire.IDSize {
			return refused(errors.New("a key's ID has 16 bytes"))
		}
		return s.outcome(nil, s.token.destroy(wire.ID(f.Body)))
	case wire.Attest:
		return s.attest(f.Body)
	case wire.Survey:
		found, err := s.token.survey()
		if err != nil {
			return s.outcome(nil, err)
		}
		return answerJSON(found)
	case wire.List:
		ids, err := s.token.list()
		return s.outcome(ids, err)
	case wire.Ping:
		if len(f.Body) != 0 && len(f.Body) != wire.IDSize {
			return refused(errors.New("a key's ID has 16 bytes"))
		}
		var id wire.ID
		copy(id[:], f.Body)
		return s.outcome(nil, s.token.ping(id))
	case wire.Random:
		n, err := wire.ParseRandom(f.Body)
		if err != nil {
			return refused(err)
		}
		random, err := s.token.random(n)
		return s.outcome(random, err)
	case wire.Reopen:
		return s.outcome(nil, s.token.reopen())
	}
	return refused(fmt.Errorf("unknown call %d", f.Kind))
}

func (s *server) attest(id []byte) wire.Frame {
	if len(id) != wire.IDSize {
		return refused(errors.New("a key's ID has 16 bytes"))
	}
	attestation, err := s.token.attest(wire.ID(id))
	if err != nil {
		return s.outcome(nil, err)
	}
	return answerJSON(attestation)
}

// outcome turns a result into an answer. An error that only a new process heals ends this one, after the answer.
func (s *server) outcome(body []byte, err error) wire.Frame {
	switch {
	case err == nil:
		return wire.Frame{Kind: wire.OK, Body: body}
	case errors.Is(err, errNoKey):
		return wire.Frame{Kind: wire.Missing}
	case errors.Is(err, errUndecryptable):
		return wire.Frame{Kind: wire.Senseless}
	case errors.Is(err, errRequest):
		return refused(err)
	case errors.Is(err, errBeyondRepair):
		defer s.fail(err)
	}
	return failed(err)
}

func refused(err error) wire.Frame { return wire.Frame{Kind: wire.Refused, Body: []byte(err.Error())} }
func failed(err error) wire.Frame  { return wire.Frame{Kind: wire.Failed, Body: []byte(err.Error())} }

func answerJSON(v any) wire.Frame {
	body, err := json.Marshal(v)
	if err != nil {
		return failed(err)
	}
	return wire.Frame{Kind: wire.OK, Body: body}
}

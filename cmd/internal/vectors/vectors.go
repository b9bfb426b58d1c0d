// Package vectors judges test vectors: one JSON object a line in, one a line out. A case is judged from what it holds: no
// network, no clock, no trusted lists, and no cache that another case could have filled.
package vectors

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// MaxLine is the largest case in bytes: room for a 64 MB CRL in base64.
const MaxLine = 96 << 20

// judges holds the judge of each kind of case.
var judges = map[string]func(line []byte) (any, error){
	"chain":       judgeChain,
	"ocsp":        judgeOCSP,
	"crl":         judgeCRL,
	"signed_data": judgeSignedData,
	"xmldsig":     judgeXMLDSig,
}

// A failure answers a case that could not be judged.
type failure struct {
	ID    any    `json:"id"`
	Error string `json:"error"`
}

// Command returns `vectors`, which reads cases from standard input and writes results to standard output.
func Command() *cobra.Command {
	return &cobra.Command{
		Use:   "vectors",
		Short: "judge test vectors: one JSON object a line in, one a line out",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return Run(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// Run judges every line of in, on all processors, and writes one line per case to out, in any order. A case that cannot be
// judged is answered with an error and the next one is read. Run ends at the end of in, or with an error of the streams.
func Run(ctx context.Context, in io.Reader, out io.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	lines := make(chan []byte)
	results := &lineWriter{out: bufio.NewWriter(out)}
	group.Go(func() error {
		defer close(lines)
		return readLines(ctx, in, lines)
	})
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for line := range lines {
				if err := results.write(answer(line)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// readLines sends every line that is not blank; an overlong one is sent cut, so that it is answered with an error.
func readLines(ctx context.Context, in io.Reader, lines chan<- []byte) error {
	reader := bufio.NewReaderSize(in, 1<<20)
	for {
		line, err := readLine(reader)
		if len(bytes.TrimSpace(line)) > 0 {
			select {
			case lines <- line:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read cases: %w", err)
		}
	}
}

// readLine returns the next line, at most MaxLine+1 bytes of it; what is longer is skipped.
func readLine(reader *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := reader.ReadSlice('\n')
		line = append(line, part[:min(len(part), MaxLine+1-len(line))]...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// answer answers one line.
func answer(line []byte) any { return judgeWith(judges, line) }

// judgeWith answers one line; a panic is that case's error.
func judgeWith(judges map[string]func([]byte) (any, error), line []byte) (result any) {
	var head struct {
		ID   any    `json:"id"`
		Kind string `json:"kind"`
	}
	defer func() {
		if p := recover(); p != nil {
			result = failure{head.ID, fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if len(line) > MaxLine {
		return failure{nil, fmt.Sprintf("case of more than %d bytes", MaxLine)}
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return failure{head.ID, "case: " + err.Error()}
	}
	judgeKind, ok := judges[head.Kind]
	if !ok {
		return failure{head.ID, fmt.Sprintf("unknown kind %q", head.Kind)}
	}
	answer, err := judgeKind(line)
	if err != nil {
		return failure{head.ID, err.Error()}
	}
	return answer
}

// A lineWriter writes one JSON object a line and flushes each, so that a reader may wait for it.
type lineWriter struct {
	mu  sync.Mutex
	out *bufio.Writer // guarded by mu
}

func (w *lineWriter) write(result any) error {
	line, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out.Write(line)
	w.out.WriteByte('\n')
	if err := w.out.Flush(); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

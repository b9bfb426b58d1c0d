package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"golang.org/x/sync/errgroup"

	"trustcore/internal/problem"
	"trustcore/verify/client"
)

// Limits of a batch of questions about certificates.
const (
	maxBatch     = 1000 // lines
	batchAtOnce  = 8    // judged at the same time: most of it is waiting for evidence
	maxBatchLine = 1 << 20
)

// judgeBatch answers a batch: each line of the body is a question, and each line of the answer, in the same order, an
// answer or a problem. What the request has no time left for is a problem too.
func (s *Server) judgeBatch(ctx context.Context, c *call) (any, error) {
	questions, err := readLines(c.body.reader())
	if err != nil {
		return nil, err
	}
	answers := make([][]byte, len(questions))
	var group errgroup.Group
	group.SetLimit(batchAtOnce)
	for i, question := range questions {
		group.Go(func() (err error) {
			answers[i], err = s.answerLine(ctx, c, i+1, question)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &reply{media: ndjson, data: bytes.Join(answers, []byte("\n"))}, nil
}

// readLines reads the lines of a batch; empty ones count for nothing.
func readLines(body io.Reader) (lines [][]byte, err error) {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, maxBatchLine)
	for scanner.Scan() {
		line := bytes.TrimSpace(scanner.Bytes())
		if len(line) == 0 {
			continue
		}
		if len(lines) == maxBatch {
			return nil, refuse(http.StatusRequestEntityTooLarge, "", "a batch has at most %d lines", maxBatch)
		}
		lines = append(lines, bytes.Clone(line))
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return nil, refuse(http.StatusRequestEntityTooLarge, "", "a line of a batch has at most %d bytes", maxBatchLine)
	}
	if len(lines) == 0 && scanner.Err() == nil {
		return nil, refuse(http.StatusBadRequest, "certificate",
			"the batch is empty: each of its lines is a question in JSON")
	}
	return lines, scanner.Err()
}

// answerLine answers one line. An error is a fault of ours, or that the client has left; it ends the batch.
func (s *Server) answerLine(ctx context.Context, c *call, number int, question []byte) ([]byte, error) {
	line := client.CertificateLine{Line: number}
	var in client.CertificateQuestion
	err := decode(&body{size: int64(len(question)), memory: question}, &in)
	if err == nil && ctx.Err() != nil {
		err = unjudged(ctx, "", ctx.Err())
	}
	if err == nil {
		line.Answer, err = s.answerCertificate(ctx, &in, []byte(in.Certificate))
	}
	if err != nil && !errors.As(err, &line.Problem) {
		return nil, err
	}
	if line.Problem != nil {
		line.Problem = s.told(c, line.Problem)
	}
	return json.Marshal(line)
}

// told is a problem in the caller's language, where it does not travel as an answer of its own.
func (s *Server) told(c *call, p *problem.Problem) *problem.Problem {
	return s.door.Told(&http.Request{Header: http.Header{"Accept-Language": {c.language}}}, p)
}

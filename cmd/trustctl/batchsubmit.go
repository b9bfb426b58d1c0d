package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/cmd/internal/batch"
)

// Documents are sent in groups.
const (
	groupDocuments = 500
	groupBytes     = 64 << 20
	askEvery       = time.Second
	fullWait       = time.Minute // at most, before a full spool is tried again
)

// submission is what is sent.
type submission struct {
	batches *batches
	wish    batch.Wish
	name    string
	root    string // the documents lie below this folder of batchd
	resume  string // the batch that an earlier call began
	watch   bool
	folder  string   // before the names of files that are sent
	names   []string // of the documents
}

func batchSubmit(f *batchFlags) *cobra.Command {
	var s submission
	c := f.command("submit FOLDER|LIST|-", "Send all files of a folder, or those that a list names, as one batch",
		cobra.ExactArgs(1),
		func(ctx context.Context, b *batches, args []string) (any, error) {
			s.batches = b
			return s.run(ctx, args[0])
		})
	flags := c.Flags()
	flags.BoolVar(&s.watch, "watch", false, "wait for the end; on a terminal tell how far it is")
	flags.StringVar(&s.name, "name", "", "`name` of the batch, for people")
	flags.StringVar(&s.root, "root", "",
		"`folder` of batchd's configuration: the list names files below it, which are judged where they lie")
	flags.StringVar(&s.resume, "resume", "", "`batch` that was begun with the same documents and not sent whole")
	flags.StringVar(&s.wish.Policy, "policy", "", "`name` of the policy (default: verifyd's)")
	flags.StringVar(&s.wish.Service, "service", "", "`card` of the service that the documents are for")
	flags.StringVar(&s.wish.At, "time", "",
		"`time` of validation, such as 2026-03-03T12:00:00Z (default: when each is judged)")
	flags.StringVar(&s.wish.Language, "language", "", "en or pl (default en)")
	return c
}

func (s *submission) run(ctx context.Context, what string) (*batchInfo, error) {
	if err := s.list(what); err != nil {
		return nil, err
	}
	return s.submit(ctx)
}

func (s *submission) submit(ctx context.Context) (*batchInfo, error) {
	i, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.send(ctx, i); err != nil {
		return nil, fmt.Errorf("%w\nthe batch is %s: go on with --resume %[2]s", err, i.ID)
	}
	if err := s.batches.call(ctx, http.MethodPost, batchPath(i.ID)+"/close", nil, i); err != nil {
		return nil, err
	}
	if !s.watch {
		return i, nil
	}
	if i, err = s.await(ctx, i); err == nil && i.Refused > 0 {
		err = notDone
	}
	return i, err
}

// list finds the documents, in an order that is the same each time.
func (s *submission) list(what string) error {
	if info, err := os.Stat(what); what != "-" && (err != nil || info.IsDir()) {
		if err == nil && s.root != "" {
			err = errors.New("--root goes with a list of the paths below it")
		}
		if err != nil {
			return err
		}
		s.folder = what
		return filepath.WalkDir(what, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			name, err := filepath.Rel(what, path)
			s.names = append(s.names, filepath.ToSlash(name))
			return err
		})
	}
	from := io.Reader(os.Stdin)
	if what != "-" {
		file, err := os.Open(what)
		if err != nil {
			return err
		}
		defer file.Close()
		from = file
	}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if name := strings.TrimSpace(lines.Text()); name != "" {
			s.names = append(s.names, name)
		}
	}
	return lines.Err()
}

func (s *submission) begin(ctx context.Context) (*batchInfo, error) {
	switch {
	case len(s.names) == 0:
		return nil, errors.New("there is no document")
	case len(s.names) > batch.MaxDocuments:
		return nil, fmt.Errorf("%d documents: a batch has at most %d", len(s.names), batch.MaxDocuments)
	case s.resume != "":
		return s.batches.info(ctx, s.resume)
	}
	var i batchInfo
	return &i, s.batches.call(ctx, http.MethodPost, "/v1/batches", struct {
		Name string `json:"name,omitempty"`
		batch.Wish
	}{s.name, s.wish}, &i)
}

// send sends the documents that the batch does not have, group by group.
func (s *submission) send(ctx context.Context, i *batchInfo) error {
	show := s.terminal()
	for i.Documents < int64(len(s.names)) {
		body, media, err := s.group(s.names[i.Documents:])
		if err != nil {
			return err
		}
		if err := s.upload(ctx, i, media, body); err != nil {
			return err
		}
		show("%d of %d documents sent", i.Documents, len(s.names))
	}
	return nil
}

// upload sends one group, again when the spool has room.
func (s *submission) upload(ctx context.Context, i *batchInfo, media string, body []byte) error {
	path := batchPath(i.ID) + "/documents?first=" + strconv.FormatInt(i.Documents, 10)
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.batches.url+path, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", media)
		response, err := s.batches.client.Do(request)
		if err != nil {
			return fmt.Errorf("batchd does not answer: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return fmt.Errorf("batchd's answer: %w", err)
		}
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		switch wait := time.Duration(seconds) * time.Second; {
		case response.StatusCode == http.StatusOK:
			return json.Unmarshal(text, &i.Info)
		case response.StatusCode != http.StatusTooManyRequests || err != nil || wait > fullWait:
			return problemIn("batchd", response, text)
		default:
			if err := sleep(ctx, wait); err != nil {
				return err
			}
		}
	}
}

func sleep(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// group makes the body of the first of the documents.
func (s *submission) group(names []string) (body []byte, media string, err error) {
	names = names[:min(len(names), groupDocuments)]
	var text bytes.Buffer
	if s.root != "" {
		e := json.NewEncoder(&text)
		for _, name := range names {
			if err := e.Encode(batch.Source{Root: s.root, Path: name}); err != nil {
				return nil, "", err
			}
		}
		return text.Bytes(), "application/x-ndjson", nil
	}
	form := multipart.NewWriter(&text)
	for n, name := range names {
		if n > 0 && text.Len() > groupBytes {
			break
		}
		if err := s.add(form, name); err != nil {
			return nil, "", err
		}
	}
	err = form.Close()
	return text.Bytes(), form.FormDataContentType(), err
}

func (s *submission) add(form *multipart.Writer, name string) error {
	path := filepath.FromSlash(name)
	if s.folder != "" {
		path = filepath.Join(s.folder, path)
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	part, err := form.CreateFormFile("document", name)
	if err == nil {
		_, err = io.Copy(part, file)
	}
	return err
}

// terminal returns what tells of progress, which tells nothing where nobody looks.
func (s *submission) terminal() func(format string, args ...any) {
	if os.Getenv("TERM") == "dumb" || !isTerminal(os.Stderr) {
		return func(string, ...any) {}
	}
	return func(format string, args ...any) { fmt.Fprintf(os.Stderr, "\r"+format+"\x1b[K", args...) }
}

// await waits for the end of a batch.
func (s *submission) await(ctx context.Context, i *batchInfo) (*batchInfo, error) {
	show := s.terminal()
	for i.Finished == nil {
		show("%s", i.progress())
		if err := sleep(ctx, askEvery); err != nil {
			return nil, fmt.Errorf("%w; the batch goes on: trustctl batch status %s", err, i.ID)
		}
		next, err := s.batches.info(ctx, i.ID)
		if err != nil {
			return nil, err
		}
		i = next
	}
	show("")
	return i, nil
}

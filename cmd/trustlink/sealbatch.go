package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"trustcore/cmd/internal/docket"
	"trustcore/cmd/internal/papers"
	"trustcore/cmd/trustlink/internal/hotfolder"
	"trustcore/hsm/receipt"
	"trustcore/hsm/seal"
	"trustcore/internal/durable"
)

// Limits of a run.
const (
	maxParallel  = 64
	maxListLine  = 64 << 10 // bytes of a name in --list
	maxDocuments = 1 << 20
)

// sealBatch is one run of the command.
type sealBatch struct {
	sealOptions
	outFile, outDir, list          string
	recursive, force, resume, json bool
	parallel                       int
	said                           saidFacts

	kind   receipt.Kind // "" to seal the documents themselves
	common factsFile
	sealer *sealer

	out, progress io.Writer
	mu            sync.Mutex
	done          map[string]int // guarded by mu; how many lines of each status were told
	told          time.Time      // guarded by mu; when progress was told last
}

// saidFacts are the facts of a receipt that flags say.
type saidFacts struct {
	id, document, received, number                             string
	issuer, issuerID, addressee, addresseeID, sender, senderID string
}

func (s *saidFacts) flags(f *pflag.FlagSet) {
	for _, flag := range []struct {
		to         *string
		name, says string
	}{
		{&s.id, "receipt-id", "`identifier` of the receipt (default a random one)"},
		{&s.document, "document-id", "`number` of the document in the receipt (default its file's name)"},
		{&s.received, "received", "`time` at which the document was received, RFC 3339 (default now)"},
		{&s.number, "case", "`number` of the case, of an UPO and UPD"},
		{&s.issuer, "issuer", "`name` of who issues the receipt, of an UPO and UPD"},
		{&s.issuerID, "issuer-id", "TYPE:`ID` of the issuer, such as REGON:000000000"},
		{&s.addressee, "addressee", "`name` of the addressee of the document"},
		{&s.addresseeID, "addressee-id", "TYPE:`ID` of the addressee"},
		{&s.sender, "sender", "`name` of the sender of the document"},
		{&s.senderID, "sender-id", "TYPE:`ID` of the sender"},
	} {
		f.StringVar(flag.to, flag.name, "", flag.says)
	}
}

// ofOne tells of facts that are one receipt's alone.
func (s saidFacts) ofOne() bool { return s.id != "" || s.document != "" }

// over puts what was said in the place of what a file says.
func (s saidFacts) over(f factsFile) factsFile {
	put := func(to *string, text string) {
		if text != "" {
			*to = text
		}
	}
	party := func(to *partyFacts, name, id string) {
		put(&to.Name, name)
		if id != "" {
			to.IDType, to.ID, _ = strings.Cut(id, ":")
		}
	}
	put(&f.ID, s.id)
	put(&f.Document.ID, s.document)
	put(&f.Received, s.received)
	put(&f.Case, s.number)
	party(&f.Issuer, s.issuer, s.issuerID)
	party(&f.Addressee, s.addressee, s.addresseeID)
	party(&f.Sender, s.sender, s.senderID)
	return f
}

// documents lists what is to be sealed, each file once.
func (b *sealBatch) documents(args []string, stdin io.Reader) ([]string, error) {
	listed, err := b.readList(stdin)
	if err != nil {
		return nil, fmt.Errorf("--list: %w", err)
	}
	var list []string
	seen := map[string]bool{}
	add := func(file string) {
		if clean := filepath.Clean(file); !seen[clean] {
			seen[clean] = true
			list = append(list, file)
		}
	}
	for _, arg := range papers.Expand(args) {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			add(arg) // what is not there is told of when it is its turn
			continue
		}
		within, _ := papers.Find([]string{arg})
		for _, p := range within {
			if p.Unread != nil {
				return nil, p.Unread
			}
			if (b.recursive || filepath.Dir(p.File) == filepath.Clean(arg)) && !ofOurs(p.File) {
				add(p.File)
			}
		}
	}
	for _, file := range listed {
		add(file)
	}
	if len(list) > maxDocuments {
		return nil, fmt.Errorf("%d documents: at most %d are sealed in one run", len(list), maxDocuments)
	}
	return list, nil
}

func (b *sealBatch) readList(stdin io.Reader) (files []string, err error) {
	if b.list == "" {
		return nil, nil
	}
	in := stdin
	if b.list != "-" {
		f, err := os.Open(b.list)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxListLine)
	for lines.Scan() {
		if line := strings.TrimSuffix(lines.Text(), "\r"); line != "" {
			files = append(files, line)
		}
		if len(files) > maxDocuments {
			return nil, fmt.Errorf("more than %d names", maxDocuments)
		}
	}
	return files, lines.Err()
}

// beside are the ends of what this command and its users put beside a document.
var beside = []string{".p7s", ".asics", ".upo.xml", ".upp.xml", ".upd.xml", ".facts.yaml", ".facts.json"}

// ofOurs tells whether a file in a folder is what this command has made of another one beside it, or facts about that.
func ofOurs(file string) bool {
	originals := []string{}
	for _, end := range beside {
		if name, is := strings.CutSuffix(file, end); is {
			originals = append(originals, name)
		}
	}
	extension := filepath.Ext(file)
	if stem, is := strings.CutSuffix(strings.TrimSuffix(file, extension), sealedEnd); is {
		originals = append(originals, stem+extension)
	}
	return slices.ContainsFunc(originals, func(name string) bool {
		info, err := os.Lstat(name)
		return err == nil && info.Mode().IsRegular()
	})
}

const sealedEnd = "-sealed"

// place is where the result of a document goes. Suffix is what the seal adds to the name.
func (b *sealBatch) place(file, suffix string) string {
	dir, name := filepath.Split(file)
	switch {
	case b.outFile != "":
		return b.outFile
	case b.outDir != "":
		dir = b.outDir
	}
	if suffix != "" {
		return filepath.Join(dir, hotfolder.Fit(name, suffix))
	}
	extension := filepath.Ext(name)
	return filepath.Join(dir, hotfolder.Fit(strings.TrimSuffix(name, extension), sealedEnd+extension))
}

// The statuses of a document.
const (
	isSealed  = "sealed"
	isThere   = "there already" // with --resume
	isRefused = "refused"       // for a reason of its own
	isNotDone = "not done"      // it may be another time
)

// sealLine is one line of the answer.
type sealLine struct {
	File   string  `json:"file"`
	Status string  `json:"status"`
	Out    string  `json:"out,omitempty"`
	Note   string  `json:"note,omitempty"` // what the seal lacks
	Error  *string `json:"error"`
}

// sealAll seals the documents and returns the exit status of the worst.
func (b *sealBatch) sealAll(ctx context.Context, documents []string) error {
	b.done = map[string]int{}
	var group errgroup.Group
	group.SetLimit(b.parallel)
	for _, file := range documents {
		group.Go(func() error { return b.tell(b.one(ctx, file), len(documents)) })
	}
	err := group.Wait()
	switch {
	case err != nil:
		return err
	case b.done[isNotDone] > 0:
		return exitCode(docket.NotDone)
	case b.done[isRefused] > 0:
		return exitCode(notWell)
	}
	return nil
}

// one seals one document; whatever goes wrong is its own line's error.
func (b *sealBatch) one(ctx context.Context, file string) sealLine {
	line := sealLine{File: file, Status: isSealed}
	var err error
	if line.Out, line.Note, err = b.seal(ctx, file); err == nil {
		return line
	}
	text := err.Error()
	line.Status, line.Error = isNotDone, &text
	var refusal *hotfolder.Refusal
	switch {
	case errors.Is(err, errThere) && b.resume:
		line.Status, line.Error = isThere, nil
	case errors.Is(err, errThere), errors.As(err, &refusal):
		line.Status = isRefused
	}
	return line
}

// errThere tells that the result would be written over another file.
var errThere = errors.New("it is there already (--force writes over it, --resume takes it for done)")

func (b *sealBatch) seal(ctx context.Context, file string) (out, note string, err error) {
	if err := ctx.Err(); err != nil {
		return "", "", err
	}
	content, mode, err := b.read(file)
	if err != nil {
		return "", "", err
	}
	out = b.place(file, b.suffixOf(content))
	if _, err := os.Lstat(out); err == nil && !b.force { // before the key is used
		return out, "", fmt.Errorf("%s: %w", out, errThere)
	}
	sealed, err := b.sealed(ctx, file, content)
	if err != nil {
		return out, "", err
	}
	write := durable.WriteNew
	if b.force {
		write = durable.WriteFile
	}
	if err := write(out, sealed.Content, mode); errors.Is(err, fs.ErrExist) {
		return out, "", fmt.Errorf("%s: %w", out, errThere)
	} else if err != nil {
		return out, "", err
	}
	return out, sealed.Note, nil
}

// suffixOf is what the seal of a document adds to its name.
func (b *sealBatch) suffixOf(content []byte) string {
	if b.kind != "" {
		return "." + string(b.kind) + ".xml"
	}
	return b.sealer.suffixOf(content)
}

func (b *sealBatch) sealed(ctx context.Context, file string, content []byte) (hotfolder.Sealed, error) {
	if b.kind == "" {
		return b.sealer.document(ctx, filepath.Base(file), content)
	}
	facts, err := b.factsOf(file, content)
	if err != nil {
		return hotfolder.Sealed{}, wrongFacts(err)
	}
	return b.sealer.receipt(ctx, facts)
}

// factsOf are the facts of the receipt of a document: those of all, those beside it, those of flags.
func (b *sealBatch) factsOf(file string, content []byte) (receipt.Facts, error) {
	facts := b.common
	for _, end := range []string{".facts.yaml", ".facts.json"} {
		text, err := durable.ReadFile(file+end, maxFacts)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			facts, err = parseFacts(text, facts)
		}
		if err != nil {
			return receipt.Facts{}, fmt.Errorf("%s: %w", file+end, err)
		}
	}
	facts, err := b.said.over(facts).about(filepath.Base(file), content)
	if err != nil {
		return receipt.Facts{}, err
	}
	return facts.of(b.kind, time.Now())
}

// read reads a document, and the mode that its result gets: what others may not read they may not read sealed.
func (b *sealBatch) read(file string) ([]byte, fs.FileMode, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &hotfolder.Refusal{PL: "To nie jest plik.", EN: "This is no file."}
	}
	if info.Size() > seal.MaxDocument {
		return nil, 0, &hotfolder.Refusal{PL: "Plik jest za duży.", EN: fmt.Sprintf("The file is too large: at most %d bytes are sealed.", seal.MaxDocument)}
	}
	content, err := durable.ReadFile(file, seal.MaxDocument)
	if err == nil && len(content) == 0 {
		err = &hotfolder.Refusal{PL: "Plik jest pusty.", EN: "The file is empty."}
	}
	return content, info.Mode().Perm()&0o666 | 0o600, err
}

// tell writes the line of a document, and on a terminal how far the run is.
func (b *sealBatch) tell(line sealLine, total int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done[line.Status]++
	watched := total > 1 && isTerminal(b.progress)
	if watched {
		fmt.Fprint(b.progress, "\r\x1b[K")
	}
	var err error
	switch {
	case b.json:
		err = json.NewEncoder(b.out).Encode(line)
	case line.Error != nil:
		_, err = fmt.Fprintf(b.out, "%q: %s: %s\n", line.File, line.Status, *line.Error)
	default:
		_, err = fmt.Fprintln(b.out, line.Out)
		if line.Note != "" {
			fmt.Fprintf(b.progress, "%q: %s\n", line.File, line.Note)
		}
	}
	if n := b.done[isSealed] + b.done[isThere] + b.done[isRefused] + b.done[isNotDone]; watched && (n == total || time.Since(b.told) > progressEvery) {
		b.told = time.Now()
		end := ""
		if n == total {
			end = "\n"
		}
		fmt.Fprintf(b.progress, "%d of %d: %d sealed, %d there already, %d refused, %d not done%s",
			n, total, b.done[isSealed], b.done[isThere], b.done[isRefused], b.done[isNotDone], end)
	}
	return err
}

const progressEvery = 200 * time.Millisecond

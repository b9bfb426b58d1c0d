package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	system "runtime"
	"time"

	"github.com/spf13/cobra"
)

func sealCommand(dir *string) *cobra.Command {
	var b sealBatch
	c := &cobra.Command{
		Use:   "seal FILE|FOLDER...",
		Short: "Seal documents with a key in the data centre's HSM",
		Long: `Seals documents at the office: only digests go through the tunnel, the key never leaves the HSM. How is told by the
content of each: a PDF gets a PAdES seal, an XML document an enveloped XAdES seal, JSON becomes the payload of a JAdES
seal, and beside any other file a CAdES seal is put (NAME.p7s), or with --other asics both in a container. All are
time-stamped by the data centre unless --no-timestamp is given; --level B-LT and B-LTA keep the evidence as well.

  trustlink seal --key seal receipt.xml
  trustlink seal --out signed.pdf contract.pdf
  trustlink seal --recursive --out-dir sealed/ outgoing/
  trustlink seal --list letters.txt --json

The sealed document is written beside the original as NAME-sealed.pdf, .xml or .json. Of a folder its files are sealed,
with --recursive those in its folders too; hidden files, links and what this command has made are passed over. --list
reads names from a file, - from standard input, a line each. No file is written over, unless --force asks for that;
--resume takes what is there for done, after an interruption. A document that can't be sealed does not end the run.

With --receipt an official receipt of each document is made and sealed (NAME.upp.xml) instead of the document: upo, upp
or upd. What it says comes from --facts, from NAME.facts.yaml or NAME.facts.json beside the document, and from flags, the
later over the earlier; the digest is computed, and what is not said otherwise is received now.

  trustlink seal --receipt upp --facts office.yaml --sender "Jan Testowy" application.xml

Exit status: 0 all documents are sealed; 3 one can't be, for a reason of its own, or its result is there already; 1 the
command could not be carried out, or not for one of them, such as without the data centre: run it again with --resume.`,
		RunE: func(c *cobra.Command, args []string) error {
			b.out, b.progress = c.OutOrStdout(), c.ErrOrStderr()
			return b.run(c.Context(), state{*dir}, args, c.InOrStdin())
		},
	}
	f := c.Flags()
	b.sealOptions.flags(f, asSignature)
	f.StringVar(&b.outFile, "out", "", "`file` to write, for one document")
	f.StringVar(&b.outDir, "out-dir", "", "`folder` to write into, which is there already")
	f.StringVar(&b.list, "list", "", "`file` with the names of documents, a line each; - for standard input")
	f.BoolVar(&b.recursive, "recursive", false, "seal also what is in the folders of a folder")
	f.BoolVar(&b.force, "force", false, "write over what is there")
	f.BoolVar(&b.resume, "resume", false, "take documents whose results are there for done")
	f.BoolVar(&b.json, "json", false, "one JSON object a document, in the order in which they are done")
	f.IntVar(&b.parallel, "parallel", min(4, 2*system.NumCPU()), "`documents` that are sealed at once")
	b.said.flags(f)
	return c
}

// run opens the key, and seals what the arguments name.
func (b *sealBatch) run(ctx context.Context, s state, args []string, stdin io.Reader) error {
	if err := b.check(); err != nil {
		return err
	}
	documents, err := b.documents(args, stdin)
	if err != nil {
		return err
	}
	switch {
	case len(documents) == 0:
		return errors.New("seal: there is no document in what is named")
	case b.outFile != "" && len(documents) > 1:
		return errors.New("--out: it is for one document; without it each is written beside its original, or into --out-dir")
	case b.said.ofOne() && len(documents) > 1:
		return errors.New("--receipt-id and --document-id are for one document: each receipt has its own")
	}
	l, err := openLink(s)
	if err != nil {
		return err
	}
	if b.sealer, err = openSealer(ctx, l, b.sealOptions); err != nil {
		return err
	}
	return b.sealAll(ctx, documents)
}

// check tells whether the flags are right, and reads what they name.
func (b *sealBatch) check() (err error) {
	if err := b.sealOptions.check(); err != nil {
		return err
	}
	switch {
	case b.outFile != "" && b.outDir != "":
		return errors.New("give --out or --out-dir, not both")
	case b.force && b.resume:
		return errors.New("give --force or --resume, not both: the one writes over what is there, the other leaves it")
	case b.parallel < 1 || b.parallel > maxParallel:
		return fmt.Errorf("--parallel: write 1 to %d", maxParallel)
	case b.receipt == "" && b.said != (saidFacts{}):
		return errors.New("flags about a receipt go with --receipt upo, upp or upd")
	case b.receipt == "":
		return nil
	}
	if b.kind, err = receiptKind(b.receipt); err != nil {
		return err
	}
	if b.common, err = readFacts(b.facts); err != nil {
		return err
	}
	_, err = b.said.over(b.common).of(b.kind, time.Now())
	return err
}

// isTerminal tells whether somebody watches.
func isTerminal(w any) bool {
	f, is := w.(*os.File)
	if !is || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

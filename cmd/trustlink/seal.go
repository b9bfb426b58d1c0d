package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/hsm/seal"
	"trustcore/internal/durable"
)

func sealCommand(dir *string) *cobra.Command {
	var o sealing
	c := &cobra.Command{
		Use:   "seal FILE...",
		Short: "Seal PDF and XML documents with a key in the data centre's HSM",
		Long: `Seals documents at the office: only digests go through the tunnel, the key never leaves the HSM. A PDF gets a
PAdES seal, an XML document an enveloped XAdES seal; both are time-stamped by the data centre unless
--no-timestamp is given. The sealed document is written beside the original as NAME-sealed.pdf or .xml.

  trustlink seal --key seal receipt.xml
  trustlink seal --out signed.pdf contract.pdf`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, files []string) error {
			l, err := openLink(state{*dir})
			if err != nil {
				return err
			}
			o.link = l
			return o.run(c.Context(), files)
		},
	}
	f := c.Flags()
	f.StringVar(&o.key, "key", "", "`name` or id of the key (may be left out when there is one)")
	f.StringVar(&o.out, "out", "", "`file` to write, for one document")
	f.StringVar(&o.reason, "reason", "", "why the document is sealed; stands in a PDF's signature")
	f.BoolVar(&o.plain, "no-timestamp", false, "seal without a time-stamp (level B-B)")
	return c
}

// sealing is one run of the command.
type sealing struct {
	link             *link
	key, out, reason string
	plain            bool
}

func (o *sealing) run(ctx context.Context, files []string) error {
	if o.out != "" && len(files) > 1 {
		return errors.New("--out: it is for one document; without it each is written beside its original")
	}
	key, err := o.link.key(ctx, o.key)
	if err != nil {
		return err
	}
	chain, err := parseChain(key.Info().Chain)
	if err != nil {
		return err
	}
	signer := seal.Signer{Key: key, Certificate: chain[0], Chain: chain[1:max(1, len(chain)-1)]}
	var tsa seal.TSA
	if !o.plain {
		address, err := o.link.address("pki")
		if err != nil {
			return err
		}
		if tsa, err = seal.NewTSA("http://"+address+"/pki/tsa", &http.Client{Timeout: callTimeout}); err != nil {
			return err
		}
	}
	for _, file := range files {
		if err := o.one(ctx, file, signer, tsa); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (o *sealing) one(ctx context.Context, file string, signer seal.Signer, tsa seal.TSA) error {
	document, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var sealed []byte
	now := time.Now()
	if bytes.Contains(document[:min(len(document), 1024)], []byte("%PDF-")) {
		sealed, err = seal.PAdES(ctx, document, signer, seal.PDFOptions{Time: now, Reason: o.reason, TSA: tsa})
	} else {
		sealed, err = seal.XAdES(ctx, document, signer, seal.XMLOptions{Time: now, TSA: tsa})
	}
	if err != nil {
		return err
	}
	out := o.out
	if out == "" {
		ext := filepath.Ext(file)
		out = strings.TrimSuffix(file, ext) + "-sealed" + ext
	}
	if err := durable.WriteFile(out, sealed, 0o644); err != nil {
		return err
	}
	fmt.Println(out)
	return nil
}

package seal

import (
	"bytes"
	"errors"
	"fmt"

	"trustcore/internal/jws"
)

// The kinds of sealed files, by their content.
const (
	kindXML = iota
	kindPDF
	kindZIP
	kindCMS
	kindJSON
)

// kind tells what a sealed file is: by the options where they say, else by its first octets.
func (o Options) kind(sealed []byte) int {
	switch {
	case o.Packaging == ASiCS || o.Packaging == ASiCE:
		return kindZIP
	case o.Format == FormatPAdES:
		return kindPDF
	case o.Format == FormatCAdES:
		return kindCMS
	case o.Format == FormatJAdES:
		return kindJSON
	case o.Format == FormatXAdES:
		return kindXML
	}
	text := bytes.TrimLeft(sealed[:min(len(sealed), 1024)], "\xef\xbb\xbf \t\r\n")
	switch {
	case bytes.HasPrefix(sealed, []byte("PK\x03\x04")):
		return kindZIP
	case bytes.HasPrefix(text, []byte("{")), jws.LooksCompact(text):
		return kindJSON
	case len(sealed) > 1 && sealed[0] == 0x30 && sealed[1] >= 0x80:
		return kindCMS
	case bytes.HasPrefix(text, []byte("<")), bytes.HasPrefix(sealed, []byte("\xff\xfe")), bytes.HasPrefix(sealed,
		[]byte("\xfe\xff")):
		return kindXML
	case bytes.Contains(sealed[:min(len(sealed), 1024)], []byte("%PDF-")):
		return kindPDF
	}
	return kindXML
}

var errOneDetached = errors.New("the seal is detached: the one document that it is about has to be given")

// one is the content that a detached CMS is about.
func (w *work) one() ([]byte, error) {
	if len(w.documents) != 1 {
		return nil, errOneDetached
	}
	return w.documents[0].Content, nil
}

// named is the document of a name; where there is but one it needs none.
func (w *work) named(name string) ([]byte, error) {
	for _, d := range w.documents {
		if d.Name == name {
			return d.Content, nil
		}
	}
	if len(w.documents) == 1 && w.documents[0].Name == "" {
		return w.documents[0].Content, nil
	}
	return nil, fmt.Errorf("the seal is about the document %q, which is not given", name)
}

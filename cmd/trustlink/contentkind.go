package main

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// contentKind is what a document is, by its content: names are given by anybody.
type contentKind string

const (
	kindPDF   contentKind = "PDF"
	kindXML   contentKind = "XML"
	kindJSON  contentKind = "JSON"
	kindOther contentKind = "other"
)

// pdfWithin is where readers look for a PDF's header (ISO 32000-1, annex H, note 13).
const pdfWithin = 1024

// kindOf looks at the first octets, and for JSON at all of them: there a bracket says little. What is XML by its first
// character is XML whatever it mentions, so that a document can't be made to be taken for a PDF by its text.
func kindOf(content []byte) contentKind {
	start := bytes.TrimLeft(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(start, []byte("<")), bytes.HasPrefix(content, []byte("\xff\xfe<\x00")), bytes.HasPrefix(content, []byte("\xfe\xff\x00<")):
		return kindXML
	case bytes.Contains(content[:min(len(content), pdfWithin)], []byte("%PDF-")):
		return kindPDF
	case bytes.HasPrefix(start, []byte("{")), bytes.HasPrefix(start, []byte("[")):
		if utf8.Valid(content) && json.Valid(start) {
			return kindJSON
		}
	}
	return kindOther
}

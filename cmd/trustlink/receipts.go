package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"trustcore/cmd/trustlink/internal/hotfolder"
	"trustcore/hsm/receipt"
	"trustcore/internal/durable"
)

// maxFacts bounds a file of facts, in bytes: a form of a page.
const maxFacts = 64 << 10

// factsFile is what a file of facts may hold, in YAML or JSON.
type factsFile struct {
	ID        string        `yaml:"id"`
	Issuer    partyFacts    `yaml:"issuer"`
	Addressee partyFacts    `yaml:"addressee"`
	Sender    partyFacts    `yaml:"sender"`
	Received  string        `yaml:"received"` // RFC 3339; "" is now
	Case      string        `yaml:"case"`
	Document  documentFacts `yaml:"document"`
	Notes     []noteFacts   `yaml:"notes"`
}

type partyFacts struct {
	Name   string `yaml:"name"`
	ID     string `yaml:"id"`
	IDType string `yaml:"id_type"`
}

type documentFacts struct {
	ID     string `yaml:"id"`
	SHA256 string `yaml:"sha256"`
}

type noteFacts struct {
	Type string `yaml:"type"`
	Text string `yaml:"text"`
}

// parseFacts reads facts over those that are given already; what the text does not name stays.
func parseFacts(text []byte, over factsFile) (factsFile, error) {
	if len(text) > maxFacts {
		return over, fmt.Errorf("%d bytes of facts, at most %d are read", len(text), maxFacts)
	}
	over.Notes = slices.Clone(over.Notes)
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&over); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return over, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return over, errors.New("it holds more than one set of facts")
	}
	return over, nil
}

func readFacts(file string) (factsFile, error) {
	if file == "" {
		return factsFile{}, nil
	}
	text, err := durable.ReadFile(file, maxFacts)
	if err != nil {
		return factsFile{}, fmt.Errorf("--facts: %w", err)
	}
	facts, err := parseFacts(text, factsFile{})
	if err != nil {
		return facts, fmt.Errorf("--facts: %s: %w", file, err)
	}
	return facts, nil
}

// receiptKind reads --receipt.
func receiptKind(text string) (receipt.Kind, error) {
	if k := receipt.Kind(text); slices.Contains(receipt.Kinds, k) {
		return k, nil
	}
	return "", fmt.Errorf("--receipt: %q is none: write upo, upp or upd", text)
}

// of makes the facts of a receipt that is issued now.
func (f factsFile) of(kind receipt.Kind, now time.Time) (receipt.Facts, error) {
	now = now.Truncate(time.Second) // what XML says of it
	facts := receipt.Facts{Kind: kind, ID: f.ID, Issuer: receipt.Party(f.Issuer), Addressee: receipt.Party(f.Addressee),
		Sender: receipt.Party(f.Sender), Received: now, Issued: now, Case: f.Case, Document: receipt.Document(f.Document)}
	if facts.ID == "" {
		facts.ID = receipt.NewID(kind)
	}
	for _, n := range f.Notes {
		facts.Notes = append(facts.Notes, receipt.Note(n))
	}
	if f.Received != "" {
		var err error
		if facts.Received, err = time.Parse(time.RFC3339, f.Received); err != nil {
			return facts, &receipt.FieldError{Field: "received", Remedy: "write a time such as 2026-03-03T12:00:00+01:00"}
		}
	}
	return facts, nil
}

// about says of which document of the office's disk a receipt is.
func (f factsFile) about(name string, content []byte) (factsFile, error) {
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	if f.Document.SHA256 != "" && f.Document.SHA256 != digest {
		return f, &receipt.FieldError{Field: "document.sha256", Remedy: "it is another document's: leave it out, and it is computed"}
	}
	f.Document.SHA256 = digest
	if f.Document.ID == "" {
		f.Document.ID = name
	}
	return f, nil
}

// wrongFacts is a refusal of a document whose facts can't be read.
func wrongFacts(err error) error {
	return &hotfolder.Refusal{PL: "Danych poświadczenia nie można odczytać.", EN: "The facts of the receipt can't be read.", Err: err}
}

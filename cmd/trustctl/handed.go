package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"trustcore/internal/durable"
	"trustcore/verify"
	"trustcore/verify/poland"
)

// readDigests reads the digests that are handed in beside documents.
func (o *verifyOptions) readDigests() (verify.Digests, error) {
	var d verify.Digests
	for _, text := range o.digests {
		if err := d.Add(text); err != nil {
			return d, fmt.Errorf("--detached-digest: %w", err)
		}
	}
	if o.digestList == "" {
		return d, nil
	}
	f, err := os.Open(o.digestList)
	if err != nil {
		return d, fmt.Errorf("--digest-list: %w", err)
	}
	defer f.Close()
	if err := d.AddSums(f); err != nil {
		return d, fmt.Errorf("--digest-list %s: %w", o.digestList, err)
	}
	return d, nil
}

// pinList is a list of pins with the octets that it was read from.
type pinList struct {
	*poland.Pins
	file []byte
}

// readPins reads the list of pins, or returns the shipped one.
func (o *verifyOptions) readPins() (pinList, error) {
	if o.pins == "" {
		return pinList{poland.Shipped(), poland.ShippedSource()}, nil
	}
	data, err := durable.ReadFile(o.pins, poland.MaxPins)
	if err != nil {
		return pinList{}, fmt.Errorf("--pins: %w", err)
	}
	pins, err := poland.Parse(data)
	if err != nil {
		return pinList{}, fmt.Errorf("--pins %s: %w", o.pins, err)
	}
	return pinList{pins, data}, nil
}

// card is that of --service, nil without it.
func (o *verifyOptions) card() (*poland.Card, error) {
	if o.service == "" && o.cards == "" {
		return nil, nil
	}
	if o.service == "" || o.cards == "" {
		return nil, errors.New("--service and --service-cards: both are needed")
	}
	data, err := durable.ReadFile(o.cards, poland.MaxCards)
	if err != nil {
		return nil, fmt.Errorf("--service-cards: %w", err)
	}
	cards, err := poland.ParseCards(data)
	if err != nil {
		return nil, fmt.Errorf("--service-cards %s: %w", o.cards, err)
	}
	card := cards[o.service]
	if card == nil {
		return nil, fmt.Errorf("--service: %s has no card %q", o.cards, o.service)
	}
	return card, nil
}

// passwords are those of encrypted PDFs, each wiped when it is no longer needed.
type passwords [][]byte

func (p passwords) wipe() {
	for _, password := range p {
		clear(password)
	}
}

// readPasswords reads files that hold one password each. Errors say nothing of what a file holds.
func readPasswords(names []string) (passwords, error) {
	var list passwords
	for _, name := range names {
		password, err := readPassword(name)
		if err != nil {
			return list, err
		}
		list = append(list, password)
	}
	return list, verify.CheckPasswords(list)
}

var errPasswordLines = errors.New("it holds more than one line: a file holds one password")

// readPassword reads a password from a file, or from standard input for "-". The end of its line is no part of it.
func readPassword(name string) ([]byte, error) {
	in := os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	data := make([]byte, verify.MaxPassword+len("\r\n")+1)
	n, err := io.ReadFull(in, data)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	password := bytes.TrimSuffix(bytes.TrimSuffix(data[:n], []byte("\n")), []byte("\r"))
	if bytes.ContainsAny(password, "\r\n") {
		err = errPasswordLines
	} else {
		err = verify.CheckPasswords([][]byte{password})
	}
	if err != nil {
		clear(data)
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return password, nil
}

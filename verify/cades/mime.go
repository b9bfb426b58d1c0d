package cades

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/mail"
	"slices"
	"strings"

	"trustcore/verify/prose"
)

// entity is a MIME entity (RFC 2045, 2.4): a header, an empty line, a body.
type entity struct {
	fields []field
	body   []byte
}

// field is a header field, its name in lower case and its value unfolded.
type field struct {
	name  string
	value []byte
}

// Limits of a header. Messages that went through many hands have some 30 kB and a hundred fields.
const (
	maxHeader = 64 << 10
	maxFields = 1000
)

// beginsAsHeader tells whether text begins with the name of a header field and a colon.
func beginsAsHeader(text []byte) bool {
	name, _, found := bytes.Cut(text[:min(len(text), 100)], []byte(":"))
	return found && isFieldName(name)
}

func isFieldName(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// readEntity takes the header off. Programs differ in what they make of a header with control characters, with
// something that is no field, or without an end: such a one is refused.
func readEntity(data []byte) (*entity, error) {
	e := &entity{}
	rest := data
	for {
		line, more, found := bytes.Cut(rest, []byte("\n"))
		if !found || len(data)-len(more) > maxHeader {
			return nil, fmt.Errorf("no empty line ends the header within %d octets", maxHeader)
		}
		rest, line = more, bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			e.body = rest
			return e, nil
		}
		if err := e.add(line); err != nil {
			return nil, err
		}
	}
}

// add takes one line of the header: a field, or the continuation of one.
func (e *entity) add(line []byte) error {
	if bytes.ContainsAny(line, "\r\x00") {
		return errors.New("a control character stands in the header")
	}
	if line[0] == ' ' || line[0] == '\t' {
		if len(e.fields) == 0 {
			return errors.New("the header begins with a continuation line")
		}
		last := &e.fields[len(e.fields)-1]
		last.value = append(append(last.value, ' '), bytes.TrimSpace(line)...)
		return nil
	}
	name, value, found := bytes.Cut(line, []byte(":"))
	if !found || !isFieldName(name) || len(e.fields) == maxFields {
		return fmt.Errorf("%s in the header is no field", prose.Name(string(line)))
	}
	e.fields = append(e.fields, field{strings.ToLower(string(name)), bytes.Clone(bytes.TrimSpace(value))})
	return nil
}

// sole returns the value of a field that may be there once; "" where it is not there.
func (e *entity) sole(name string) (string, error) {
	switch list := e.all(name); len(list) {
	case 0:
		return "", nil
	case 1:
		return string(list[0].value), nil
	}
	return "", fmt.Errorf("the field %s is there twice", name)
}

// all returns the fields of a name.
func (e *entity) all(name string) []field {
	return slices.DeleteFunc(slices.Clone(e.fields), func(f field) bool { return f.name != name })
}

// addresses tells whether the field holds mail addresses (RFC 5322, 3.4), each of which is a known one.
func (f field) addresses(known []string) bool {
	list, err := mail.ParseAddressList(string(f.value))
	return err == nil && !slices.ContainsFunc(list, func(a *mail.Address) bool {
		return !slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, a.Address) })
	})
}

// mediaType reads Content-Type (RFC 2045, 5.1): type and parameters, in lower case but for their values.
func (e *entity) mediaType() (string, map[string]string, error) {
	value, err := e.sole("content-type")
	if err != nil || value == "" {
		return "text/plain", nil, err
	}
	if strings.ContainsRune(value, '*') { // RFC 2231: some programs join such parameters, others do not know them
		return "", nil, errors.New("Content-Type has parameters in pieces or in another character set")
	}
	typ, parameters, err := mime.ParseMediaType(value)
	if err != nil {
		return "", nil, fmt.Errorf("Content-Type: %w", err)
	}
	return typ, parameters, nil
}

// encoding is the Content-Transfer-Encoding (RFC 2045, 6.1).
func (e *entity) encoding() (string, error) {
	value, err := e.sole("content-transfer-encoding")
	if value == "" {
		value = "7bit"
	}
	return strings.ToLower(value), err
}

// technical are the fields that say how the body is to be read, and nothing to a person.
var technical = []string{
	"mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id", "content-language",
}

// shown are the fields that programs show to a person, as they call them.
var shown = []struct{ name, title string }{
	{"from", "From"}, {"sender", "Sender"}, {"reply-to", "Reply-To"}, {"to", "To"}, {"cc", "Cc"}, {"date", "Date"},
	{"subject", "Subject"},
}

// unsignedFields names the fields that say more than how the body is to be read; "" where there are none.
func (e *entity) unsignedFields() string {
	others := slices.ContainsFunc(e.fields, func(f field) bool { return !slices.Contains(technical, f.name) })
	if !others {
		return ""
	}
	var titles []string
	for _, s := range shown {
		if slices.ContainsFunc(e.fields, func(f field) bool { return f.name == s.name }) {
			titles = append(titles, s.title)
		}
	}
	if titles == nil {
		return "the header fields"
	}
	return "the header fields (" + strings.Join(titles, ", ") + ")"
}

package jades

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"trustcore/verify/algorithm"
	"trustcore/verify/signature"
)

// httpMessage is a message of RFC 9112 as it was sent.
type httpMessage struct {
	target string              // "(request-target)" of draft-cavage-http-signatures-10, 2.3; "" for an answer
	fields map[string][]string // values by names in lower case, in their order
	body   []byte
}

const (
	requestTarget = "(request-target)"
	digestField   = "digest" // RFC 3230: what stands for the body
)

// readHTTPHeaders takes the only file at hand as an HTTP message, of which header fields are signed, and the body by
// its digest (TS 119 182-1, 5.2.8.2).
func (s *signed) readHTTPHeaders(names []string) {
	ref := signature.Reference{Name: "HTTP message", Type: "data", Scope: "the HTTP message, which was not given"}
	if len(s.files) == 1 && s.budget.Octets(len(s.files[0].Content)) == nil {
		if m := readHTTP(s.files[0].Content); m != nil {
			s.readMessage(&ref, m, names)
		}
	}
	s.payload.found = ref.Found
	s.payload.input = append(s.payload.input, ref)
}

func (s *signed) readMessage(ref *signature.Reference, m *httpMessage, names []string) {
	var signed, stamped []piece
	withBody := false
	for i, name := range names {
		line, ok := m.line(strings.ToLower(name))
		if !ok {
			ref.Scope = fmt.Sprintf("the header field %q, which the HTTP message does not have", name)
			return
		}
		if i > 0 {
			line = "\n" + line
		}
		signed = append(signed, piece{octets: []byte(line)})
		if strings.EqualFold(name, digestField) {
			withBody = true
			stamped = append(stamped, piece{octets: []byte(line[:min(i, 1)])}, piece{octets: m.body})
			continue
		}
		stamped = append(stamped, signed[i])
	}
	ref.Name, ref.Found, ref.Empty = s.files[0].Name, true, !withBody && len(m.body) > 0
	ref.Scope = fmt.Sprintf("the header fields %s of the HTTP message", strings.Join(names, ", "))
	if withBody {
		s.checkBody(m)
	}
	s.payload.signed, s.payload.stamped = s.joined(signed), s.joined(stamped)
}

// joined makes one piece of several, so that they are encoded together.
func (s *signed) joined(pieces []piece) []piece {
	var all []byte
	for _, p := range pieces {
		if s.budget.Hold(2*len(p.octets)) != nil {
			return nil
		}
		all = append(all, p.octets...)
	}
	return []piece{{all, !s.jws.Unencoded()}}
}

// checkBody compares the body with its digests (RFC 3230, 4.3.2), of which one that is known has to be there.
func (s *signed) checkBody(m *httpMessage) {
	body := signature.Reference{Name: "HTTP body", Type: "data", Found: true, Full: true, Empty: len(m.body) == 0,
		Scope: "the whole body of the HTTP message", Unchecked: "the header field Digest has no digest that is known"}
	for part := range strings.SplitSeq(strings.Join(m.fields[digestField], ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		h := map[string]algorithm.Hash{"sha-256": algorithm.SHA256, "sha-512": algorithm.SHA512}[strings.ToLower(name)]
		if !h.Valid() || s.budget.Octets(perDigest+len(m.body)) != nil {
			continue
		}
		want, err := base64.StdEncoding.Strict().DecodeString(value)
		matches := err == nil && bytes.Equal(want, h.Sum(m.body))
		body.Intact, body.Unchecked = matches && (body.Intact || body.Unchecked != ""), ""
		s.facts.Algorithms = append(s.facts.Algorithms, signature.AlgorithmUse{Purpose: "reference", Algorithm: h.Name()})
	}
	s.payload.digested = append(s.payload.digested, body)
}

// line is what is signed of a header field (draft-cavage-http-signatures-10, 2.3).
func (m *httpMessage) line(name string) (string, bool) {
	if name == requestTarget {
		return name + ": " + m.target, m.target != ""
	}
	values, ok := m.fields[name]
	return name + ": " + strings.Join(values, ", "), ok
}

// The first line and the fields of a message (RFC 9112, 3 and 4; RFC 9110, 5.5 and 5.6.2). What else stands there is
// read in different ways.
var (
	requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/[0-9](?:\\.[0-9])?$")
	statusLine  = regexp.MustCompile(`^HTTP/[0-9](?:\.[0-9])? [0-9]{3}(?: [^\x00-\x08\x0a-\x1f\x7f]*)?$`)
	fieldLine   = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\\x00-\\x08\\x0a-\\x1f\\x7f]*)$")
)

// readHTTP reads a message, nil where it is none. Folded header fields are obsolete and none (RFC 9112, 5.2).
func readHTTP(data []byte) *httpMessage {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	end := "\r\n"
	if !ok {
		if head, body, ok = bytes.Cut(data, []byte("\n\n")); !ok {
			return nil
		}
		end = "\n"
	}
	lines := strings.Split(string(head), end)
	m := &httpMessage{fields: map[string][]string{}, body: body}
	if first := requestLine.FindStringSubmatch(lines[0]); first != nil {
		m.target = strings.ToLower(first[1]) + " " + first[2]
	} else if !statusLine.MatchString(lines[0]) {
		return nil
	}
	for _, line := range lines[1:] {
		parts := fieldLine.FindStringSubmatch(line)
		if parts == nil {
			return nil
		}
		name := strings.ToLower(parts[1])
		m.fields[name] = append(m.fields[name], strings.Trim(parts[2], " \t"))
	}
	return m
}

package xmldsig

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnsupported tells that a signature uses a feature that is refused on purpose.
var ErrUnsupported = errors.New("not supported")

const maxXPathBytes = 16 << 10 // the longest expression seen in real documents has 300 bytes

type tokenKind uint8

const (
	tokEnd      tokenKind = iota
	tokOperator           // ( ) [ ] . .. @ , :: / // | + - = != < <= > >= * and or mod div
	tokName               // a node test: name, p:name, p:*, *
	tokFunction           // a name before '(' that is no node type
	tokNodeType           // comment text processing-instruction node
	tokAxis               // a name before '::'
	tokLiteral
	tokNumber
	tokVariable
)

type token struct {
	kind tokenKind
	text string
}

// lexXPath splits an expression into tokens (XPath 1.0, 3.7).
func lexXPath(s string) ([]token, error) {
	if len(s) > maxXPathBytes {
		return nil, fmt.Errorf("XPath expression of %d bytes: %w of %d", len(s), ErrTooLarge, maxXPathBytes)
	}
	var tokens []token
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if s == "" {
			return append(tokens, token{kind: tokEnd}), nil
		}
		t, n, err := lexOne(s, tokens)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		s = s[n:]
	}
}

func lexOne(s string, before []token) (token, int, error) {
	for _, op := range [...]string{"::", "//", "..", "!=", "<=", ">="} {
		if strings.HasPrefix(s, op) {
			return token{tokOperator, op}, 2, nil
		}
	}
	switch c := s[0]; {
	case c >= '0' && c <= '9' || c == '.' && len(s) > 1 && s[1] >= '0' && s[1] <= '9':
		n := 0
		for dot := false; n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.' && !dot); n++ {
			dot = dot || s[n] == '.'
		}
		return token{tokNumber, s[:n]}, n, nil
	case c == '"' || c == '\'':
		end := strings.IndexByte(s[1:], c)
		if end < 0 {
			return token{}, 0, errors.New("XPath: a literal does not end")
		}
		return token{tokLiteral, s[1 : 1+end]}, end + 2, nil
	case c == '$':
		return token{}, 0, fmt.Errorf("XPath: variables: %w", ErrUnsupported)
	case c == '*':
		if afterOperand(before) {
			return token{tokOperator, "*"}, 1, nil
		}
		return token{tokName, "*"}, 1, nil
	case strings.IndexByte("()[].@,/|+-=<>", c) >= 0:
		return token{tokOperator, s[:1]}, 1, nil
	case class[c]&className != 0 && c != ':':
		return lexName(s, before)
	}
	return token{}, 0, fmt.Errorf("XPath: unexpected %q", s[0])
}

// afterOperand tells whether '*' or a name at this place is an operator.
func afterOperand(before []token) bool {
	if len(before) == 0 {
		return false
	}
	switch t := before[len(before)-1]; t.kind {
	case tokOperator:
		return t.text == ")" || t.text == "]" || t.text == "." || t.text == ".."
	case tokAxis, tokFunction, tokNodeType:
		return false
	}
	return true
}

func lexName(s string, before []token) (token, int, error) {
	n := ncNameLength(s)
	if n == 0 {
		return token{}, 0, fmt.Errorf("XPath: unexpected %q", s[:1])
	}
	if afterOperand(before) {
		switch s[:n] {
		case "and", "or", "mod", "div":
			return token{tokOperator, s[:n]}, n, nil
		}
		return token{}, 0, fmt.Errorf("XPath: unexpected name %q", s[:n])
	}
	if strings.HasPrefix(s[n:], ":") && !strings.HasPrefix(s[n:], "::") {
		if strings.HasPrefix(s[n+1:], "*") {
			return token{tokName, s[:n+2]}, n + 2, nil
		}
		m := ncNameLength(s[n+1:])
		if m == 0 {
			return token{}, 0, errors.New("XPath: malformed name")
		}
		n += 1 + m
	}
	switch rest := strings.TrimLeft(s[n:], " \t\r\n"); {
	case strings.HasPrefix(rest, "::"):
		return token{tokAxis, s[:n]}, n, nil
	case strings.HasPrefix(rest, "("):
		switch s[:n] {
		case "comment", "text", "processing-instruction", "node":
			return token{tokNodeType, s[:n]}, n, nil
		}
		return token{tokFunction, s[:n]}, n, nil
	}
	return token{tokName, s[:n]}, n, nil
}

func ncNameLength(s string) int {
	n := 0
	for n < len(s) && class[s[n]]&className != 0 && s[n] != ':' {
		n++
	}
	if !isNCName([]byte(s[:n])) {
		return 0
	}
	return n
}

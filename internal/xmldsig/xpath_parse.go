package xmldsig

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const maxXPathDepth = 64 // nested expressions

// expr is a node of the expression tree.
type expr struct {
	op    string // "or" "and" "=" ... "|" "neg" "literal" "number" "call" "path" "filter"
	args  []*expr
	text  string // literal, function name
	value float64
	steps []step
	root  bool // path: begins at the document node
	preds []*expr
}

type step struct {
	axis  string
	kind  string // "name" or a node type
	space string // name test: namespace name
	any   bool   // name test: any namespace ("*")
	local string // name test: local name, or "*"; processing-instruction: target
	preds []*expr
}

// xpathParser is a recursive descent over the grammar of XPath 1.0.
type xpathParser struct {
	tokens  []token
	resolve func(prefix string) (string, bool)
	depth   int
}

// parseXPath reads an expression; resolve gives the namespaces of the prefixes in it.
func parseXPath(s string, resolve func(string) (string, bool)) (*expr, error) {
	tokens, err := lexXPath(s)
	if err != nil {
		return nil, err
	}
	p := &xpathParser{tokens: tokens, resolve: resolve}
	e, err := p.expression()
	if err == nil && p.tokens[0].kind != tokEnd {
		err = fmt.Errorf("XPath: unexpected %q", p.tokens[0].text)
	}
	return e, err
}

func (p *xpathParser) is(op string) bool {
	return p.tokens[0].kind == tokOperator && p.tokens[0].text == op
}

func (p *xpathParser) take(op string) bool {
	if p.is(op) {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *xpathParser) expect(op string) error {
	if !p.take(op) {
		return fmt.Errorf("XPath: %q expected before %q", op, p.tokens[0].text)
	}
	return nil
}

// levels are the binary operators from the weakest to the strongest.
var levels = [][]string{{"or"}, {"and"}, {"=", "!="}, {"<=", "<", ">=", ">"}, {"+", "-"}, {"*", "div", "mod"}}

func (p *xpathParser) expression() (*expr, error) {
	if p.depth++; p.depth > maxXPathDepth {
		return nil, fmt.Errorf("XPath expression nested deeper than %d: %w", maxXPathDepth, ErrTooLarge)
	}
	defer func() { p.depth-- }()
	return p.binary(0)
}

func (p *xpathParser) binary(level int) (*expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := ""
		for _, candidate := range levels[level] {
			if p.take(candidate) {
				op = candidate
				break
			}
		}
		if op == "" {
			return left, nil
		}
		var right *expr
		right, err = p.binary(level + 1)
		left = &expr{op: op, args: []*expr{left, right}}
	}
	return nil, err
}

func (p *xpathParser) unary() (*expr, error) {
	negative, some := false, false
	for p.take("-") {
		negative, some = !negative, true
	}
	e, err := p.union()
	if err != nil || !some {
		return e, err
	}
	e = &expr{op: "neg", args: []*expr{e}}
	if !negative {
		e = &expr{op: "neg", args: []*expr{e}}
	}
	return e, nil
}

func (p *xpathParser) union() (*expr, error) {
	left, err := p.path()
	for err == nil && p.take("|") {
		var right *expr
		right, err = p.path()
		left = &expr{op: "|", args: []*expr{left, right}}
	}
	return left, err
}

// path reads a location path or a filter expression with what follows it.
func (p *xpathParser) path() (*expr, error) {
	t := p.tokens[0]
	primary := t.kind == tokLiteral || t.kind == tokNumber || t.kind == tokFunction || p.is("(")
	if !primary {
		return p.locationPath()
	}
	e, err := p.primary()
	if err != nil {
		return nil, err
	}
	preds, err := p.predicates()
	if err != nil {
		return nil, err
	}
	if len(preds) == 0 && !p.is("/") && !p.is("//") {
		return e, nil
	}
	out := &expr{op: "filter", args: []*expr{e}, preds: preds}
	switch {
	case p.take("//"):
		out.steps = []step{anyDescendant}
	case !p.take("/"):
		return out, nil
	}
	out.steps, err = p.relative(out.steps)
	return out, err
}

var anyDescendant = step{axis: "descendant-or-self", kind: "node"}

func (s *step) isAnyDescendant() bool {
	return s.axis == "descendant-or-self" && s.kind == "node" && len(s.preds) == 0
}

func (p *xpathParser) primary() (*expr, error) {
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	switch t.kind {
	case tokLiteral:
		return &expr{op: "literal", text: t.text}, nil
	case tokNumber:
		v, err := strconv.ParseFloat(t.text, 64)
		return &expr{op: "number", value: v}, err
	case tokFunction:
		return p.call(t.text)
	}
	e, err := p.expression()
	if err != nil {
		return nil, err
	}
	return e, p.expect(")")
}

func (p *xpathParser) call(name string) (*expr, error) {
	arity, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("XPath function %s(): %w", name, ErrUnsupported)
	}
	e := &expr{op: "call", text: name}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.take(")") {
		if len(e.args) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		arg, err := p.expression()
		if err != nil {
			return nil, err
		}
		e.args = append(e.args, arg)
	}
	if len(e.args) < arity[0] || len(e.args) > arity[1] {
		return nil, fmt.Errorf("XPath: %s() with %d arguments", name, len(e.args))
	}
	return e, nil
}

func (p *xpathParser) locationPath() (*expr, error) {
	e := &expr{op: "path"}
	switch {
	case p.take("//"):
		e.root = true
		e.steps = []step{anyDescendant}
	case p.take("/"):
		e.root = true
		if t := p.tokens[0]; t.kind != tokName && t.kind != tokAxis && t.kind != tokNodeType && !p.is(".") && !p.is("..") && !p.is("@") {
			return e, nil
		}
	}
	var err error
	e.steps, err = p.relative(e.steps)
	return e, err
}

// relative reads the steps of a path after those that are known.
func (p *xpathParser) relative(steps []step) ([]step, error) {
	for {
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		if n := len(steps); n > 0 && steps[n-1].isAnyDescendant() && s.axis == "child" && len(s.preds) == 0 {
			s.axis, steps = "descendant", steps[:n-1] // alike, where no position counts
		}
		steps = append(steps, s)
		switch {
		case p.take("//"):
			steps = append(steps, anyDescendant)
		case !p.take("/"):
			return steps, nil
		}
	}
}

var axes = map[string]bool{
	"ancestor": true, "ancestor-or-self": true, "attribute": true, "child": true, "descendant": true,
	"descendant-or-self": true, "following": true, "following-sibling": true, "namespace": true,
	"parent": true, "preceding": true, "preceding-sibling": true, "self": true,
}

func (p *xpathParser) step() (step, error) {
	switch {
	case p.take("."):
		return step{axis: "self", kind: "node"}, nil
	case p.take(".."):
		return step{axis: "parent", kind: "node"}, nil
	}
	s := step{axis: "child"}
	if p.take("@") {
		s.axis = "attribute"
	} else if t := p.tokens[0]; t.kind == tokAxis {
		if !axes[t.text] {
			return s, fmt.Errorf("XPath: unknown axis %q", t.text)
		}
		s.axis = t.text
		p.tokens = p.tokens[1:]
		if err := p.expect("::"); err != nil {
			return s, err
		}
	}
	if err := p.nodeTest(&s); err != nil {
		return s, err
	}
	var err error
	s.preds, err = p.predicates()
	return s, err
}

func (p *xpathParser) nodeTest(s *step) error {
	t := p.tokens[0]
	if t.kind != tokName && t.kind != tokNodeType {
		return fmt.Errorf("XPath: a node test expected before %q", t.text)
	}
	p.tokens = p.tokens[1:]
	if t.kind == tokNodeType {
		s.kind = t.text
		if err := p.expect("("); err != nil {
			return err
		}
		if s.kind == "processing-instruction" && p.tokens[0].kind == tokLiteral {
			s.local = p.tokens[0].text
			p.tokens = p.tokens[1:]
		}
		return p.expect(")")
	}
	s.kind, s.local = "name", t.text
	if t.text == "*" {
		s.any = true
		return nil
	}
	if prefix, local, ok := strings.Cut(t.text, ":"); ok {
		space, found := p.resolve(prefix)
		if !found {
			return fmt.Errorf("XPath: the prefix %q is not declared", prefix)
		}
		s.space, s.local = space, local
	}
	return nil
}

func (p *xpathParser) predicates() ([]*expr, error) {
	var preds []*expr
	for p.take("[") {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
		if preds = append(preds, e); len(preds) > maxXPathDepth {
			return nil, errors.New("XPath: too many predicates")
		}
	}
	return preds, nil
}

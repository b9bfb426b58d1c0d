package xmldsig

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"trustcore/internal/budget"
)

// names returns the expanded name of a node, "" where it has none.
func (v *evaluator) names(n xnode) (space, local string) {
	switch {
	case n.sub > 0:
		a := &v.d.attrs[n.sub-1]
		return v.d.atoms[a.uri], v.d.atoms[v.d.names[a.name].local]
	case n.sub < 0:
		if n.decl() == declXML {
			return "", "xml"
		}
		return "", v.d.atoms[v.d.decls[n.decl()].prefix]
	}
	m := Node{v.d, n.i}
	return m.Space(), m.Local()
}

func (v *evaluator) qname(n xnode) string {
	if n.sub > 0 {
		return v.d.atoms[v.d.names[v.d.attrs[n.sub-1].name].qname]
	}
	if n.sub == 0 && v.d.nodes[n.i].kind == ElementNode {
		return Node{v.d, n.i}.Name()
	}
	_, local := v.names(n)
	return local
}

// stringValue is the string-value of a node (XPath 1.0, 5).
func (v *evaluator) stringValue(n xnode) (string, error) {
	switch {
	case n.sub > 0:
		value := v.d.attrValue(&v.d.attrs[n.sub-1])
		if err := v.copied(len(value)); err != nil {
			return "", err
		}
		return string(value), nil
	case n.sub < 0:
		if n.decl() == declXML {
			return NamespaceXML, nil
		}
		return v.d.atoms[v.d.decls[n.decl()].uri], nil
	}
	m := Node{v.d, n.i}
	nodes, octets := m.textSize()
	if err := v.copied(octets); err != nil {
		return "", err
	}
	return m.text(octets), v.glance(nodes)
}

// copied pays for a string of so many octets, before it is made.
func (v *evaluator) copied(octets int) error {
	if err := v.hold(octets); err != nil {
		return err
	}
	return v.octets(budget.Octet, octets)
}

func truth(x xvalue) bool {
	switch x := x.(type) {
	case bool:
		return x
	case float64:
		return x != 0 && !math.IsNaN(x)
	case string:
		return x != ""
	case []xnode:
		return len(x) > 0
	}
	return false
}

func (v *evaluator) text(x xvalue) (string, error) {
	switch x := x.(type) {
	case bool:
		return strconv.FormatBool(x), nil
	case float64:
		return formatNumber(x), v.octets(costFormat, 1)
	case string:
		return x, nil
	case []xnode:
		if len(x) > 0 {
			return v.stringValue(x[0])
		}
	}
	return "", nil
}

func formatNumber(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func (v *evaluator) number(x xvalue) (float64, error) {
	switch x := x.(type) {
	case bool:
		if x {
			return 1, nil
		}
		return 0, nil
	case float64:
		return x, nil
	}
	s, err := v.text(x)
	if err == nil {
		err = v.octets(costDigit, len(s))
	}
	if err != nil {
		return 0, err
	}
	return parseNumber(s), nil
}

// parseNumber reads the Number of XPath: digits and a point, no exponent.
func parseNumber(s string) float64 {
	s = strings.Trim(s, " \t\r\n")
	digits := strings.TrimPrefix(s, "-")
	if strings.Trim(digits, "0123456789.") != "" || strings.Trim(digits, ".") == "" {
		return math.NaN()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

// compare is the comparison of XPath 1.0, 3.4.
func (v *evaluator) compare(op string, a, b xvalue) (xvalue, error) {
	an, aSet := a.([]xnode)
	bn, bSet := b.([]xnode)
	_, aBool := a.(bool)
	_, bBool := b.(bool)
	switch {
	case aSet && bSet:
		return v.compareSets(op, an, bn)
	case aSet && !bBool:
		return v.compareSet(op, an, b, false)
	case bSet && !aBool:
		return v.compareSet(op, bn, a, true)
	}
	return v.compareAtoms(op, a, b)
}

func (v *evaluator) compareSet(op string, nodes []xnode, other xvalue, swapped bool) (xvalue, error) {
	for _, n := range nodes {
		s, err := v.stringValue(n)
		if err != nil {
			return nil, err
		}
		a, b := xvalue(s), other
		if swapped {
			a, b = b, a
		}
		if yes, err := v.compareAtoms(op, a, b); err != nil || yes.(bool) {
			return yes, err
		}
	}
	return false, nil
}

func (v *evaluator) compareSets(op string, a, b []xnode) (xvalue, error) {
	for _, n := range a {
		if err := v.spend(len(b)); err != nil {
			return nil, err
		}
		s, err := v.stringValue(n)
		if err != nil {
			return nil, err
		}
		if yes, err := v.compareSet(op, b, s, true); err != nil || yes.(bool) {
			return yes, err
		}
	}
	return false, nil
}

func (v *evaluator) compareAtoms(op string, a, b xvalue) (xvalue, error) {
	_, aBool := a.(bool)
	_, bBool := b.(bool)
	_, aNum := a.(float64)
	_, bNum := b.(float64)
	if op == "=" || op == "!=" {
		var same bool
		switch {
		case aBool || bBool:
			same = truth(a) == truth(b)
		case aNum || bNum:
			x, err := v.number(a)
			if err != nil {
				return nil, err
			}
			y, err := v.number(b)
			if err != nil {
				return nil, err
			}
			if op == "!=" {
				return x != y, nil
			}
			same = x == y
		default:
			same = a.(string) == b.(string)
		}
		return same == (op == "="), nil
	}
	x, err := v.number(a)
	if err != nil {
		return nil, err
	}
	y, err := v.number(b)
	switch op {
	case "<":
		return x < y, err
	case "<=":
		return x <= y, err
	case ">":
		return x > y, err
	}
	return x >= y, err
}

// functions are the supported functions and how many arguments they take.
var functions = map[string][2]int{
	"last": {0, 0}, "position": {0, 0}, "count": {1, 1}, "id": {1, 1}, "here": {0, 0},
	"local-name": {0, 1}, "namespace-uri": {0, 1}, "name": {0, 1},
	"string": {0, 1}, "concat": {2, 64}, "starts-with": {2, 2}, "contains": {2, 2},
	"substring-before": {2, 2}, "substring-after": {2, 2}, "substring": {2, 3},
	"string-length": {0, 1}, "normalize-space": {0, 1}, "translate": {3, 3},
	"boolean": {1, 1}, "not": {1, 1}, "true": {0, 0}, "false": {0, 0},
	"number": {0, 1}, "sum": {1, 1}, "floor": {1, 1}, "ceiling": {1, 1}, "round": {1, 1},
}

func (v *evaluator) call(e *expr, c xcontext) (xvalue, error) {
	args := make([]xvalue, len(e.args))
	for i, a := range e.args {
		var err error
		if args[i], err = v.eval(a, c); err != nil {
			return nil, err
		}
	}
	switch e.text {
	case "last":
		return float64(c.size), nil
	case "position":
		return float64(c.pos), nil
	case "true", "false":
		return e.text == "true", nil
	case "not":
		return !truth(args[0]), nil
	case "boolean":
		return truth(args[0]), nil
	case "here":
		if !v.hasHere {
			return nil, fmt.Errorf("XPath: here() in another document: %w", ErrUnsupported)
		}
		return []xnode{v.here}, nil
	case "id":
		return v.id(args[0])
	case "count", "sum":
		return v.aggregate(e.text, args[0])
	case "local-name", "namespace-uri", "name":
		return v.naming(e.text, args, c)
	}
	if len(args) == 0 {
		args = append(args, []xnode{c.n})
	}
	switch e.text {
	case "number", "floor", "ceiling", "round":
		return v.rounding(e.text, args[0])
	}
	return v.textual(e.text, args)
}

func (v *evaluator) id(arg xvalue) (xvalue, error) {
	var ids []string
	if nodes, ok := arg.([]xnode); ok {
		for _, n := range nodes {
			s, err := v.stringValue(n)
			if err != nil {
				return nil, err
			}
			ids = append(ids, fields(s)...)
			if err := v.octets(costText, len(s)); err != nil {
				return nil, err
			}
		}
	} else {
		s, err := v.text(arg)
		if err != nil {
			return nil, err
		}
		ids = fields(s)
		if err := v.octets(costText, len(s)); err != nil {
			return nil, err
		}
	}
	var out []xnode
	if err := v.hold(stringBytes * len(ids)); err != nil {
		return nil, err
	}
	for _, id := range ids {
		n, err := v.d.ByID(id)
		switch {
		case err == nil:
			out = append(out, xnode{i: n.i})
		case !errors.Is(err, ErrNoElement):
			return nil, err
		}
	}
	return v.ordered(out)
}

func (v *evaluator) aggregate(name string, arg xvalue) (xvalue, error) {
	nodes, ok := arg.([]xnode)
	if !ok {
		return nil, fmt.Errorf("XPath: %s() of what is not a node-set", name)
	}
	if name == "count" {
		return float64(len(nodes)), nil
	}
	sum := 0.0
	for _, n := range nodes {
		s, err := v.stringValue(n)
		if err != nil {
			return nil, err
		}
		if err := v.octets(costDigit, len(s)); err != nil {
			return nil, err
		}
		sum += parseNumber(s)
	}
	return sum, nil
}

func (v *evaluator) naming(name string, args []xvalue, c xcontext) (xvalue, error) {
	n := c.n
	if len(args) > 0 {
		nodes, ok := args[0].([]xnode)
		switch {
		case !ok:
			return nil, fmt.Errorf("XPath: %s() of what is not a node-set", name)
		case len(nodes) == 0:
			return "", nil
		}
		n = nodes[0]
	}
	space, local := v.names(n)
	switch name {
	case "local-name":
		return local, nil
	case "namespace-uri":
		return space, nil
	}
	return v.qname(n), nil
}

func (v *evaluator) rounding(name string, arg xvalue) (xvalue, error) {
	f, err := v.number(arg)
	switch name {
	case "floor":
		f = math.Floor(f)
	case "ceiling":
		f = math.Ceil(f)
	case "round":
		f = math.Floor(f + 0.5)
	}
	return f, err
}

// textual are the functions whose arguments are strings, but for the numbers of substring().
func (v *evaluator) textual(name string, args []xvalue) (xvalue, error) {
	s := make([]string, len(args))
	total := 0
	for i, a := range args {
		var err error
		if s[i], err = v.text(a); err != nil {
			return nil, err
		}
		total += len(s[i])
	}
	if err := v.octets(costText, total); err != nil {
		return nil, err
	}
	switch name {
	case "string":
		return s[0], nil
	case "starts-with":
		return strings.HasPrefix(s[0], s[1]), nil
	case "contains":
		return strings.Contains(s[0], s[1]), nil
	case "substring-before":
		before, _, ok := strings.Cut(s[0], s[1])
		if !ok {
			return "", nil
		}
		return before, nil
	case "substring-after":
		_, after, _ := strings.Cut(s[0], s[1])
		return after, nil
	case "string-length":
		return float64(utf8.RuneCountInString(s[0])), nil
	}
	return v.rewritten(name, s, args, total)
}

// rewritten are those of them that make a new string.
func (v *evaluator) rewritten(name string, s []string, args []xvalue, total int) (xvalue, error) {
	if err := v.copied(total); err != nil {
		return nil, err
	}
	switch name {
	case "concat":
		return strings.Join(s, ""), nil
	case "normalize-space":
		if err := v.hold(stringBytes * len(s[0]) / 2); err != nil { // at most every second octet begins a word
			return nil, err
		}
		return strings.Join(fields(s[0]), " "), nil
	case "translate":
		if err := v.octets(1, len(s[0])*len(s[1])); err != nil {
			return nil, err
		}
		if err := v.hold(4 * (len(s[1]) + len(s[2]))); err != nil {
			return nil, err
		}
		return translate(s[0], []rune(s[1]), []rune(s[2])), nil
	}
	return v.substring(s[0], args[1:])
}

// fields splits at the white space of XML, which is less than Unicode's.
func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
}

func translate(s string, from, to []rune) string {
	return strings.Map(func(r rune) rune {
		switch i := slices.Index(from, r); {
		case i < 0:
			return r
		case i < len(to):
			return to[i]
		}
		return -1
	}, s)
}

func (v *evaluator) substring(s string, args []xvalue) (xvalue, error) {
	start, err := v.number(args[0])
	if err != nil {
		return nil, err
	}
	start = math.Floor(start + 0.5)
	end := math.Inf(1)
	if len(args) > 1 {
		n, err := v.number(args[1])
		if err != nil {
			return nil, err
		}
		end = start + math.Floor(n+0.5)
	}
	var b strings.Builder
	pos := 0.0
	for _, r := range s {
		if pos++; pos >= start && pos < end {
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

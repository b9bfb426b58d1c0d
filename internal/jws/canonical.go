package jws

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"

	"trustcore/internal/budget"
)

// Canonicalization is the identifier of the JSON Canonicalization Scheme as ETSI TS 119 182-1 has it in canonAlg.
const Canonicalization = "http://json-canonicalization.org/algorithm"

// Canonical is the value in the form of RFC 8785. Numbers that are no IEEE 754 double have none.
func (v *Value) Canonical(b *budget.Budget) ([]byte, error) {
	c := &canonical{budget: b}
	if err := c.value(v); err != nil {
		return nil, err
	}
	return c.out, b.Octets(len(c.out))
}

type canonical struct {
	budget *budget.Budget
	out    []byte
}

func (c *canonical) value(v *Value) error {
	if err := c.budget.Work(perValue); err != nil {
		return err
	}
	switch v.kind {
	case Null:
		c.out = append(c.out, "null"...)
	case Bool:
		c.out = strconv.AppendBool(c.out, v.truth)
	case Number:
		return c.number(v.text)
	case String:
		return c.text(v.text)
	case Array:
		return c.array(v)
	case Object:
		return c.object(v)
	}
	return nil
}

func (c *canonical) array(v *Value) error {
	c.out = append(c.out, '[')
	for i, item := range v.items {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.value(item); err != nil {
			return err
		}
	}
	c.out = append(c.out, ']')
	return nil
}

// object writes the members sorted by the UTF-16 units of their names (RFC 8785, 3.2.3).
func (c *canonical) object(v *Value) error {
	type keyed struct {
		units []uint16
		Member
	}
	members := make([]keyed, len(v.members))
	for i, m := range v.members {
		if err := c.budget.Hold(heldEach + 2*len(m.Name)); err != nil {
			return err
		}
		members[i] = keyed{utf16.Encode([]rune(m.Name)), m}
	}
	slices.SortFunc(members, func(a, b keyed) int { return slices.Compare(a.units, b.units) })
	c.out = append(c.out, '{')
	for i, m := range members {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		if err := c.text([]byte(m.Name)); err != nil {
			return err
		}
		c.out = append(c.out, ':')
		if err := c.value(m.Value); err != nil {
			return err
		}
	}
	c.out = append(c.out, '}')
	return nil
}

// text writes a string: only quotation mark, backslash and control characters are escaped (RFC 8785, 3.2.2.2).
func (c *canonical) text(text []byte) error {
	if err := c.budget.Hold(len(text) + 2); err != nil {
		return err
	}
	short := map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	c.out = append(c.out, '"')
	for _, b := range text {
		switch s, ok := short[b]; {
		case ok:
			c.out = append(c.out, s...)
		case b < 0x20:
			c.out = fmt.Appendf(c.out, `\u%04x`, b)
		default:
			c.out = append(c.out, b)
		}
	}
	c.out = append(c.out, '"')
	return nil
}

var errNumber = errors.New("a number that has no canonical form (RFC 8785, 3.2.2.3)")

// number writes a double as ECMAScript does (RFC 8785, 3.2.2.3).
func (c *canonical) number(literal []byte) error {
	f, err := strconv.ParseFloat(string(literal), 64)
	if err != nil || math.IsInf(f, 0) {
		return errNumber
	}
	switch size := math.Abs(f); {
	case f == 0:
		c.out = append(c.out, '0') // minus zero too
	case size < 1e-6 || size >= 1e21:
		text := strconv.AppendFloat(nil, f, 'e', -1, 64)
		if sign := len(text) - 2; text[sign] == '0' && (text[sign-1] == '-' || text[sign-1] == '+') {
			text = slices.Delete(text, sign, sign+1) // Go writes two digits at least
		}
		c.out = append(c.out, text...)
	default:
		c.out = strconv.AppendFloat(c.out, f, 'f', -1, 64)
	}
	return nil
}

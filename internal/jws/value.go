package jws

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds of JSON values.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one JSON value (RFC 8259). Its methods may be called on nil, which stands for what is absent.
type Value struct {
	kind    Kind
	truth   bool
	text    []byte // of a string what it says, in UTF-8; of a number its literal; a part of the input where it can be
	items   []*Value
	members []Member
}

// Member is one member of an object.
type Member struct {
	Name  string
	Value *Value
}

// Is tells whether the value is there and of that kind.
func (v *Value) Is(kind Kind) bool { return v != nil && v.kind == kind }

// Text is what a string says, nil for anything else. It may be a part of the input and must not be changed.
func (v *Value) Text() []byte {
	if !v.Is(String) {
		return nil
	}
	return v.text
}

// Literal is a number as it is written, "" for anything else.
func (v *Value) Literal() string {
	if !v.Is(Number) {
		return ""
	}
	return string(v.text)
}

// True tells whether the value is the literal true.
func (v *Value) True() bool { return v.Is(Bool) && v.truth }

// Items are the elements of an array, none for anything else.
func (v *Value) Items() []*Value {
	if v == nil {
		return nil
	}
	return v.items
}

// Members are those of an object in the order of the text, none for anything else. No name occurs twice.
func (v *Value) Members() []Member {
	if v == nil {
		return nil
	}
	return v.members
}

// Member is the value of that name, nil where there is none.
func (v *Value) Member(name string) *Value {
	for _, m := range v.Members() {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

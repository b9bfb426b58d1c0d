package verdict

import "strings"

// html writes elements. Whatever is written as text or as an attribute's value is escaped, so nothing that a document says
// becomes an element. It is no template, since the packages of templates double what a browser must load.
type html struct {
	strings.Builder
	opened []string
}

// escape makes text safe between tags and in an attribute's value within quotes.
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\x00", "\ufffd")

// attribute is a name and its value.
type attribute struct{ name, value string }

// class is the attribute that chooses the look.
func class(value string) attribute { return attribute{"class", value} }

// open begins an element.
func (h *html) open(name string, attributes ...attribute) {
	h.WriteString("<" + name)
	for _, a := range attributes {
		h.WriteString(" " + a.name + `="` + escape.Replace(a.value) + `"`)
	}
	h.WriteString(">")
	h.opened = append(h.opened, name)
}

// close ends so many elements, the innermost first.
func (h *html) close(n int) {
	for range n {
		last := len(h.opened) - 1
		h.WriteString("</" + h.opened[last] + ">")
		h.opened = h.opened[:last]
	}
}

func (h *html) text(text string) { _, _ = escape.WriteString(&h.Builder, text) } // a Builder never fails

// element writes an element with text in it.
func (h *html) element(name, text string, attributes ...attribute) {
	h.open(name, attributes...)
	h.text(text)
	h.close(1)
}

// list writes an element that lists texts; nothing where there are none.
func (h *html) list(texts []string) {
	if len(texts) == 0 {
		return
	}
	h.open("ul")
	for _, t := range texts {
		h.element("li", t)
	}
	h.close(1)
}

// fold writes what a reader unfolds.
func (h *html) fold(summary string, content func()) {
	h.open("details")
	h.element("summary", summary)
	content()
	h.close(1)
}

// row writes a question and its answer within a list of them.
func (h *html) row(question string, answer func(), attributes ...attribute) {
	h.open("div", attributes...)
	h.element("dt", question)
	h.open("dd")
	answer()
	h.close(2)
}

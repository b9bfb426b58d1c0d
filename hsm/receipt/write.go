package receipt

import (
	"bytes"
	"strings"
	"time"
)

// writer writes one receipt in canonical form: the namespace at the root, no empty-element tags, attributes in double
// quotes, and in text and attributes the escapes of Canonical XML alone (1.1, 2.3).
type writer struct {
	bytes.Buffer
	prefix, child string
}

func begin(prefix, namespace, child string) *writer {
	w := &writer{prefix: prefix, child: child}
	w.put("<", prefix, ":Dokument xmlns:", prefix, `="`, namespace, `">`)
	w.open(child)
	return w
}

func (w *writer) end() []byte {
	w.close(w.child)
	w.close("Dokument")
	return w.Bytes()
}

func (w *writer) put(parts ...string) {
	for _, p := range parts {
		w.WriteString(p)
	}
}

func (w *writer) open(name string)  { w.put("<", w.prefix, ":", name, ">") }
func (w *writer) close(name string) { w.put("</", w.prefix, ":", name, ">") }

var (
	inText  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	inValue = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;")
)

func (w *writer) element(name, text string) {
	w.open(name)
	w.put(inText.Replace(text))
	w.close(name)
}

func (w *writer) optional(name, text string) {
	if text != "" {
		w.element(name, text)
	}
}

func (w *writer) attributed(name, attribute, value, text string) {
	w.put("<", w.prefix, ":", name, " ", attribute, `="`, inValue.Replace(value), `">`, inText.Replace(text))
	w.close(name)
}

// party leaves the attributes without a namespace, as ePUAP's stylesheet reads them.
func (w *writer) party(name string, p Party) {
	w.open(name)
	w.element("Nazwa", p.Name)
	if p.ID != "" {
		w.attributed("IdentyfikatorPodmiotu", "TypIdentyfikatora", p.IDType, p.ID)
	}
	w.close(name)
}

func (w *writer) note(n Note) {
	w.attributed("InformacjaUzupelniajaca", "TypInformacjiUzupelniajacej", n.Type, n.Text)
}

func (w *writer) notes(list []Note) {
	for _, n := range list {
		w.note(n)
	}
}

// time writes xs:dateTime with the zone that the time has: people read the time of their office.
func (w *writer) time(name string, t time.Time) { w.element(name, t.Format(time.RFC3339)) }

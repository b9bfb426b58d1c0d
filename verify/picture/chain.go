package picture

import (
	"fmt"
	"strings"

	"trustcore/verify"
)

// The layout of a chain: a box a certificate, the anchor above, each next one a step to the right below its issuer.
const (
	boxHeight = 60
	gap       = 12
	step      = 12
	inset     = 8 // of the text in a box
)

// Chain draws the certificates as a tree, the source of trust above and the signer below, and below that the time-stamps that
// the signature carries.
func Chain(s *verify.SignatureReport, language string) Picture {
	d := &drawing{}
	depth := 0
	if n := len(s.Chain); n == 0 || !s.Chain[n-1].Anchor {
		d.node(0, 0, Open, say(language, "nobody"))
		depth++
	}
	for i := len(s.Chain) - 1; i >= 0; i-- {
		d.certificate(&s.Chain[i], depth, i == 0, language)
		depth++
	}
	rows := depth
	for i := range s.Timestamps {
		t := &s.Timestamps[i]
		d.node(rows, depth, Tone(t.Indication), labelled(say(language, "stamp"), t.SignedBy), stampNotes(t, language)...)
		rows++
	}
	return d.picture(say(language, "chain"), rows*(boxHeight+gap)-gap)
}

func (d *drawing) certificate(c *verify.Certificate, depth int, signer bool, language string) {
	role, class := "issuer", Open
	switch {
	case c.Anchor:
		role, class = "anchor", Good
	case signer:
		role = "signer"
	}
	notes := []string{say(language, role) + " · " + fmt.Sprintf(say(language, "until"), day(c.NotAfter))}
	status, _, _ := strings.Cut(c.Status, " ")
	switch {
	case c.Anchor: // nobody is asked whether it was revoked
	case status == "good":
		class = Good
		notes = append(notes, say(language, "status-good"))
	case status == "revoked":
		class = Bad
		notes = append(notes, say(language, "status-revoked"))
	default:
		notes = append(notes, say(language, "status-unknown"))
	}
	d.node(depth, depth, class, CommonName(c.Subject), notes...)
}

func stampNotes(t *verify.TimestampReport, language string) []string {
	if t.Time == nil {
		return []string{say(language, "unread")}
	}
	return []string{moment(*t.Time), say(language, Tone(t.Indication))}
}

// node draws a box in a row, and the line from what stands above it a step to the left. It has room for two notes.
func (d *drawing) node(row, depth int, class, label string, notes ...string) {
	x, y := depth*step, row*(boxHeight+gap)
	if depth > 0 {
		from := (depth-1)*step + step/2
		d.path(Point{from, depth*(boxHeight+gap) - gap}, Point{from, y + boxHeight/2}, Point{x, y + boxHeight/2})
	}
	d.box("box "+class, x+1, y+1, Width-x-2, boxHeight-2, 5)
	d.text(x+inset, y+18, "label", label)
	for i, note := range notes {
		d.text(x+inset, y+34+16*i, "note", note)
	}
	d.tell("%s.", strings.Join(append([]string{label}, notes...), " – "))
}

// CommonName is the common name in a subject as reports write it (RFC 4514), the whole subject where it has none.
func CommonName(subject string) string {
	rest := subject
	for rest != "" {
		part := rest[:end(rest)]
		rest = strings.TrimLeft(strings.TrimPrefix(rest[len(part):], ","), " ")
		for one := range strings.SplitSeq(part, "+") {
			if name, ok := strings.CutPrefix(strings.TrimSpace(one), "CN="); ok {
				return strings.ReplaceAll(name, `\`, "")
			}
		}
	}
	return subject
}

// end is where the first relative name of a subject ends.
func end(subject string) int {
	for i := 0; i < len(subject); i++ {
		switch subject[i] {
		case '\\':
			i++
		case ',':
			return i
		}
	}
	return len(subject)
}

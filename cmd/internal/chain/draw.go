package chain

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"trustcore/verify/chain"
	"trustcore/verify/prose"
)

// drawing writes reports for people. Colour only repeats what the words say, and only on a terminal.
type drawing struct {
	out    io.Writer
	colour bool
}

func newDrawing(out io.Writer) *drawing {
	d := &drawing{out: out}
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		if info, err := f.Stat(); err == nil {
			d.colour = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return d
}

// The words before a check, and their colours.
var words = map[chain.State]struct{ word, colour string }{
	chain.Passed:     {"ok  ", "32"},
	chain.Failed:     {"FAIL", "1;31"},
	chain.NotChecked: {"-   ", "2"},
}

func (d *drawing) paint(colour, text string) string {
	if !d.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (d *drawing) report(file string, r *chain.Report) error {
	var b bytes.Buffer
	verdict := d.paint("32", "valid")
	if !r.Valid {
		verdict = d.paint("1;31", "NOT VALID")
		if r.SubIndication != nil && *r.SubIndication != "" {
			verdict += " (" + *r.SubIndication + ")"
		}
	}
	fmt.Fprintf(&b, "%s: %s at %s\n", prose.Text(file), verdict, r.Time.Format(time.RFC3339))
	fmt.Fprintf(&b, "  policy: %s %s\n", prose.Name(r.Policy), prose.Name(r.PolicyVersion))
	if r.AtValidation.Level != "N/A" || r.AtIssuance.Level != "N/A" {
		fmt.Fprintf(&b, "  qualification: %s, when issued: %s", r.AtValidation.Level, r.AtIssuance.Level)
		if r.AtValidation.Provider != "" {
			fmt.Fprintf(&b, " (%s)", prose.Name(r.AtValidation.Provider))
		}
		b.WriteByte('\n')
	}
	for _, reason := range r.Reasons {
		if reason.Position >= len(r.Chain) {
			fmt.Fprintf(&b, "  because: %s %s\n", reason.Code, prose.Detail(reason.Detail))
		}
	}
	for i := range r.Chain {
		d.link(&b, i, &r.Chain[i])
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  note: %s\n", prose.Text(n))
	}
	_, err := d.out.Write(b.Bytes())
	return err
}

func (d *drawing) link(b *bytes.Buffer, i int, l *chain.Link) {
	if i > 0 {
		fmt.Fprintln(b, "  │")
	}
	fmt.Fprintf(b, "  %d  %s", i, prose.Name(l.Subject))
	if l.Anchor {
		fmt.Fprint(b, "  [trust anchor]")
	}
	b.WriteByte('\n')
	line := func(format string, args ...any) { fmt.Fprintf(b, "  │    "+format+"\n", args...) }
	if l.Service != "" {
		line("%s", prose.Name(l.Service))
	}
	if l.SHA256 != "" {
		line("serial %s, %s to %s", l.Serial, l.NotBefore.Format(time.DateOnly), l.NotAfter.Format(time.DateOnly))
		line("SHA-256 %s", l.SHA256)
	}
	for _, c := range l.Checks {
		w := words[c.State]
		text := c.Name
		switch {
		case c.Reason != "":
			text += ": " + prose.Text(c.Reason)
		case c.State == chain.NotChecked:
			text += ": not checked"
		}
		line("%s  %s", d.paint(w.colour, w.word), text)
	}
	if s := l.Status; s != nil && s.ThisUpdate != nil {
		text := fmt.Sprintf("%s by %s of %s", s.Status, s.Source, s.ThisUpdate.Format(time.RFC3339))
		if s.NextUpdate != nil {
			text += ", next " + s.NextUpdate.Format(time.RFC3339)
		}
		if s.RevokedAt != nil {
			text += fmt.Sprintf(", revoked at %s (%s)", s.RevokedAt.Format(time.RFC3339), s.Reason)
		}
		line("      %s", prose.Text(text))
	}
}

package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"trustcore/cmd/internal/keyuse"
	"trustcore/internal/audit"
)

// maxUses bounds the uses that one page shows; the file with the proofs has all.
const maxUses = 500

// usesPage says who used a key, when, and under which authorisation.
type usesPage struct {
	frame
	Key, From, To string
	Wrong, Detail string // why it can't be said
	Answer        *keyuse.Answer
	Uses          []keyuse.Use // that are shown
	By            []userSum
	Keys          []keyRow // to choose from
}

// userSum is how often somebody used the key.
type userSum struct {
	Who string
	N   int
}

// showUses answers who used a key in a time. Times are by the officers' clocks.
func (c *Console) showUses(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	q := r.URL.Query()
	p := &usesPage{frame: c.framed(r, v, "audit", v.word("uses-title")), Key: field(q.Get("key")),
		From: field(q.Get("from")), To: field(q.Get("to"))}
	names, err := c.names(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	p.Keys = keep(keyRows(c.read(ctx, "", partKeys).keys, names), func(k keyRow) bool { return k.Partner != "" })
	status := http.StatusOK
	if p.Key != "" {
		err = p.ask(ctx, c, v)
	}
	if p.Wrong != "" {
		status = http.StatusUnprocessableEntity
	}
	if err != nil {
		c.fault(w, r, err)
		return
	}
	c.render(w, r, v, status, "uses", p)
}

// ask reads the uses, or says what of the question can't be taken.
func (p *usesPage) ask(ctx context.Context, c *Console, v view) error {
	f, wrong := v.period(p.From, p.To)
	if wrong != "" {
		p.Wrong = wrong
		return nil
	}
	a, err := keyuse.Who(ctx, c.cfg.Audit, p.Key, f)
	var no *keyuse.NameError
	if errors.As(err, &no) {
		p.Wrong, p.Detail = v.word("uses-no-key"), no.Reason
		return nil
	}
	if err != nil {
		return err
	}
	p.Answer, p.Uses = a, a.Uses[:min(len(a.Uses), maxUses)]
	by := map[string]int{}
	for _, u := range a.Uses {
		if u.Outcome == keyuse.Used {
			by[u.Who]++
		}
	}
	for who, n := range by {
		p.By = append(p.By, userSum{who, n})
	}
	slices.SortFunc(p.By, func(a, b userSum) int { return cmp.Or(b.N-a.N, strings.Compare(a.Who, b.Who)) })
	return nil
}

// downloadUses hands out the uses with the proof of each, as 'trustctl audit check' takes them.
func (c *Console) downloadUses(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	q := r.URL.Query()
	f, wrong := v.period(field(q.Get("from")), field(q.Get("to")))
	if wrong != "" {
		c.said(w, r, v, http.StatusUnprocessableEntity, v.word("refused-title"), wrong)
		return
	}
	a, err := keyuse.Who(ctx, c.cfg.Audit, field(q.Get("key")), f)
	if err == nil {
		err = a.Prove(ctx, c.cfg.Audit)
	}
	var no *keyuse.NameError
	switch {
	case errors.As(err, &no):
		c.said(w, r, v, http.StatusUnprocessableEntity, v.word("refused-title"), v.word("uses-no-key"))
	case err != nil:
		c.fault(w, r, err)
	default:
		c.download(w, r, "uses.json", a)
	}
}

// period reads from and to by the officers' clocks; wrong says in the reader's language what can't be taken.
func (v view) period(from, to string) (f audit.Filter, wrong string) {
	var err error
	if from != "" {
		if f.From, _, err = audit.ParsePeriodIn(from, v.speech.zone); err != nil {
			return f, v.word("audit-no-time", "Text", from)
		}
	}
	if to != "" {
		if _, f.Before, err = audit.ParsePeriodIn(to, v.speech.zone); err != nil {
			return f, v.word("audit-no-time", "Text", to)
		}
	}
	if from != "" && to != "" && !f.From.Before(f.Before) {
		return f, v.word("audit-no-period", "From", from, "To", to)
	}
	return f, ""
}

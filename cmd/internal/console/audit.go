package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"trustcore/cmd/internal/registry"
	"trustcore/internal/audit"
	"trustcore/internal/problem"
)

// maxAuditPages bounds how far back a list of entries goes: beyond it the log is asked by time.
const maxAuditPages = 200

// auditQuery is what somebody looks for in the log.
type auditQuery struct {
	Partner, Actor, Action, Subject, Order, From, To string

	Wrong string // what of it can't be taken, in the reader's language
}

// Set reports whether anything is looked for.
func (q auditQuery) Set() bool {
	return q.Partner+q.Actor+q.Action+q.Subject+q.Order+q.From+q.To != ""
}

func (q auditQuery) values() url.Values {
	all := url.Values{}
	for name, value := range map[string]string{"partner": q.Partner, "actor": q.Actor, "action": q.Action, "subject": q.Subject,
		"order": q.Order, "from": q.From, "to": q.To} {
		if value != "" {
			all.Set(name, value)
		}
	}
	return all
}

type auditPage struct {
	frame
	Query   auditQuery
	Entries list[audit.Recorded]
	More    bool // there are entries behind the last page
	Actions []string
	names   map[string]string
}

// PartnerName is the name of the office that an entry is about.
func (p *auditPage) PartnerName(id string) string { return p.names[id] }

// showAudit lists entries, newest first, a page at a time. It reads the log from its end, no further than it must.
func (c *Console) showAudit(w http.ResponseWriter, r *http.Request, v view) {
	ctx, cancel := reading(r)
	defer cancel()
	partners, err := c.cfg.Registry.Partners(ctx)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	q, filter := c.auditQuery(r.URL.Query(), partners, v)
	p := &auditPage{frame: c.framed(r, v, "audit", v.word("audit")), Query: q, Actions: v.speech.list("action."),
		names: map[string]string{}}
	for _, one := range partners {
		p.names[one.ID] = one.Name
	}
	page := min(pageNumber(r.URL.Query().Get("page")), maxAuditPages)
	p.Entries = list[audit.Recorded]{Path: "audit", Page: page, query: q.values()}
	if q.Wrong == "" {
		filter.Last = page*rowsAPage + 1
		found, err := c.cfg.Audit.List(ctx, filter)
		if err != nil {
			c.cfg.Logger.Error("the console can't show a part", "part", "audit", "error", err)
		}
		p.Entries.Failed = err != nil
		p.cut(found)
	}
	status := http.StatusOK
	if q.Wrong != "" {
		status = http.StatusUnprocessableEntity
	}
	c.render(w, r, v, status, "audit", p)
}

// cut takes the page of what was found, oldest first. A page that there is not is the last one.
func (p *auditPage) cut(found []audit.Recorded) {
	slices.Reverse(found)
	l := &p.Entries
	p.More = len(found) > l.Page*rowsAPage
	l.Page = max(1, min(l.Page, (len(found)+rowsAPage-1)/rowsAPage))
	first := (l.Page - 1) * rowsAPage
	l.Rows = found[first:min(first+rowsAPage, len(found))]
	l.All = len(found)
	if l.Pages = l.Page; p.More && l.Page < maxAuditPages {
		l.Pages++ // at least
	}
}

// auditQuery reads what is looked for. A partner may be written by name, times are by the officers' clocks.
func (c *Console) auditQuery(from url.Values, partners []registry.Partner, v view) (auditQuery, audit.Filter) {
	q := auditQuery{Partner: field(from.Get("partner")), Actor: field(from.Get("actor")),
		Action: field(from.Get("action")), Subject: field(from.Get("subject")), Order: field(from.Get("order")),
		From: field(from.Get("from")), To: field(from.Get("to"))}
	f, wrong := v.period(q.From, q.To)
	f.Actor, f.Action, f.Subject, f.Order, q.Wrong = q.Actor, q.Action, q.Subject, q.Order, wrong
	var known bool
	if f.Partner, known = partnerMeant(q.Partner, partners); !known {
		q.Wrong = v.word("audit-which-partner", "Partner", q.Partner)
	}
	return q, f
}

// partnerMeant is the id of the partner that somebody wrote by id or by name; false when several are meant. What is no
// partner is searched for as it is: the log may know one that the registry does not.
func partnerMeant(text string, partners []registry.Partner) (string, bool) {
	var meant []string
	for _, p := range partners {
		if p.ID == text {
			return text, true
		}
		if text != "" && has(fold(p.Name), strings.Fields(fold(text))) {
			meant = append(meant, p.ID)
		}
	}
	switch len(meant) {
	case 0:
		return text, true
	case 1:
		return meant[0], true
	}
	return "", false
}

type entryPage struct {
	frame
	Entry audit.Recorded
	Raw   string
}

// showEntry shows one entry as the log has it.
func (c *Console) showEntry(w http.ResponseWriter, r *http.Request, v view) {
	proof := c.prove(w, r, v)
	if proof == nil {
		return
	}
	title := v.word("entry-title", "Index", strconv.FormatUint(proof.Index, 10))
	p := &entryPage{frame: c.framed(r, v, "audit", title), Raw: string(proof.Entry)}
	p.Entry.Index = proof.Index
	if err := json.Unmarshal(proof.Entry, &p.Entry.Entry); err != nil {
		c.fault(w, r, err)
		return
	}
	c.render(w, r, v, http.StatusOK, "entry", p)
}

// downloadProof hands out an entry with the proof that it stands in the log, as 'trustctl audit check' takes it.
func (c *Console) downloadProof(w http.ResponseWriter, r *http.Request, v view) {
	proof := c.prove(w, r, v)
	if proof == nil {
		return
	}
	c.download(w, r, "proof-"+strconv.FormatUint(proof.Index, 10)+".json", proof)
}

// download hands out JSON as a file; its name is ours.
func (c *Console) download(w http.ResponseWriter, r *http.Request, name string, content any) {
	data, err := json.Marshal(content)
	if err != nil {
		c.fault(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	problem.Send(w, http.StatusOK, "application/json", append(data, '\n'))
}

// prove reads an entry with its proof; nil when the answer is given.
func (c *Console) prove(w http.ResponseWriter, r *http.Request, v view) *audit.Proof {
	ctx, cancel := reading(r)
	defer cancel()
	index, err := strconv.ParseUint(r.URL.Query().Get("index"), 10, 63)
	if err != nil {
		c.nowhere(w, r, v)
		return nil
	}
	proof, err := c.cfg.Audit.Prove(ctx, index)
	if err == nil {
		return proof
	}
	if _, size, sized := c.cfg.Audit.Checkpoint(ctx); sized == nil && index >= size {
		c.nowhere(w, r, v) // or it is so new that no checkpoint covers it yet
		return nil
	}
	c.fault(w, r, errors.Join(errors.New("an audit entry can't be proven"), err))
	return nil
}

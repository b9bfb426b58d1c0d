package verify

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSON is what json.Marshal gives for the report, and the end of a line, in a fraction of its time: what nearly every report
// holds is written field by field, the rest by json.Marshal. An error tells of a time that JSON has no form for.
func (r *Report) JSON() ([]byte, error) {
	p := &pen{b: make([]byte, 0, reportRoom+reportRoomOfOne*len(r.Signatures))}
	p.report(r)
	return append(p.b, '\n'), p.err
}

// Room for a report, in octets: more than most take.
const (
	reportRoom      = 1 << 10
	reportRoomOfOne = 5 << 10 // signature
)

// pen writes JSON.
type pen struct {
	b   []byte
	err error // the first
}

func (p *pen) report(r *Report) {
	p.put('{')
	p.text("sha256", r.SHA256)
	p.text("policy", r.Policy)
	p.text("policy_version", r.PolicyVersion)
	p.text("policy_digest", r.PolicyDigest)
	p.time("validation_time", r.ValidationTime)
	list(p, "signatures", r.Signatures, p.signature)
	list(p, "timestamps", r.Timestamps, p.timestamp)
	list(p, "evidence_records", r.EvidenceRecords, p.record)
	p.texts("notes", r.Notes)
	byLanguage(p, "summary", r.Summary, p.quote)
	p.someText("document_type", string(r.DocumentType))
	p.someText("evidence_issuer", string(r.EvidenceIssuer))
	p.someText("document_reference", string(r.DocumentReference))
	p.other("pins", r.Pins)
	if r.Service != nil {
		p.other("service", r.Service)
	}
	if r.ActiveContent != nil {
		p.other("active_content", r.ActiveContent)
	}
	if r.Scan != nil {
		p.other("scan", r.Scan)
	}
	if r.Trace != nil {
		p.other("trace", r.Trace)
	}
	p.put('}')
}

func (p *pen) signature(s *SignatureReport) {
	p.text("id", s.ID)
	p.text("format", s.Format)
	p.textOrNull("container", string(s.Container))
	p.someText("filename", s.Filename)
	p.text("level", s.Level)
	p.text("indication", string(s.Indication))
	p.textOrNull("sub_indication", string(s.SubIndication))
	p.texts("reasons", s.Reasons)
	p.texts("notes", s.Notes)
	p.truth("signature_intact", s.SignatureIntact)
	p.truth("references_intact", s.ReferencesIntact)
	p.text("qualification", s.Qualification)
	p.text("kind", string(s.Kind))
	p.signer(&s.Signer)
	p.someText("sealed_by", s.SealedBy)
	p.someText("trust_source", string(s.TrustSource))
	p.time("best_signature_time", s.BestSignatureTime)
	p.timeOrNull("signing_time", s.SigningTime)
	if p.name("counter_signature_of"); s.CounterSignatureOf != nil {
		p.quote(s.CounterSignatureOf)
	} else {
		p.null()
	}
	list(p, "timestamps", s.Timestamps, p.timestamp)
	someList(p, "evidence_records", s.EvidenceRecords, p.record)
	list(p, "scopes", s.Scopes, p.scope)
	someList(p, "changes", s.Changes, p.change)
	p.texts("unsigned", s.Unsigned)
	someList(p, "chain", s.Chain, p.certificate)
	p.someTime("try_again", s.TryAgain)
	byLanguage(p, "sentence", s.Sentence, p.quote)
	byLanguage(p, "rows", s.Rows, p.rows)
	if len(s.Next) > 0 {
		byLanguage(p, "next", s.Next, p.quote)
	}
}

func (p *pen) signer(s *Signer) {
	p.name("signer")
	p.put('{')
	p.someText("certificate_sha256", s.CertificateSHA256)
	p.someText("common_name", s.CommonName)
	p.someText("given_name", s.GivenName)
	p.someText("surname", s.Surname)
	p.someText("organization", s.Organization)
	p.someText("country", s.Country)
	p.someText("issuer", s.Issuer)
	p.someText("name", s.Name)
	if s.Identifier != nil {
		p.other("identifier", s.Identifier)
	}
	p.put('}')
}

func (p *pen) timestamp(t *TimestampReport) {
	p.someText("id", t.ID)
	p.text("type", t.Type)
	p.text("indication", string(t.Indication))
	p.textOrNull("sub_indication", string(t.SubIndication))
	p.texts("reasons", t.Reasons)
	p.timeOrNull("time", t.Time)
	p.truth("intact", t.Intact)
	p.someText("signed_by", t.SignedBy)
	p.text("qualification", t.Qualification)
	p.texts("notes", t.Notes)
}

func (p *pen) record(e *EvidenceRecordReport) {
	p.text("id", e.ID)
	p.text("type", e.Type)
	p.text("indication", string(e.Indication))
	p.textOrNull("sub_indication", string(e.SubIndication))
	p.texts("reasons", e.Reasons)
	p.timeOrNull("time", e.Time)
	list(p, "timestamps", e.Timestamps, p.timestamp)
	list(p, "scopes", e.Scopes, p.scope)
	p.texts("signatures", e.Signatures)
}

func (p *pen) scope(s *Scope) {
	p.text("name", s.Name)
	p.text("scope", s.Scope)
	p.truth("full", s.Full)
	if s.Partial {
		p.truth("partial", true)
	}
}

func (p *pen) change(c *Change) {
	p.text("kind", c.Kind)
	p.number("revision", c.Revision)
	p.someText("object", c.Object)
	if c.Page != 0 {
		p.number("page", c.Page)
	}
	p.text("what", c.What)
	p.someText("forbidden", c.Forbidden)
}

func (p *pen) certificate(c *Certificate) {
	p.text("sha256", c.SHA256)
	p.text("subject", c.Subject)
	p.time("not_before", c.NotBefore)
	p.time("not_after", c.NotAfter)
	if c.Anchor {
		p.truth("anchor", true)
	}
	p.someText("status", c.Status)
	p.someTime("revoked_at", c.RevokedAt)
}

func (p *pen) rows(r *Rows) {
	p.put('{')
	p.text("integrity", r.Integrity)
	p.text("signatory", r.Signatory)
	p.text("kind", r.Kind)
	p.text("time", r.Time)
	p.text("trust", r.Trust)
	p.put('}')
}

func (p *pen) put(c byte) { p.b = append(p.b, c) }

// next parts what follows from what stands before it in the same object or array.
func (p *pen) next() {
	if last := p.b[len(p.b)-1]; last != '{' && last != '[' {
		p.b = append(p.b, ',')
	}
}

// name begins a member.
func (p *pen) name(name string) {
	p.next()
	p.b = append(append(append(p.b, '"'), name...), '"', ':')
}

func (p *pen) null() { p.b = append(p.b, "null"...) }

func (p *pen) text(name, text string) {
	p.name(name)
	p.quote(&text)
}

func (p *pen) textOrNull(name, text string) {
	if p.name(name); text == "" {
		p.null()
		return
	}
	p.quote(&text)
}

// The members whose names begin with some are left out where they are empty, and so are texts.
func (p *pen) someText(name, text string) {
	if text != "" {
		p.text(name, text)
	}
}

func (p *pen) texts(name string, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.name(name)
	p.put('[')
	for i := range texts {
		p.next()
		p.quote(&texts[i])
	}
	p.put(']')
}

func (p *pen) truth(name string, is bool) {
	p.name(name)
	p.b = strconv.AppendBool(p.b, is)
}

func (p *pen) number(name string, n int) {
	p.name(name)
	p.b = strconv.AppendInt(p.b, int64(n), 10)
}

func (p *pen) time(name string, t time.Time) {
	p.name(name)
	p.b = append(p.b, '"')
	b, err := t.AppendText(p.b)
	if p.b = append(b, '"'); err != nil && p.err == nil {
		p.err = err
	}
}

func (p *pen) timeOrNull(name string, t *time.Time) {
	if t == nil {
		p.name(name)
		p.null()
		return
	}
	p.time(name, *t)
}

func (p *pen) someTime(name string, t *time.Time) {
	if t != nil {
		p.time(name, *t)
	}
}

// other is a member that json.Marshal writes.
func (p *pen) other(name string, value any) {
	p.name(name)
	text, err := json.Marshal(value)
	if p.b = append(p.b, text...); err != nil && p.err == nil {
		p.err = err
	}
}

// list is a member that holds objects; nil is null.
func list[T any](p *pen, name string, items []T, write func(*T)) {
	if p.name(name); items == nil {
		p.null()
		return
	}
	p.put('[')
	for i := range items {
		p.next()
		p.put('{')
		write(&items[i])
		p.put('}')
	}
	p.put(']')
}

func someList[T any](p *pen, name string, items []T, write func(*T)) {
	if len(items) > 0 {
		list(p, name, items, write)
	}
}

// byLanguage is a member that holds a value for each language, in their order; nil is null.
func byLanguage[T any](p *pen, name string, values map[string]T, write func(*T)) {
	if p.name(name); values == nil {
		p.null()
		return
	}
	languages := make([]string, 0, 4)
	for language := range values {
		languages = append(languages, language)
	}
	slices.Sort(languages)
	p.put('{')
	for _, language := range languages {
		value := values[language]
		p.next()
		p.quote(&language)
		p.b = append(p.b, ':')
		write(&value)
	}
	p.put('}')
}

// quote writes a string as encoding/json does: what HTML or JavaScript could take for more than text is escaped, and what is
// no UTF-8 becomes U+FFFD.
func (p *pen) quote(text *string) {
	const hexadecimal = "0123456789abcdef"
	s, from := *text, 0
	b := append(p.b, '"')
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			i++
			if !escaped[c] {
				continue
			}
			b = append(b, s[from:i-1]...)
			from = i
			if short := shortEscapes[c]; short != 0 {
				b = append(b, '\\', short)
			} else {
				b = append(b, '\\', 'u', '0', '0', hexadecimal[c>>4], hexadecimal[c&0xf])
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[from:i-1]...), `\ufffd`...)
			from = i
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[from:i-size]...), `\u202`...)
			b = append(b, hexadecimal[r&0xf])
			from = i
		}
	}
	p.b = append(append(b, s[from:]...), '"')
}

// escaped are the characters of ASCII that do not stand for themselves; shortEscapes are the letters of those that have one.
var (
	escaped = func() (table [utf8.RuneSelf]bool) {
		for c := range ' ' {
			table[c] = true
		}
		for _, c := range `"\<>&` {
			table[c] = true
		}
		return table
	}()
	shortEscapes = [utf8.RuneSelf]byte{
		'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't',
	}
)

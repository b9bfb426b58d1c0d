package picture

import (
	"cmp"
	"slices"
	"time"

	"trustcore/verify"
)

// The layout of a time line, from above: a row an event, the certificate's validity as a bar beside them.
const (
	rowHeight = 40
	axis      = 34 // x of the line of time
	barLeft   = 8
	barWidth  = 10
	labels    = 50 // x of the texts
)

// event is one point of the time line.
type event struct {
	at   time.Time
	id   string // of its text
	what string // beside the text, such as a name
	tone string // "" for what is neither good nor bad
}

// Timeline draws what happened when: the certificate's validity, signing, time-stamps, evidence records, revocation, and the
// time of validation. Events stand in their order, not at a distance that tells how long; validity is a bar beside them.
func Timeline(s *verify.SignatureReport, judged time.Time, language string) Picture {
	events := eventsOf(s, judged)
	d := &drawing{}
	height := rowHeight * len(events)
	d.path(Point{axis, rowHeight / 2}, Point{axis, height - rowHeight/2})
	d.validity(events)
	for i, e := range events {
		y := i*rowHeight + rowHeight/2
		label := labelled(say(language, e.id), e.what)
		note := moment(e.at)
		if e.tone != "" {
			note += " · " + say(language, e.tone)
		}
		d.shapes = append(d.shapes, Shape{Kind: Circle, Class: "mark " + e.tone, At: Point{axis, y}, Radius: 5})
		d.text(labels, y-3, "label", label)
		d.text(labels, y+12, "note", note)
		d.tell("%s – %s.", label, note)
	}
	return d.picture(say(language, "timeline"), height)
}

// validity draws the bar from the event at which the certificate begins to be valid to the one at which it ends.
func (d *drawing) validity(events []event) {
	from := slices.IndexFunc(events, func(e event) bool { return e.id == "valid-from" })
	until := slices.IndexFunc(events, func(e event) bool { return e.id == "valid-to" || e.id == "revoked" })
	if from < 0 || until <= from {
		return
	}
	y := func(row int) int { return row*rowHeight + rowHeight/2 }
	d.box("bar", barLeft, y(from), barWidth, y(until)-y(from), 3)
}

// eventsOf are the events in the order of time.
func eventsOf(s *verify.SignatureReport, judged time.Time) []event {
	list := []event{{at: judged, id: "judged"}, {at: s.BestSignatureTime, id: "proven"}}
	if len(s.Chain) > 0 {
		own := s.Chain[0]
		list = append(list, event{at: own.NotBefore, id: "valid-from"}, event{at: own.NotAfter, id: "valid-to"})
		if own.RevokedAt != nil {
			list = append(list, event{at: *own.RevokedAt, id: "revoked", tone: Bad})
		}
	}
	if s.SigningTime != nil {
		list = append(list, event{at: *s.SigningTime, id: "claimed"})
	}
	for _, t := range s.Timestamps {
		if t.Time != nil {
			list = append(list, event{*t.Time, "stamp", t.SignedBy, Tone(t.Indication)})
		}
	}
	for _, r := range s.EvidenceRecords {
		if r.Time != nil {
			list = append(list, event{at: *r.Time, id: "record", tone: Tone(r.Indication)})
		}
	}
	slices.SortStableFunc(list, func(a, b event) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(rank[a.id], rank[b.id])) })
	return list
}

// rank orders what happens at one time: what is proven follows what proves it.
var rank = map[string]int{"valid-from": 0, "claimed": 1, "stamp": 2, "record": 3, "proven": 4, "revoked": 5, "valid-to": 6, "judged": 7}

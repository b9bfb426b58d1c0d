package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"trustcore/verify/prose"
	"trustcore/verify/trustlist"
)

// maxListsNamed bounds the territories that one note names.
const maxListsNamed = 8

// listNotes are ListNotes for the signatures of a report.
func (r *Report) listNotes(lists *trustlist.Snapshot, at time.Time) []string {
	var anchors []string
	lost := false
	for i := range r.Signatures {
		anchored := false
		for _, c := range r.Signatures[i].Chain {
			if c.Anchor {
				anchors, anchored = append(anchors, c.SHA256), true
			}
		}
		lost = lost || !anchored
	}
	return ListNotes(lists, anchors, lost, at)
}

// ListNotes say by which trusted lists something was judged and how old they were at the time of validation, and what may be
// missing because a list has run out, could not be fetched, or none is loaded. anchors are the certificates that the
// chains end at, SHA-256 in lower-case hex; lost tells that a chain ends nowhere.
func ListNotes(lists *trustlist.Snapshot, anchors []string, lost bool, at time.Time) []string {
	all := lists.Status()
	loaded := make([]*trustlist.Status, 0, len(all))
	for i := range all {
		if all[i].Error == "" {
			loaded = append(loaded, &all[i])
		}
	}
	if len(loaded) == 0 {
		return []string{"no trusted list is loaded, so no list can tell whether a signature is qualified"}
	}
	used := filesHolding(lists, anchors)
	var notes []string
	for _, s := range loaded {
		switch {
		case s.Role == "lotl" && s.RanOut(at):
			notes = append(notes, fmt.Sprintf("the list of the lists, sequence number %d, is past its next update, which was due on %s",
				s.Sequence, s.NextUpdate.Format(time.DateOnly)))
		case slices.Contains(used, s.File):
			notes = append(notes, ageOf(s, at))
			if !s.Failing.IsZero() {
				notes = append(notes, fmt.Sprintf("the trusted list of %s could not be fetched again since %s",
					prose.Short(s.Territory), s.Failing.UTC().Format(time.RFC3339)))
			}
		}
	}
	if !lost {
		return notes
	}
	if old := territories(loaded, func(s *trustlist.Status) bool { return s.RanOut(at) }); len(old) > 0 {
		notes = append(notes, fmt.Sprintf("%d trusted lists are past their next update, so that an issuer that is new may be missing: %s",
			len(old), strings.Join(old[:min(len(old), maxListsNamed)], ", ")))
	}
	if stuck := territories(loaded, func(s *trustlist.Status) bool { return !s.Failing.IsZero() }); len(stuck) > 0 {
		notes = append(notes, fmt.Sprintf("%d trusted lists could not be fetched again, so that an issuer that is new may be missing: %s",
			len(stuck), strings.Join(stuck[:min(len(stuck), maxListsNamed)], ", ")))
	}
	return notes
}

// ageOf says how old a list is that a signature was judged by.
func ageOf(s *trustlist.Status, at time.Time) string {
	text := fmt.Sprintf("trusted list of %s, sequence number %d, issued on %s (%d days before)", prose.Short(s.Territory), s.Sequence,
		s.Issued.Format(time.DateOnly), int(at.Sub(s.Issued).Hours()/24))
	switch {
	case s.NextUpdate.IsZero():
		return text + ": it is closed"
	case s.RanOut(at):
		return text + ": past its next update, which was due on " + s.NextUpdate.Format(time.DateOnly)
	}
	return text + ": its next update is due on " + s.NextUpdate.Format(time.DateOnly)
}

// territories are those of the lists of which something is so.
func territories(lists []*trustlist.Status, is func(*trustlist.Status) bool) []string {
	var all []string
	for _, s := range lists {
		if s.Role != "pivot" && is(s) {
			all = append(all, prose.Short(s.Territory))
		}
	}
	return all
}

// filesHolding are the files of the lists that the anchors are from.
func filesHolding(lists *trustlist.Snapshot, anchors []string) []string {
	var used []string
	for _, anchor := range anchors {
		if sum, err := hex.DecodeString(anchor); err == nil {
			used = append(used, lists.FilesHolding(sum)...)
		}
	}
	return used
}

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

// listNotes say by which trusted lists the signatures were judged and how old they are, and what may be missing because a
// list has run out, could not be fetched, or none is loaded. At the time of validation they are as old as they were then.
func (r *Report) listNotes(lists *trustlist.Snapshot, at time.Time) []string {
	loaded := slices.DeleteFunc(slices.Clone(lists.Status()), func(s trustlist.Status) bool { return s.Error != "" })
	if len(loaded) == 0 {
		return []string{"no trusted list is loaded, so no list can tell whether a signature is qualified"}
	}
	used, lost := r.listsUsed(lists)
	var notes []string
	for _, s := range loaded {
		switch {
		case s.Role == "lotl" && s.RanOut(at):
			notes = append(notes, fmt.Sprintf("the list of the lists, sequence number %d, is past its next update, which was due on %s",
				s.Sequence, s.NextUpdate.Format(time.DateOnly)))
		case used[s.File]:
			notes = append(notes, ageOf(s, at))
		default:
			continue
		}
		if !s.Failing.IsZero() {
			notes = append(notes, fmt.Sprintf("the trusted list of %s could not be fetched again since %s",
				prose.Short(s.Territory), s.Failing.UTC().Format(time.RFC3339)))
		}
	}
	if old := ranOut(loaded, at); lost && len(old) > 0 {
		notes = append(notes, fmt.Sprintf("%d trusted lists are past their next update, so that an issuer that is new may be missing: %s",
			len(old), strings.Join(old[:min(len(old), maxListsNamed)], ", ")))
	}
	return notes
}

// ageOf says how old a list is that a signature was judged by.
func ageOf(s trustlist.Status, at time.Time) string {
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

// ranOut are the territories of lists whose next update has passed.
func ranOut(lists []trustlist.Status, at time.Time) []string {
	var old []string
	for _, s := range lists {
		if s.Role != "pivot" && s.RanOut(at) {
			old = append(old, prose.Short(s.Territory))
		}
	}
	return old
}

// listsUsed are the files of the lists that the chains of the signatures end at. lost tells that one ends nowhere.
func (r *Report) listsUsed(lists *trustlist.Snapshot) (used map[string]bool, lost bool) {
	used = map[string]bool{}
	for i := range r.Signatures {
		anchored := false
		for _, c := range r.Signatures[i].Chain {
			if !c.Anchor {
				continue
			}
			anchored = true
			if sum, err := hex.DecodeString(c.SHA256); err == nil {
				for _, file := range lists.FilesHolding(sum) {
					used[file] = true
				}
			}
		}
		lost = lost || !anchored
	}
	return used, lost
}

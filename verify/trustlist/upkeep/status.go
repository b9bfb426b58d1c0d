package upkeep

import (
	"cmp"
	"encoding/hex"
	"slices"
	"time"

	"trustcore/verify/trustlist"
)

// Status is what is known of one list.
type Status struct {
	trustlist.Status
	Digest    string             `json:"digest,omitempty"`   // SHA-256 of its octets, lower-case hex
	Address   string             `json:"address,omitempty"`  // that it came from; "" where it was carried in
	Taken     time.Time          `json:"taken,omitzero"`     // into use
	Confirmed time.Time          `json:"confirmed,omitzero"` // when its source last said that it is the newest
	PastNext  bool               `json:"past_next_update"`   // its next update has passed
	Reason    string             `json:"reason,omitempty"`   // why it could not be fetched, last
	Failures  int                `json:"failures,omitempty"` // since Failing
	Remark    string             `json:"remark,omitempty"`   // on how it is published
	Next      time.Time          `json:"next,omitzero"`      // when it is asked for again
	Before    int                `json:"before,omitempty"`   // sequence number of the list that it took the place of
	Changes   []trustlist.Change `json:"changes,omitempty"`  // against that one
}

// Status tells of the list of the lists, its pivots, the national and the extra lists, in this order. Those that could not
// be had yet are among them, with the reason.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.cfg.Now()
	var all []Status
	seen := map[string]bool{}
	for _, m := range k.set.Members() {
		s := Status{Status: trustlist.StatusOf(m), Digest: hex.EncodeToString(m.Digest[:]), PastNext: m.Role != "pivot" && m.RanOut(now)}
		if key := m.Key(); key != "" {
			seen[key] = true
			s.add(k.place(key))
		}
		all = append(all, s)
	}
	for key, p := range k.places {
		if seen[key] || p.Lost == "" && p.Reason == "" {
			continue
		}
		s := Status{Status: trustlist.Status{File: key, Territory: key, Role: p.Role, Error: "no list is in use"}}
		if p.Lost != "" {
			s.Error = "the list that was in use can't be used any more: " + p.Lost
		}
		s.add(p)
		all = append(all, s)
	}
	order := []string{"lotl", "pivot", "national", "", "extra"}
	slices.SortStableFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Role), slices.Index(order, b.Role)), cmp.Compare(a.Territory, b.Territory), cmp.Compare(a.File, b.File))
	})
	return all
}

func (s *Status) add(p *place) {
	s.Address, s.Taken, s.Confirmed, s.Failing, s.Reason, s.Failures = p.Address, p.Taken, p.Confirmed, p.Failing, p.Reason, p.Failures
	s.Remark, s.Next, s.Before, s.Changes = p.Remark, p.next, p.Before, p.Changes
}

// Trouble says what is wrong with the folder, "" when nothing is.
func (k *Keeper) Trouble() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trouble
}

// Failing are the lists that can't be fetched now, by their keys, and since when.
func (k *Keeper) Failing() map[string]time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	failing := map[string]time.Time{}
	for key, p := range k.places {
		if !p.Failing.IsZero() {
			failing[key] = p.Failing
		}
	}
	return failing
}

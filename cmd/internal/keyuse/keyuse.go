// Package keyuse answers from the audit log who used a key of the HSM, when, how and under which authorisation, with the
// proof of each use.
package keyuse

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"trustcore/internal/audit"
)

// Log is what is asked: an audit log, or a copy of one.
type Log interface {
	List(ctx context.Context, f audit.Filter) ([]audit.Recorded, error)
	Prove(ctx context.Context, index uint64) (*audit.Proof, error)
}

// actions use a private key, or try to.
var actions = []string{"hsm.sign", "hsm.decrypt", "hsm.key.request"}

// failsWithin is how long after a use its failure may be written: a call lasts a few seconds.
const failsWithin = time.Minute

// Use is one use of a key, by the entry that allowed or refused it.
type Use struct {
	Entry     uint64    `json:"entry"`
	Time      time.Time `json:"time"`
	Who       string    `json:"who"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"` // the authorisation
	Key       string    `json:"key"`
	Version   string    `json:"version,omitempty"`
	Action    string    `json:"action"`
	Mechanism string    `json:"mechanism,omitempty"`
	Digest    string    `json:"digest,omitempty"` // of what was signed, or of the ciphertext
	Outcome   string    `json:"outcome"`          // Used, Refused or Failed
	Reason    string    `json:"reason,omitempty"`
}

// Outcomes of uses. A use that failed was allowed, and came to nothing.
const (
	Used    = "used"
	Refused = "refused"
	Failed  = "failed"
)

// In returns the uses of the chosen entries, oldest first. Uses whose failure is written later are told as such.
func In(ctx context.Context, log Log, f audit.Filter) ([]Use, error) {
	until := f.Before
	if !until.IsZero() {
		f.Before = until.Add(failsWithin)
	}
	entries, err := log.List(ctx, f)
	if err != nil {
		return nil, err
	}
	var uses []Use
	failed := map[string]string{} // reason by the index of the use
	for _, e := range entries {
		switch {
		case !slices.Contains(actions, e.Action):
		case e.Outcome == audit.Failed:
			failed[e.Details["granted"]] = e.Reason
		case until.IsZero() || e.Time.Before(until):
			uses = append(uses, of(e))
		}
	}
	for i := range uses {
		if why, is := failed[strconv.FormatUint(uses[i].Entry, 10)]; is {
			uses[i].Outcome, uses[i].Reason = Failed, why
		}
	}
	return uses, nil
}

func of(e audit.Recorded) Use {
	u := Use{Entry: e.Index, Time: e.Time.UTC(), Who: e.Actor.String(), Partner: e.Partner, Order: e.Order, Key: e.Subject,
		Version: e.Details["version"], Action: e.Action, Mechanism: e.Details["mechanism"], Digest: e.Details["digest"],
		Outcome: Used, Reason: e.Reason}
	if e.Action == "hsm.decrypt" {
		u.Digest = e.Details["ciphertext"]
	}
	if e.Outcome == audit.Refused {
		u.Outcome = Refused
	}
	return u
}

// aKeyID is how the HSM names keys.
var aKeyID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// NameError says that a name means no key.
type NameError struct{ Reason string }

// Error returns the reason.
func (e *NameError) Error() string { return e.Reason }

// named are the keys that a name means: an ID, or PARTNER/LABEL, which means all versions that the log has seen made.
func named(ctx context.Context, log Log, name string) ([]string, error) {
	if aKeyID.MatchString(name) {
		return []string{name}, nil
	}
	partner, label, ok := strings.Cut(name, "/")
	if !ok || partner == "" || label == "" {
		return nil, &NameError{fmt.Sprintf("%.60q: write the key's ID, 32 hexadecimal digits, or PARTNER/NAME", name)}
	}
	made, err := log.List(ctx, audit.Filter{Partner: partner, Action: "hsm.key.generate"})
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, e := range made {
		if e.Outcome == audit.Granted && e.Details["label"] == label && !slices.Contains(keys, e.Subject) {
			keys = append(keys, e.Subject)
		}
	}
	if len(keys) == 0 {
		return nil, &NameError{fmt.Sprintf("the log has no key %s of %s: trustctl key list --partner %[2]s shows those that there are", label, partner)}
	}
	return keys, nil
}

// Answer is the answer to who used a key.
type Answer struct {
	Keys   []string       `json:"keys"`
	Uses   []Use          `json:"uses"`
	Proofs []*audit.Proof `json:"proofs,omitempty"`
}

// Who returns the uses of a key, oldest first. The error is a *NameError when the name means none.
func Who(ctx context.Context, log Log, name string, f audit.Filter) (*Answer, error) {
	keys, err := named(ctx, log, name)
	if err != nil {
		return nil, err
	}
	a := &Answer{Keys: keys, Uses: []Use{}}
	for _, id := range keys {
		f.Subject = id
		uses, err := In(ctx, log, f)
		if err != nil {
			return nil, err
		}
		a.Uses = append(a.Uses, uses...)
	}
	slices.SortFunc(a.Uses, func(x, y Use) int { return int(int64(x.Entry) - int64(y.Entry)) })
	return a, nil
}

// MaxProofs bounds one answer with proofs: each is a few KB.
const MaxProofs = 10_000

// Prove adds the proof of each use that it stands in the log.
func (a *Answer) Prove(ctx context.Context, log Log) error {
	if len(a.Uses) > MaxProofs {
		return &NameError{fmt.Sprintf("%d uses, at most %d are proven at once: name a shorter time", len(a.Uses), MaxProofs)}
	}
	for _, u := range a.Uses {
		one, err := log.Prove(ctx, u.Entry)
		if err != nil {
			return err
		}
		a.Proofs = append(a.Proofs, one)
	}
	return nil
}

// Check holds the uses against the entries that are proven: one proof each, in their order.
func (a *Answer) Check() error {
	if len(a.Proofs) != len(a.Uses) {
		return fmt.Errorf("%d proofs of %d uses", len(a.Proofs), len(a.Uses))
	}
	for i, p := range a.Proofs {
		var e audit.Entry
		if err := json.Unmarshal(p.Entry, &e); err != nil {
			return fmt.Errorf("entry %d: %w", p.Index, err)
		}
		says := of(audit.Recorded{Index: p.Index, Entry: e})
		told := a.Uses[i]
		if told.Outcome == Failed { // which another entry says
			told.Outcome, told.Reason = says.Outcome, says.Reason
		}
		if told != says {
			return fmt.Errorf("entry %d says another thing than is told of it", p.Index)
		}
	}
	return nil
}

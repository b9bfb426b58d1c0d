package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"trustcore/internal/audit"
	"trustcore/internal/durable"
)

// usesOfKeys are the actions that use a private key, or try to.
var usesOfKeys = []string{"hsm.sign", "hsm.decrypt", "hsm.key.request"}

// failsWithin is how long after a use its failure may be written: a call lasts a few seconds.
const failsWithin = time.Minute

// keyUse is one use of a key, by the entry that allowed or refused it.
type keyUse struct {
	Entry     uint64    `json:"entry"`
	Time      time.Time `json:"time"`
	Who       string    `json:"who"`
	Partner   string    `json:"partner,omitempty"`
	Order     string    `json:"order,omitempty"`
	Key       string    `json:"key"`
	Version   string    `json:"version,omitempty"`
	Action    string    `json:"action"`
	Mechanism string    `json:"mechanism,omitempty"`
	Digest    string    `json:"digest,omitempty"` // of what was signed, or of the ciphertext
	Outcome   string    `json:"outcome"`          // used, refused or failed
	Reason    string    `json:"reason,omitempty"`
}

// Outcomes of uses. A use that failed was allowed, and came to nothing.
const (
	wasUsed    = "used"
	wasRefused = "refused"
	wasFailed  = "failed"
)

// usesIn returns the uses of the chosen entries, oldest first. Uses whose failure is written later are told as such.
func usesIn(ctx context.Context, r *audit.Reader, f audit.Filter) ([]keyUse, error) {
	until := f.Before
	if !until.IsZero() {
		f.Before = until.Add(failsWithin)
	}
	entries, err := r.List(ctx, f)
	if err != nil {
		return nil, err
	}
	var uses []keyUse
	failed := map[string]string{} // reason by the index of the use
	for _, e := range entries {
		switch {
		case !slices.Contains(usesOfKeys, e.Action):
		case e.Outcome == audit.Failed:
			failed[e.Details["granted"]] = e.Reason
		case until.IsZero() || e.Time.Before(until):
			uses = append(uses, useOf(e))
		}
	}
	for i := range uses {
		if why, is := failed[strconv.FormatUint(uses[i].Entry, 10)]; is {
			uses[i].Outcome, uses[i].Reason = wasFailed, why
		}
	}
	return uses, nil
}

func useOf(e audit.Recorded) keyUse {
	u := keyUse{Entry: e.Index, Time: e.Time.UTC(), Who: e.Actor.String(), Partner: e.Partner, Order: e.Order, Key: e.Subject,
		Version: e.Details["version"], Action: e.Action, Mechanism: e.Details["mechanism"], Digest: e.Details["digest"],
		Outcome: wasUsed, Reason: e.Reason}
	if e.Action == "hsm.decrypt" {
		u.Digest = e.Details["ciphertext"]
	}
	if e.Outcome == audit.Refused {
		u.Outcome = wasRefused
	}
	return u
}

// aKeyID is how the HSM names keys.
var aKeyID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// keysNamed are the keys that a name means: an ID, or PARTNER/LABEL, which means all versions that the log has seen made.
func keysNamed(ctx context.Context, r *audit.Reader, name string) ([]string, error) {
	if aKeyID.MatchString(name) {
		return []string{name}, nil
	}
	partner, label, ok := strings.Cut(name, "/")
	if !ok || partner == "" || label == "" {
		return nil, fmt.Errorf("--key: %.60q: write the key's ID, 32 hexadecimal digits, or PARTNER/NAME", name)
	}
	made, err := r.List(ctx, audit.Filter{Partner: partner, Action: "hsm.key.generate"})
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
		return nil, fmt.Errorf("--key: the log has no key %s of %s: trustctl key list --partner %[2]s shows those that there are", label, partner)
	}
	return keys, nil
}

// whoAnswer is the answer to who used a key.
type whoAnswer struct {
	Keys   []string       `json:"keys"`
	Uses   []keyUse       `json:"uses"`
	Proofs []*audit.Proof `json:"proofs,omitempty"`
}

func (a *whoAnswer) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "ENTRY\tTIME (UTC)\tWHO\tORDER\tVERSION\tHOW\tDIGEST\tOUTCOME")
	by := map[string]int{}
	for _, u := range a.Uses {
		outcome := u.Outcome
		if u.Reason != "" {
			outcome += ": " + u.Reason
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%.16s\t%s\n", u.Entry, u.Time.Format(time.RFC3339), u.Who, u.Order, u.Version,
			strings.TrimSpace(strings.TrimPrefix(u.Action, "hsm.")+" "+u.Mechanism), u.Digest, outcome)
		if u.Outcome == wasUsed {
			by[u.Who]++
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, who := range sortedKeys(by) {
		fmt.Fprintf(out, "%s used it %d times\n", who, by[who])
	}
	if len(by) == 0 {
		fmt.Fprintln(out, "nobody used it")
	}
	return nil
}

// maxProofs bounds one answer with proofs: each is a few KB.
const maxProofs = 10_000

func auditWho(p *auditPlace) *cobra.Command {
	var key, on, from, to, proof string
	var asJSON bool
	c := &cobra.Command{Use: "who --key KEY [--on DAY]", Short: "Say who used a key of the HSM, with proof", Args: cobra.NoArgs,
		Long: `Lists the uses of a key: signatures, decryptions and certificate requests, those that were refused and those that came to
nothing too, and sums who used it. KEY is its ID, or PARTNER/NAME, which means all versions of the key. Days are UTC.

  trustctl audit who --key um-przykladowo/seal --on 2026-03-03
  trustctl audit who --key 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --from 2026-03 --to 2026-03 --proof march.json
  trustctl audit check march.json --key checkpoint.pub

--proof writes the uses with the proof of each that it stands in the log, for who has neither the log nor trust in this
machine. That the log has no other uses is what trustctl audit verify says, with a checkpoint that was kept elsewhere. The
log is that of a node: with several, ask each of them.`,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := whenUsed(on, from, to)
			if err != nil {
				return err
			}
			if key == "" {
				return errors.New("--key is missing: the ID of the key, or PARTNER/NAME")
			}
			r, err := p.reader()
			if err != nil {
				return err
			}
			a, err := whoUsed(c.Context(), r, key, f, proof != "")
			if err == nil && proof != "" {
				err = writeProofs(proof, a)
			}
			if err != nil {
				return err
			}
			return show(c.OutOrStdout(), a, asJSON)
		}}
	fl := c.Flags()
	fl.StringVar(&key, "key", "", "`id` of the key, or PARTNER/NAME")
	fl.StringVar(&p.key, "checkpoint-key", "", "`file` with the checkpoints' public key that was kept elsewhere (default the one beside the log)")
	fl.StringVar(&on, "on", "", "this `day`, month or hour in UTC: 2026-03-03, 2026-03 or 2026-03-03T12")
	fl.StringVar(&from, "from", "", "from the beginning of this `time` on")
	fl.StringVar(&to, "to", "", "up to the end of this `time`")
	fl.StringVar(&proof, "proof", "", "`file` to write the uses with their proofs into")
	fl.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// whenUsed is the period that the flags name.
func whenUsed(on, from, to string) (f audit.Filter, err error) {
	if on != "" && from+to != "" {
		return f, errors.New("--on: leave out --from and --to, or it")
	}
	if on != "" {
		if f.From, f.Before, err = audit.ParsePeriod(on); err != nil {
			err = fmt.Errorf("--on: %w", err)
		}
		return f, err
	}
	return f, choosePeriod(&f, from, to)
}

func whoUsed(ctx context.Context, r *audit.Reader, name string, f audit.Filter, prove bool) (*whoAnswer, error) {
	keys, err := keysNamed(ctx, r, name)
	if err != nil {
		return nil, err
	}
	a := &whoAnswer{Keys: keys, Uses: []keyUse{}}
	for _, id := range keys {
		f.Subject = id
		uses, err := usesIn(ctx, r, f)
		if err != nil {
			return nil, err
		}
		a.Uses = append(a.Uses, uses...)
	}
	slices.SortFunc(a.Uses, func(x, y keyUse) int { return int(int64(x.Entry) - int64(y.Entry)) })
	if !prove {
		return a, nil
	}
	if len(a.Uses) > maxProofs {
		return nil, fmt.Errorf("--proof: %d uses, at most %d are proven at once: name a shorter time", len(a.Uses), maxProofs)
	}
	for _, u := range a.Uses {
		one, err := r.Prove(ctx, u.Entry)
		if err != nil {
			return nil, err
		}
		a.Proofs = append(a.Proofs, one)
	}
	return a, nil
}

func writeProofs(file string, a *whoAnswer) error {
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("--proof: %s is there already", file)
	}
	var text strings.Builder
	if err := writeJSON(&text, a); err != nil {
		return err
	}
	return durable.WriteFile(file, []byte(text.String()), 0o644)
}

// check holds the uses against the entries that are proven: one proof each, in their order.
func (a *whoAnswer) check() error {
	if len(a.Proofs) != len(a.Uses) {
		return fmt.Errorf("%d proofs of %d uses", len(a.Proofs), len(a.Uses))
	}
	for i, p := range a.Proofs {
		var e audit.Entry
		if err := json.Unmarshal(p.Entry, &e); err != nil {
			return fmt.Errorf("entry %d: %w", p.Index, err)
		}
		says := useOf(audit.Recorded{Index: p.Index, Entry: e})
		told := a.Uses[i]
		if told.Outcome == wasFailed { // which another entry says
			told.Outcome, told.Reason = says.Outcome, says.Reason
		}
		if told != says {
			return fmt.Errorf("entry %d says another thing than is told of it", p.Index)
		}
	}
	return nil
}

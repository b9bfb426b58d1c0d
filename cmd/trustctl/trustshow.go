package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"trustcore/verify/certificate"
	"trustcore/verify/prose"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// trustStatus is verifyd's answer to GET /v1/trust/status.
type trustStatus struct {
	Kept     bool            `json:"kept"`
	Fetches  bool            `json:"fetches"`
	Loaded   time.Time       `json:"loaded"`
	Services int             `json:"services"`
	Anchors  int             `json:"anchors"`
	Lists    []upkeep.Status `json:"lists"`
	Findings []string        `json:"findings"`
}

func (s *trustStatus) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "LIST\tROLE\tSEQUENCE\tISSUED\tNEXT UPDATE\tSERVICES\tSTATE")
	for _, l := range s.Lists {
		name := l.Territory
		if l.Role == "extra" {
			name = l.File
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", prose.Short(name), l.Role, some(l.Sequence), date(l.Issued), date(l.NextUpdate), some(l.Services), stateOf(&l))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d services", s.Services)
	if s.Anchors > 0 {
		fmt.Fprintf(out, ", and %d files with anchors", s.Anchors)
	}
	fmt.Fprintln(out)
	for _, f := range s.Findings {
		fmt.Fprintln(out, "!", prose.Text(f))
	}
	return nil
}

func stateOf(l *upkeep.Status) string {
	switch {
	case l.Error != "":
		return "not used"
	case l.PastNext:
		return "run out"
	case l.Reason != "":
		return "not fetched again"
	}
	return "in use"
}

func some(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func date(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateOnly)
}

// shownList is one list for people.
type shownList trustlist.Summary

func (l *shownList) show(out io.Writer) error {
	fmt.Fprintf(out, "list of %s, sequence number %d, version %d, issued on %s, next update %s\n\n",
		prose.Short(l.Territory), l.Sequence, l.Version, date(l.Issued), date(l.NextUpdate))
	w := table(out)
	fmt.Fprintln(w, "PROVIDER\tSERVICE\tTYPE\tSTATUS\tSINCE\tFOR")
	for _, s := range l.Services {
		now := s.Periods[0]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", prose.Short(s.Provider), prose.Short(s.Name), prose.Short(s.Type), prose.Short(now.Status), date(now.Since),
			prose.Short(strings.Join(now.Additional, " ")))
	}
	return w.Flush()
}

// carried is what became of files.
type carried []upkeep.Taken

// refused counts what is wrong; what is merely older than what is in use is not.
func (c *carried) refused() int {
	n := 0
	for _, t := range *c {
		if t.Error != "" && !t.Older {
			n++
		}
	}
	return n
}

func (c *carried) show(out io.Writer) error {
	w := table(out)
	fmt.Fprintln(w, "FILE\tLIST\tSEQUENCE\tISSUED\tOUTCOME")
	taken := 0
	for _, t := range *c {
		outcome := "taken"
		switch {
		case t.Known:
			outcome = "in use already"
		case t.Older:
			outcome = "not taken: " + prose.Text(t.Error)
		case t.Error != "":
			outcome = "refused: " + prose.Text(t.Error)
		default:
			taken++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", prose.Short(t.File), prose.Short(t.Territory), some(t.Sequence), date(t.Issued), outcome)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d taken, %d refused, of %d\n", taken, c.refused(), len(*c))
	return err
}

// listDiff is in what one list differs from another.
type listDiff struct {
	Territory string             `json:"territory"`
	From      int                `json:"from,omitempty"` // sequence numbers; 0: there was none
	To        int                `json:"to,omitempty"`
	Changes   []trustlist.Change `json:"changes"`
}

type listDiffs []listDiff

// lastChanges is what changed when lists were taken last.
func lastChanges(s *trustStatus) *listDiffs {
	d := listDiffs{}
	for _, l := range s.Lists {
		if len(l.Changes) > 0 {
			d = append(d, listDiff{l.Territory, l.Before, l.Sequence, l.Changes})
		}
	}
	return &d
}

// diffOf compares two lists, or two folders of lists.
func diffOf(old, now string) (*listDiffs, error) {
	before, err := newestIn(old)
	if err != nil {
		return nil, err
	}
	after, err := newestIn(now)
	if err != nil {
		return nil, err
	}
	d := listDiffs{}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, territory := range slices.Sorted(maps.Keys(all)) {
		one := listDiff{Territory: territory, Changes: []trustlist.Change{}}
		if l := before[territory]; l != nil {
			one.From = l.Sequence
		}
		if l := after[territory]; l != nil {
			one.To = l.Sequence
		}
		if before[territory] != nil && after[territory] != nil {
			one.Changes = append(one.Changes, trustlist.Changes(before[territory], after[territory])...)
		}
		if one.From != one.To || len(one.Changes) > 0 {
			d = append(d, one)
		}
	}
	return &d, nil
}

// newestIn reads a list, or the newest of each territory in a folder.
func newestIn(path string) (map[string]*trustlist.List, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		files = nil
		for _, e := range entries {
			if !e.IsDir() && trustlist.MayBeList(e.Name()) {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	newest := map[string]*trustlist.List{}
	for _, file := range files {
		data, err := readTrustedList(file)
		if err != nil {
			return nil, err
		}
		l, err := trustlist.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if was := newest[l.Territory]; was == nil || was.Sequence < l.Sequence {
			newest[l.Territory] = l
		}
	}
	return newest, nil
}

func (d *listDiffs) show(out io.Writer) error {
	if len(*d) == 0 {
		_, err := fmt.Fprintln(out, "no difference")
		return err
	}
	for _, l := range *d {
		fmt.Fprintf(out, "%s: %s -> %s\n", prose.Short(l.Territory), number(l.From), number(l.To))
		w := table(out)
		for _, c := range l.Changes {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", c.What, prose.Short(c.Provider), prose.Short(c.Service), prose.Short(c.Type), between(&c))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func number(sequence int) string {
	if sequence == 0 {
		return "none"
	}
	return fmt.Sprint(sequence)
}

func between(c *trustlist.Change) string {
	text := strings.Trim(prose.Text(c.From)+" -> "+prose.Text(c.To), "-> ")
	if !c.Since.IsZero() {
		text += " since " + date(c.Since)
	}
	return text
}

// signersShown are the signers that are shipped.
type signersShown []signersOfIssue

type signersOfIssue struct {
	Name         string        `json:"name"`
	Source       string        `json:"source"`
	Since        time.Time     `json:"since"`
	SHA256       string        `json:"sha256"` // of the file that is shipped
	Certificates []signerShown `json:"certificates"`
}

type signerShown struct {
	Subject  string    `json:"subject"`
	SHA256   string    `json:"sha256"`
	NotAfter time.Time `json:"not_after,omitzero"`
}

func shippedSigners() *signersShown {
	var all signersShown
	for _, s := range trustlist.Journal() {
		issue := signersOfIssue{Name: s.Name, Source: s.Source, Since: s.Since, SHA256: s.SHA256}
		for _, der := range s.Certificates {
			sum := sha256.Sum256(der)
			one := signerShown{SHA256: hex.EncodeToString(sum[:])}
			if c, err := certificate.Parse(der); err == nil {
				one.Subject, one.NotAfter = c.Subject.String(), c.NotAfter
			}
			issue.Certificates = append(issue.Certificates, one)
		}
		all = append(all, issue)
	}
	return &all
}

func (s *signersShown) show(out io.Writer) error {
	for _, issue := range *s {
		fmt.Fprintf(out, "%s\n%s\nfile sha256 %s\n", issue.Name, issue.Source, issue.SHA256)
		for _, c := range issue.Certificates {
			fmt.Fprintf(out, "  %s  until %s  %s\n", c.SHA256, date(c.NotAfter), prose.Short(c.Subject))
		}
	}
	return nil
}

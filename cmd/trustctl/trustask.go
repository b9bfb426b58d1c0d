package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// asked are the lists of a verifyd.
type asked struct{ *officer }

func (f *trustFlags) verifyd() (lists, error) {
	o := f.officerFlags
	if o.server == "" {
		st, err := openState(o.state)
		if err != nil {
			return nil, err
		}
		l, err := st.layout()
		if err != nil {
			return nil, fmt.Errorf("%w; start the appliance with `trustctl up`, name --state or --server, or tend a folder with --keep", err)
		}
		o.server = l.Verifyd
	}
	who, err := o.open()
	if err != nil {
		return nil, err
	}
	who.daemon = "verifyd"
	return asked{who}, nil
}

func (a asked) close() error { return nil }

func (a asked) status(ctx context.Context) (*trustStatus, error) {
	var s trustStatus
	return &s, a.call(ctx, http.MethodGet, "/v1/trust/status", nil, &s)
}

func (a asked) list(ctx context.Context, territory string) (*trustlist.Summary, error) {
	var s trustlist.Summary
	return &s, a.call(ctx, http.MethodGet, "/v1/trust/lists/"+url.PathEscape(territory), nil, &s)
}

func (a asked) refresh(ctx context.Context) (*trustStatus, error) {
	var s trustStatus
	return &s, a.call(ctx, http.MethodPost, "/v1/trust/refresh", nil, &s)
}

func (a asked) carry(ctx context.Context, files []upkeep.File) (*carried, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.Name, Mode: 0o600, Size: int64(len(f.Octets))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Octets); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	var c carried
	return &c, a.call(ctx, http.MethodPost, "/v1/trust/imports", archive.Bytes(), &c)
}

// kept are the lists of a folder that this process tends.
type kept struct{ *upkeep.Keeper }

func (k *kept) close() error { return k.Close() }

func (k *kept) status(ctx context.Context) (*trustStatus, error) {
	lists, err := trustlist.Load(ctx, trustlist.Sources{Set: k.Set()})
	if err != nil {
		return nil, err
	}
	s := &trustStatus{Kept: true, Loaded: time.Now().UTC(), Services: lists.Services(), Lists: k.Status(), Findings: []string{}}
	if s.Services == 0 {
		s.Findings = append(s.Findings, "no trusted list is in use: trustctl trust refresh, or trustctl trust import FOLDER")
	}
	for _, l := range s.Lists {
		s.Findings = append(s.Findings, findingsOf(&l)...)
	}
	return s, nil
}

// findingsOf says what is wrong with one list.
func findingsOf(l *upkeep.Status) []string {
	var all []string
	name := "the list of " + l.Territory
	switch {
	case l.Error != "":
		all = append(all, name+" is not used: "+l.Error)
	case l.PastNext:
		all = append(all, name+" has run out: its next update was due on "+l.NextUpdate.Format(time.DateOnly))
	}
	if l.Reason != "" {
		all = append(all, fmt.Sprintf("%s could not be fetched since %s: %s", name, l.Failing.UTC().Format(time.RFC3339), l.Reason))
	}
	if l.Remark != "" {
		all = append(all, name+": "+l.Remark)
	}
	return all
}

func (k *kept) list(ctx context.Context, territory string) (*trustlist.Summary, error) {
	lists, err := trustlist.Load(ctx, trustlist.Sources{Set: k.Set()})
	if err != nil {
		return nil, err
	}
	for _, l := range lists.Lists() {
		if l.Territory == territory {
			s := l.Summary()
			return &s, nil
		}
	}
	return nil, fmt.Errorf("no list of %q is in use: trustctl trust status names those that are", territory)
}

func (k *kept) refresh(ctx context.Context) (*trustStatus, error) {
	if err := k.Refresh(ctx); err != nil {
		return nil, err
	}
	return k.status(ctx)
}

func (k *kept) carry(ctx context.Context, files []upkeep.File) (*carried, error) {
	taken, err := k.Import(ctx, files)
	c := carried(taken)
	return &c, err
}

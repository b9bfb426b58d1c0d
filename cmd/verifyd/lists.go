package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"reflect"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/internal/problem"
	"trustcore/verify/api"
	"trustcore/verify/client"
	"trustcore/verify/trustlist"
	"trustcore/verify/trustlist/upkeep"
)

// Limits of lists that are carried in: all of the Union's have 6 MB compressed and 45 MB as they are.
const (
	maxCarried      = 64 << 20 // bytes of the archive
	maxCarriedFiles = 500
	refreshPause    = time.Minute // between two refreshes that somebody asks for
)

// routes are those that have to do with what verifyd judges by, served also while there are no lists.
func (j *judge) routes(s httpserver.Server) []api.Route {
	t := j.trust
	return []api.Route{
		{Method: http.MethodGet, Path: "/v1/expiring", ID: "expiring",
			Summary: "What verifyd judges by and people have to renew, what ends first first.",
			Handler: s.JSON(func(*http.Request) (any, error) { return j.ends, nil }),
			Answer:  reflect.TypeFor[[]ending]()},
		{Method: http.MethodGet, Path: "/v1/trust/status", ID: "trustStatus",
			Summary: "Which trusted lists are in use, and what is wrong with them.",
			Handler: s.JSON(func(*http.Request) (any, error) { return t.status(time.Now()), nil }),
			Answer:  reflect.TypeFor[client.TrustStatus]()},
		{Method: http.MethodGet, Path: "/v1/trust/lists/{key}", ID: "trustList",
			Summary: "The services of a trusted list, by its territory.",
			Handler: s.JSON(t.show),
			Answer:  reflect.TypeFor[client.TrustList]()},
		{Method: http.MethodPost, Path: "/v1/trust/refresh", ID: "trustRefresh",
			Summary: "Have the trusted lists fetched now. For officers.",
			Handler: s.JSON(t.refresh),
			Answer:  reflect.TypeFor[client.TrustStatus]()},
		{Method: http.MethodPost, Path: "/v1/trust/imports", ID: "trustImport",
			Summary: "Carry trusted lists in, as a tar archive. For officers.",
			Handler: s.JSON(t.carriedIn),
			Media:   "application/x-tar", Answer: reflect.TypeFor[[]upkeep.Taken]()},
	}
}

func (t *trust) status(now time.Time) client.TrustStatus {
	s := t.current.Load()
	status := client.TrustStatus{Kept: t.keeper != nil, Fetches: t.fetches, Loaded: s.loaded.UTC(), Services: s.Services(),
		Anchors: len(t.sources.Anchors), Lists: t.lists(now), Findings: []string{}}
	for _, f := range t.findings(now) {
		status.Findings = append(status.Findings, f.What+": "+f.Remedy)
	}
	return status
}

// lists are all lists that are known of, kept ones and those of files.
func (t *trust) lists(now time.Time) []upkeep.Status {
	all := []upkeep.Status{}
	if t.keeper != nil {
		all = append(all, t.keeper.Status()...)
	}
	for _, s := range t.current.Load().Status() {
		if t.keeper == nil || t.isFile(s) {
			all = append(all, upkeep.Status{Status: s, PastNext: s.Role != "pivot" && s.RanOut(now)})
		}
	}
	return all
}

// isFile tells of an extra list that the configuration names as a file; those that are kept have an address.
func (t *trust) isFile(s trustlist.Status) bool {
	for _, file := range t.sources.Extra {
		if path.Base(file) == s.File {
			return true
		}
	}
	return false
}

// show gives the services of a list by its territory.
func (t *trust) show(r *http.Request) (any, error) {
	key := r.PathValue("key")
	for _, l := range t.current.Load().Lists() {
		if l.Territory == key {
			return l.Summary(), nil
		}
	}
	return nil, problem.RefuseField(http.StatusNotFound, "key", "no list of %q is in use: GET /v1/trust/status names those that are", key)
}

// refresh asks for all lists, and answers with what is in use then. It goes on when the client leaves.
func (t *trust) refresh(r *http.Request) (any, error) {
	if t.keeper == nil || !t.fetches {
		return nil, problem.Refuse(http.StatusConflict, "this verifyd fetches no lists: set lists.fetch in its configuration, or carry lists in")
	}
	if !t.mayRefresh(time.Now()) {
		p := problem.Refuse(http.StatusTooManyRequests, "the lists were asked for less than %s ago", refreshPause)
		p.RetryAfter = int(refreshPause / time.Second)
		return nil, p
	}
	if err := t.keeper.Refresh(context.WithoutCancel(r.Context())); err != nil {
		return nil, err
	}
	return t.status(time.Now()), nil
}

// mayRefresh keeps callers from having publishers asked all the time.
func (t *trust) mayRefresh(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.refreshed) < refreshPause {
		return false
	}
	t.refreshed = now
	return true
}

// carriedIn takes the lists of a tar archive.
func (t *trust) carriedIn(r *http.Request) (any, error) {
	if t.keeper == nil {
		return nil, problem.Refuse(http.StatusConflict, "this verifyd reads its lists from the folder trust_lists: put them there")
	}
	if err := problem.Limit(r, maxCarried); err != nil {
		return nil, err
	}
	files, err := readArchive(r.Body)
	if err != nil {
		return nil, err
	}
	taken, err := t.keeper.Import(r.Context(), files)
	if err != nil {
		return nil, fmt.Errorf("lists that were carried in: %w", err)
	}
	return taken, nil
}

// readArchive reads the files of a tar archive. What a file is called counts for nothing but to name it.
func readArchive(body io.Reader) ([]upkeep.File, error) {
	var files []upkeep.File
	for archive := tar.NewReader(body); ; {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			if len(files) == 0 {
				return nil, problem.Refuse(http.StatusBadRequest, "the archive holds no file")
			}
			return files, nil
		case err != nil:
			return nil, asArchive(err)
		case h.Typeflag != tar.TypeReg:
			continue
		case len(files) == maxCarriedFiles:
			return nil, problem.Refuse(http.StatusRequestEntityTooLarge, "at most %d files are taken at once", maxCarriedFiles)
		}
		octets, err := io.ReadAll(archive)
		if err != nil {
			return nil, asArchive(err)
		}
		files = append(files, upkeep.File{Name: path.Base(h.Name), Octets: octets})
	}
}

// asArchive makes a problem of what is wrong with an archive.
func asArchive(err error) error {
	var large *http.MaxBytesError
	var p *problem.Problem
	if errors.As(err, &large) || errors.As(err, &p) {
		return err
	}
	return problem.Refuse(http.StatusBadRequest, "the body is no tar archive that can be read to its end")
}

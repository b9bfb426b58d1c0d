package api

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"trustcore/verify"
	"trustcore/verify/keep"
)

// kept answers with a report that can be kept. It is a copy of the verdict, and says so, or is sealed, and says that: one
// that says so and has no seal never leaves.
func (s *Server) kept(ctx context.Context, c *call) (any, error) {
	name := c.query.Get("report")
	form, known := keep.Forms[name]
	if !known {
		return nil, refuse(http.StatusBadRequest, "report", "%.40q is no form of a report: write %s", name,
			strings.Join(slices.Sorted(maps.Keys(keep.Forms)), ", "))
	}
	if c.later {
		return nil, refuse(http.StatusBadRequest, "report", "a result that comes later is JSON: leave out report or later")
	}
	sealed, err := s.sealed(c.query.Get("seal"), name, form)
	if err != nil {
		return nil, err
	}
	r := keep.Report{Place: keep.Server, Judge: s.cfg.Name, Language: cmp.Or(c.language, verify.Languages[0]), Sealed: sealed}
	err = s.withDocument(c, func(in order) (err error) {
		in.Trace = true
		r.Name, r.Size = in.name, int64(len(in.Document))
		r.Verdict, err = s.judgeFor(ctx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	data, err := form.Write(r)
	if err == nil && sealed {
		data, err = s.cfg.Seal(ctx, name, data)
	}
	if err != nil {
		return nil, err
	}
	return &reply{data: data, media: form.Media, header: map[string]string{
		"Content-Language":    r.Language,
		"Content-Disposition": `attachment; filename="report` + form.End + `"`,
		// whoever opens it all the same gets a page that can do nothing
		"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
	}}, nil
}

// sealed reports whether a report is sealed: where it can be, unless the caller wants none; one who demands it is refused
// elsewhere.
func (s *Server) sealed(wanted, name string, form keep.Form) (bool, error) {
	demanded, err := boolean("seal", wanted)
	possible := s.cfg.Seal != nil && form.Sealable
	if demanded && !possible {
		return false, refuse(http.StatusBadRequest, "seal", "reports of the form %s are not sealed here: leave out seal", name)
	}
	return possible && (demanded || wanted == ""), err
}

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

// kept answers with a report that can be kept. It is a copy of the verdict and has no seal, and says so.
func (s *Server) kept(ctx context.Context, c *call) (any, error) {
	form, known := keep.Forms[c.query.Get("report")]
	if !known {
		return nil, refuse(http.StatusBadRequest, "report", "%.40q is no form of a report: write %s", c.query.Get("report"),
			strings.Join(slices.Sorted(maps.Keys(keep.Forms)), ", "))
	}
	if c.later {
		return nil, refuse(http.StatusBadRequest, "report", "a result that comes later is JSON: leave out report or later")
	}
	r := keep.Report{Place: keep.Server, Judge: s.cfg.Name, Language: cmp.Or(c.language, verify.Languages[0])}
	err := s.withDocument(c, func(in order) (err error) {
		in.Trace = true
		r.Name, r.Size = in.name, int64(len(in.Document))
		r.Verdict, err = s.judgeFor(ctx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	data, err := form.Write(r)
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

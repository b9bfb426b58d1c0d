package main

import (
	"context"
	"fmt"
	"time"

	"trustcore/cmd/internal/httpserver"
	"trustcore/verify/scan"
)

// oldSignatures is how old those of the scanner may be before people are told: ClamAV's come every day.
const oldSignatures = 7 * 24 * time.Hour

// scanner looks for malicious software in documents, where one is configured.
type scanner struct {
	*scan.Scanner // nil for none
	required      bool
}

func newScanner(cfg Scanner) (scanner, error) {
	if cfg.Socket == "" {
		return scanner{}, nil
	}
	s, err := scan.New(cfg.Socket, time.Now)
	return scanner{s, cfg.Required}, err
}

// ready says why nothing can be judged.
func (s scanner) ready(ctx context.Context) error {
	if s.Scanner == nil || !s.required {
		return nil
	}
	_, err := s.Version(ctx)
	return err
}

// findings tells of a scanner that is away, and of one that knows nothing of late.
func (s scanner) findings(ctx context.Context) []httpserver.Finding {
	if s.Scanner == nil {
		return nil
	}
	version, err := s.Version(ctx)
	if err != nil {
		f := httpserver.Finding{State: httpserver.Amber, What: err.Error() + ": documents are judged without it, and each report says so",
			Remedy: "look whether clamd runs, and whether verifyd may open its socket (group clamav)"}
		if s.required {
			f.State, f.What = httpserver.Red, err.Error()+": no document is judged"
		}
		return []httpserver.Finding{f}
	}
	if at := scan.Signatures(version); !at.IsZero() && time.Since(at) > oldSignatures {
		return []httpserver.Finding{{State: httpserver.Amber,
			What:   fmt.Sprintf("the scanner's signatures are of %s", at.Format(time.DateOnly)),
			Remedy: "look whether freshclam runs, and reaches its mirror"}}
	}
	return nil
}

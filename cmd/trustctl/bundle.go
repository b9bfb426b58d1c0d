package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"trustcore/internal/durable"
	"trustcore/verify"
	"trustcore/verify/bundle"
	"trustcore/verify/poland"
	"trustcore/verify/trustlist"
)

// keeper collects what the verdict on one document rests on, for --bundle.
type keeper struct {
	file    string
	without bool // the document itself
	bundle.Bundle
}

// trust loads lists and anchors. With --bundle what is judged by is laid out from the bundle, so that it is the same.
func (o *verifyOptions) trust(ctx context.Context, jobs []job, pins pinList) (*trustlist.Snapshot, *keeper, error) {
	if o.bundle == "" {
		if o.withoutDocument {
			return nil, nil, errors.New("--without-document: it is about the file of --bundle, which is not given")
		}
		o.lists.National = pins.Anchors()
		lists, err := trustlist.Load(ctx, o.lists)
		return lists, nil, err
	}
	if len(jobs) != 1 {
		return nil, nil, fmt.Errorf("--bundle: a bundle is about one document, %d are given", len(jobs))
	}
	if _, err := os.Lstat(o.bundle); err == nil {
		return nil, nil, fmt.Errorf("--bundle: %s is there already: name a new file", o.bundle)
	}
	k := &keeper{file: o.bundle, without: o.withoutDocument}
	if err := k.Keep(o.lists); err != nil {
		return nil, nil, fmt.Errorf("--bundle: %w", err)
	}
	k.Pins = pins.file
	lists, err := loadFrom(ctx, &k.Bundle, pins.Pins)
	if err != nil {
		return nil, nil, err
	}
	k.Status = lists.Status()
	k.nameLists()
	return lists, k, nil
}

// loadFrom loads the lists and anchors of a bundle.
func loadFrom(ctx context.Context, b *bundle.Bundle, pins *poland.Pins) (lists *trustlist.Snapshot, err error) {
	dir, err := os.MkdirTemp("", "trustctl-bundle-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	src, err := b.Sources(dir)
	if err != nil {
		return nil, err
	}
	src.National = pins.Anchors()
	return trustlist.Load(ctx, src)
}

// nameLists gives the lists of the status, which bear their numbers in the bundle, the names that they had.
func (k *keeper) nameLists() {
	for i := range k.Status {
		files := k.Lists
		if k.Status[i].Role == "extra" {
			files = k.Extra
		}
		if n, err := strconv.Atoi(k.Status[i].File); err == nil && n < len(files) {
			k.Status[i].File = files[n].Name
		}
	}
}

// found hears the evidence that was gathered beside the document.
func (k *keeper) found(ev *verify.Evidence) {
	k.Certificates, k.CRLs, k.OCSPs, k.Later = ev.Certificates, ev.CRLs, ev.OCSPs, ev.Later
	k.Origins = ev.Origins
}

// write writes the bundle, readable for its owner alone: it holds the document.
func (k *keeper) write(files openFiles, j job, policy *verify.Policy, report *verify.Report) error {
	k.At, k.SHA256 = report.ValidationTime, report.SHA256
	k.Policy.Name, k.Policy.File = policy.Name(), policy.Canonical()
	k.Document.Name, k.Digests = filepath.Base(j.File), j.digests.Texts()
	if !k.without {
		k.Document.Content = files[0].Octets()
		for i, f := range files[1:] {
			k.Detached = append(k.Detached, bundle.File{Name: filepath.Base(j.Detached[i]), Content: f.Octets()})
		}
	}
	var err error
	if k.Report, err = json.Marshal(report); err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := k.Write(&packed); err != nil {
		return err
	}
	if err := durable.WriteFile(k.file, packed.Bytes(), 0o600); err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	return nil
}

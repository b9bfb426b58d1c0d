package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// folderFlags are those of hotfolder run whose values are paths: a service starts in another folder.
var folderFlags = []string{"in", "out", "failed", "done", "work", "facts"}

// hotfolderService reads the command behind -- that a service is to run, hotfolder run with its flags, and returns it
// as it is run from anywhere, with the folders that it works on.
func hotfolderService(dir string, args []string) (arguments []string, folders hotFolders, err error) {
	if len(args) < 2 || args[0] != "hotfolder" || args[1] != "run" {
		return nil, folders, errors.New("behind -- write what the service runs: hotfolder run --in FOLDER --out FOLDER")
	}
	var h hotSealing
	flags := pflag.NewFlagSet("hotfolder run", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	h.flags(flags)
	if err := flags.Parse(args[2:]); err != nil {
		return nil, folders, fmt.Errorf("hotfolder run: %w", err)
	}
	if flags.NArg() > 0 {
		return nil, folders, fmt.Errorf("hotfolder run: %q is no flag", flags.Arg(0))
	}
	if err := h.sealOptions.check(); err != nil {
		return nil, folders, err
	}
	if _, err := h.configuration(io.Discard, io.Discard); err != nil {
		return nil, folders, err
	}
	if h.folders.out, err = filepath.Abs(h.folders.out); err != nil {
		return nil, folders, err
	}
	arguments = []string{"hotfolder", "run", "--state", dir}
	flags.Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		if slices.Contains(folderFlags, f.Name) {
			absolute, failed := filepath.Abs(value)
			value, err = absolute, errors.Join(err, failed)
		}
		arguments = append(arguments, "--"+f.Name+"="+value)
	})
	return arguments, h.folders, err
}

// writable are the folders that a service has to write into. Where each has a mount of its own, as systemd gives
// them, nothing can be renamed from one into another: those between which documents move are named by the folder that
// they have in common.
func (h hotFolders) writable() ([]string, error) {
	common := filepath.Dir(h.in)
	for _, path := range []string{h.failed, h.done, h.work} {
		for path != "" && !within(path, common) {
			common = filepath.Dir(common)
		}
	}
	if common == filepath.Dir(common) {
		return nil, fmt.Errorf("the folders in, failed, done and work have only %s in common, all of which the service would have to write into: put them into one folder", common)
	}
	if within(h.out, common) {
		return []string{common}, nil
	}
	return []string{common, h.out}, nil
}

// within tells whether an absolute path lies in a folder.
func within(path, folder string) bool {
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}

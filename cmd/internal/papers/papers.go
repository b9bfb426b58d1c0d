// Package papers finds the documents that arguments of a command name: files, patterns, and folders with the folders in
// them, in which a signature beside a file is about that file.
package papers

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Paper is a document to be verified.
type Paper struct {
	File     string
	Detached []string // the file that it is a signature of by its name
	// SignedBeside: a file beside it holds its signature: that it has none inside is nothing to tell.
	SignedBeside bool
	Unread       error // why the folder File could not be looked through; nil of documents
}

// Find returns the documents in the order of the arguments, and tells whether one of these was a folder. A name that
// nothing has stays: whoever opens it says so.
func Find(args []string) (list []Paper, folders bool) {
	for _, arg := range Expand(args) {
		info, err := os.Stat(arg)
		if err == nil && info.IsDir() {
			folders = true
			list = append(list, within(arg)...)
			continue
		}
		list = append(list, Paper{File: arg})
	}
	return list, folders
}

// Expand puts files in the place of patterns, which not every shell does. A file that bears the name goes first, and
// what matches nothing stays: the document's line says that there is no such file.
func Expand(args []string) []string {
	var files []string
	for _, arg := range args {
		matches, err := filepath.Glob(arg)
		if _, missing := os.Lstat(arg); missing == nil || err != nil || len(matches) == 0 {
			matches = []string{arg}
		}
		files = append(files, matches...)
	}
	return files
}

// besides are the ends that signatures, time-stamps and evidence records have in their names when they lie beside what
// they are about.
var besides = []string{".p7s", ".sig", ".xades", ".cades", ".jades", ".tsr", ".tst", ".ers"}

// about is the name of the file that another one is a signature of by its name, "" where it is not called so.
func about(file string) string {
	if end := filepath.Ext(file); slices.Contains(besides, strings.ToLower(end)) {
		return strings.TrimSuffix(file, end)
	}
	return ""
}

// within are the regular files of a folder and of those in it, in the order of their names, but for hidden ones.
func within(dir string) []Paper {
	var list []Paper
	place := map[string]int{}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error { // every error is a paper's
		switch {
		case err != nil:
			list = append(list, Paper{File: path, Unread: err})
			return fs.SkipDir
		case path != dir && strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case d.Type().IsRegular() && !strings.HasPrefix(d.Name(), "."):
			place[path] = len(list)
			list = append(list, Paper{File: path})
		}
		return nil
	})
	for i := range list {
		if other, there := place[about(list[i].File)]; there {
			list[i].Detached, list[other].SignedBeside = []string{list[other].File}, true
		}
	}
	return list
}

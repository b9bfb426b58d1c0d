// Command samples names the tests that need what conformance brings, so that it runs these alone:
//
//	samples VARIABLE...
//
// prints a line "./folder Test" for each test of this module whose code, or code of its package's tests that it uses, names one
// of these environment variables.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "samples: name the environment variables")
		os.Exit(2)
	}
	if err := list(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "samples:", err)
		os.Exit(1)
	}
}

func list(variables []string) error {
	packages := map[string]*suite{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || isModule(path)):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		dir := filepath.Dir(path)
		if packages[dir] == nil {
			packages[dir] = &suite{uses: map[string]map[string]bool{}, needs: map[string]bool{}}
		}
		return packages[dir].read(path, variables)
	})
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		for _, test := range packages[dir].tests() {
			fmt.Printf("./%s %s\n", dir, test)
		}
	}
	return err
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// suite is the tests of one folder.
type suite struct {
	uses  map[string]map[string]bool // the names in each declaration, by its name
	needs map[string]bool            // declarations that need one of the variables
}

func (s *suite) read(path string, variables []string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, declaration := range file.Decls {
		for _, name := range declared(declaration) {
			s.note(name, declaration, variables)
		}
	}
	return nil
}

// declared are the names that a declaration gives; methods of one name count as one.
func declared(declaration ast.Decl) (names []string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if values, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range values.Names {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

func (s *suite) note(name string, declaration ast.Decl, variables []string) {
	if s.uses[name] == nil {
		s.uses[name] = map[string]bool{}
	}
	ast.Inspect(declaration, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			s.uses[name][n.Name] = true
		case *ast.BasicLit:
			if slices.ContainsFunc(variables, func(v string) bool { return strings.Contains(n.Value, v) }) {
				s.needs[name] = true
			}
		}
		return true
	})
}

// tests are those that need a variable, by what they use too.
func (s *suite) tests() (names []string) {
	for grown := true; grown; {
		grown = false
		for name, used := range s.uses {
			for other := range used {
				if s.needs[other] && !s.needs[name] {
					s.needs[name], grown = true, true
				}
			}
		}
	}
	for name := range s.needs {
		if strings.HasPrefix(name, "Test") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxSeed is in octets. Fuzzing changes a seed octet by octet: a large one is slow to run and seldom hit where it
// counts.
const maxSeed = 16 << 10

// TestFuzzTargetsHaveSeeds keeps each fuzz target with inputs of its own: files in testdata/fuzz, small ones, or
// what it adds itself. A folder of seeds whose target is gone is told too.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case d.IsDir() && filepath.Base(filepath.Dir(file)) == "fuzz" && strings.HasPrefix(d.Name(), "Fuzz"):
			checkSeeds(t, file)
		case strings.HasSuffix(file, "_test.go"):
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			found += checkTargets(t, file, f)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Fatalf("%d targets, %v", found, err)
	}
}

// checkTargets looks at the fuzz targets of a file and returns how many there are.
func checkTargets(t *testing.T, file string, f *ast.File) (found int) {
	for _, decl := range f.Decls {
		target, ok := decl.(*ast.FuncDecl)
		if !ok || target.Recv != nil || !strings.HasPrefix(target.Name.Name, "Fuzz") {
			continue
		}
		found++
		seeds, _ := os.ReadDir(filepath.Join(filepath.Dir(file), "testdata/fuzz", target.Name.Name))
		if len(seeds) == 0 && !addsSeeds(target) {
			t.Errorf("%s: %s has no seeds: keep small inputs in testdata/fuzz/%[2]s or add some", file, target.Name.Name)
		}
	}
	return found
}

func addsSeeds(target *ast.FuncDecl) bool {
	adds := false
	ast.Inspect(target.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Add" {
			f, ok := call.X.(*ast.Ident)
			adds = adds || ok && f.Name == target.Type.Params.List[0].Names[0].Name
		}
		return true
	})
	return adds
}

// checkSeeds holds that the seeds in a folder of testdata/fuzz are small and that their target is there.
func checkSeeds(t *testing.T, folder string) {
	target := "func " + filepath.Base(folder) + "("
	tests, err := filepath.Glob(filepath.Join(folder, "../../../*_test.go"))
	there := err != nil
	for _, file := range tests {
		source, err := os.ReadFile(file)
		there = there || err != nil || strings.Contains(string(source), target)
	}
	if !there {
		t.Errorf("%s: its target is gone: remove the seeds", folder)
	}
	seeds, err := os.ReadDir(folder)
	if err != nil {
		t.Error(err)
	}
	for _, seed := range seeds {
		if info, err := seed.Info(); err != nil || info.Size() > maxSeed {
			t.Errorf("%s/%s: larger than %d octets: make it smaller (%v)", folder, seed.Name(), maxSeed, err)
		}
	}
}

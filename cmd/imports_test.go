// Package cmd_test keeps the rules of the house: who may lean on whom, and which foreign library lives where.
package cmd_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "trustcore/"

// Nothing under From may reach, straight or through others, anything under Never.
var rules = []struct{ From, Never, Why string }{
	{"hsm", "vpn pki verify cmd", "the pillars do not know each other"},
	{"vpn", "hsm pki verify cmd", "the pillars do not know each other"},
	{"pki", "hsm vpn verify cmd", "a CA signs through crypto.Signer, not through an HSM"},
	{"verify", "hsm vpn pki cmd", "the pillars do not know each other"},
	{"internal", "hsm vpn pki verify cmd", "the floor carries, it does not lean"},
	{"cmd/internal/registry", "hsm vpn pki verify", "partners and orders are plain facts"},
	{"cmd/internal/activation", "hsm vpn pki verify", "the steps are given to it"},
	{"cmd/internal/console", "hsm vpn pki verify", "the parts are given to it"},
	{"cmd/internal/httpserver", "hsm vpn pki verify cmd/internal/registry", "plumbing knows no subject"},
	{"cmd/internal/rights", "hsm vpn pki verify cmd/internal/registry", "every daemon asks it, whatever it holds"},
	{"cmd/internal/identity", "hsm vpn pki verify cmd/internal/registry", "every daemon has one, whatever it holds"},
	{"cmd/internal/config", "hsm vpn pki verify cmd/internal/registry", "plumbing knows no subject"},
	{"cmd/verifyd", "hsm/gateway hsm/worker hsm/internal hsm/quota hsm/p11kit vpn pki cmd/internal/registry internal/audit internal/store",
		"who parses strangers' documents holds no key: it has reports sealed as an office does"},
	{"cmd/batchd", "hsm vpn pki verify cmd/internal/registry", "who has documents judged parses none and holds no key of others"},
	{"cmd/internal/batch", "hsm vpn pki verify cmd/internal/registry", "the queue carries octets"},
	{"cmd/internal/application", "hsm vpn pki verify cmd/internal/registry", "applications are plain facts"},
	{"cmd/vpnd", "hsm pki verify cmd/internal/registry", "who holds CAP_NET_ADMIN holds nothing else"},
	{"cmd/trustd", "verify", "who holds the HSM session parses no documents"},
	{"cmd/trustd", "vpn/hub vpn/tunnel vpn/internal vpn/namespace", "who holds the HSM session carries no tunnel"},
}

// Programs that must not lean on a foreign library, straight or through our own packages.
var without = []struct{ Program, Never, Why string }{
	{"cmd/trustd", "golang.zx2c4.com/ gvisor.dev/ github.com/google/nftables github.com/vishvananda/",
		"who holds the HSM session carries no tunnel"},
	{"cmd/trustlink", "github.com/google/nftables", "an office has no fence"},
	{"cmd/verifyd", "github.com/ThalesGroup/ github.com/miekg/", "who parses strangers' documents holds no key"},
}

// A foreign library has one home, because its faults and its next major version are then one package's business.
var homes = map[string]string{
	"github.com/ThalesGroup/crypto11":     "hsm",
	"github.com/miekg/pkcs11":             "hsm",
	"github.com/smallstep/":               "pki",
	"go.step.sm/":                         "pki",
	"github.com/go-chi/":                  "pki",
	"github.com/digitorus/":               "pki hsm/seal",
	"golang.zx2c4.com/":                   "vpn",
	"gvisor.dev/":                         "vpn",
	"github.com/vishvananda/":             "vpn",
	"github.com/google/nftables":          "vpn",
	"modernc.org/sqlite":                  "internal/store",
	"github.com/jackc/pgx":                "internal/store",
	"github.com/transparency-dev/":        "internal/audit",
	"github.com/klauspost/compress":       "internal/inflate",
	"github.com/spf13/cobra":              "cmd",
	"github.com/knadh/koanf":              "cmd/internal/config",
	"github.com/ProtonMail/go-crypto":     "verify/algorithm",
	"github.com/cloudflare/circl":         "verify/algorithm",
	"filippo.io/mldsa":                    "verify/algorithm",
	"github.com/nicksnyder/go-i18n":       "verify cmd",
	"github.com/prometheus/client_golang": "cmd hsm",
}

// Requests to the outside world leave through one door; the others talk to the appliance's own daemons or office ends.
const outside = "internal/fetch"

func TestImports(t *testing.T) {
	imports := readImports(t, "..")
	for _, r := range rules {
		found := false
		for pkg := range imports {
			if !under(pkg, r.From) {
				continue
			}
			found = true
			for dep := range reachable(imports, pkg) {
				for never := range strings.FieldsSeq(r.Never) {
					if under(dep, never) && !under(pkg, never) {
						t.Errorf("%s reaches %s: %s", pkg, dep, r.Why)
					}
				}
			}
		}
		if !found {
			t.Errorf("no package under %s: the rule guards nothing", r.From)
		}
	}
}

func TestForeignLibrariesHaveOneHome(t *testing.T) {
	imports := readImports(t, "..")
	for _, pkg := range slices.Sorted(maps.Keys(imports)) {
		for _, dep := range imports[pkg] {
			for library, home := range homes {
				if strings.HasPrefix(dep, library) && !slices.ContainsFunc(strings.Fields(home), func(h string) bool { return under(pkg, h) }) {
					t.Errorf("%s imports %s, whose home is %s", pkg, dep, home)
				}
			}
		}
	}
}

func TestProgramsDoWithout(t *testing.T) {
	imports := readImports(t, "..")
	for _, w := range without {
		reached := reachable(imports, w.Program)
		reached[w.Program] = true
		for pkg := range reached {
			for _, dep := range imports[pkg] {
				for never := range strings.FieldsSeq(w.Never) {
					if strings.HasPrefix(dep, never) {
						t.Errorf("%s reaches %s through %s: %s", w.Program, dep, pkg, w.Why)
					}
				}
			}
		}
	}
}

// TestVerifyLeavesThroughOneDoor keeps the judging packages, and the floor that carries them, off the network.
func TestVerifyLeavesThroughOneDoor(t *testing.T) {
	serve := []string{outside, "verify/api", "verify/client", "internal/problem"}
	for pkg, deps := range readImports(t, "..") {
		if (under(pkg, "verify") || under(pkg, "internal")) && !slices.Contains(serve, pkg) && slices.Contains(deps, "net/http") {
			t.Errorf("%s imports net/http: requests leave through %s", pkg, outside)
		}
	}
}

func under(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// readImports returns, for each package of the module, what it imports; the module's own packages
// without its name. It parses the files itself, because the test cache sees what a test opens but not
// what a go list that it starts would read.
func readImports(t *testing.T, root string) map[string][]string {
	t.Helper()
	imports := make(map[string][]string)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		if imports[pkg] == nil {
			imports[pkg] = []string{}
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports[pkg] = append(imports[pkg], strings.TrimPrefix(p, module))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

func reachable(imports map[string][]string, from string) map[string]bool {
	seen := make(map[string]bool)
	var visit func(string)
	visit = func(pkg string) {
		for _, dep := range imports[pkg] {
			if _, ours := imports[dep]; ours && !seen[dep] {
				seen[dep] = true
				visit(dep)
			}
		}
	}
	visit(from)
	return seen
}

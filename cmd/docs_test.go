package cmd_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"trustcore/cmd/internal/rights"
)

// TestOperationsNamesEveryKey holds the manual against the configuration structs.
func TestOperationsNamesEveryKey(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	tag := regexp.MustCompile("koanf:\"([a-z_]+)\"")
	for _, file := range []string{"trustd/config.go", "vpnd/config.go", "vpnd/pair.go", "verifyd/config.go", "batchd/config.go", "internal/custody/custody.go", "internal/identity/identity.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tag.FindAllStringSubmatch(string(source), -1) {
			if key := m[1]; !regexp.MustCompile("[`.]"+key+"[`.]").Match(manual) && !strings.Contains(string(manual), "`"+key+"`") {
				t.Errorf("%s: the key %s is not in docs/operations.md", file, key)
			}
		}
	}
}

// TestOperationsShowsTheRights holds the manual's table against the one that decides.
func TestOperationsShowsTheRights(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, r := range rights.Table {
		roles := make([]string, len(r.Roles))
		for i, role := range r.Roles {
			roles[i] = string(role)
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | %s |\n", r.Listener, r.Route, strings.Join(roles, ", "), r.What)
	}
	if !strings.Contains(string(manual), "\n"+table.String()+"\n") {
		t.Errorf("docs/operations.md does not show this table:\n%s", &table)
	}
}

package cmd_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOperationsNamesEveryKey holds the manual against the configuration structs.
func TestOperationsNamesEveryKey(t *testing.T) {
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	tag := regexp.MustCompile("koanf:\"([a-z_]+)\"")
	for _, file := range []string{"trustd/config.go", "vpnd/config.go", "verifyd/config.go", "internal/custody/custody.go", "internal/httpserver/server.go"} {
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

package console

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"trustcore/cmd/internal/registry"
)

func readMessages(t *testing.T, lang string) map[string]any {
	t.Helper()
	data, err := messageFiles.ReadFile("messages/" + lang + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMessagesAreComplete: both languages have the same messages, each with its plural forms, nothing is
// missing and nothing is left over.
func TestMessagesAreComplete(t *testing.T) {
	pl, en := readMessages(t, "pl"), readMessages(t, "en")
	if got, want := slices.Sorted(maps.Keys(pl)), slices.Sorted(maps.Keys(en)); !slices.Equal(got, want) {
		t.Errorf("messages differ: pl has %d, en has %d", len(got), len(want))
		for key := range pl {
			if en[key] == nil {
				t.Errorf("%s is not in en.json", key)
			}
		}
		for key := range en {
			if pl[key] == nil {
				t.Errorf("%s is not in pl.json", key)
			}
		}
	}
	field := regexp.MustCompile(`{{[^}]*}}`)
	for key, value := range pl {
		switch value := value.(type) {
		case string:
			english, _ := en[key].(string)
			if value == "" || english == "" {
				t.Errorf("%s is empty", key)
			}
			got, want := field.FindAllString(value, -1), field.FindAllString(english, -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: fields %v in Polish, %v in English", key, got, want)
			}
		case map[string]any:
			for lang, forms := range map[string]map[string]any{"one few many other": value, "one other": en[key].(map[string]any)} {
				for form := range strings.FieldsSeq(lang) {
					if forms[form] == nil {
						t.Errorf("%s lacks the form %s", key, form)
					}
				}
			}
		}
	}
	used := usedMessages(t)
	for _, kind := range registry.MotionKinds {
		used["motion."+string(kind)] = true
	}
	for key := range used {
		if pl[key] == nil {
			t.Errorf("%s is used and has no message", key)
		}
	}
	lists := regexp.MustCompile(`^[a-z-]+\.`)
	for key := range pl {
		if !used[key] && !lists.MatchString(key) {
			t.Errorf("%s is used nowhere", key)
		}
	}
	for key := range tones {
		if pl[key] == nil {
			t.Errorf("%s has a tone and no word", key)
		}
	}
}

// usedMessages finds the ids in templates and code.
func usedMessages(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	call := regexp.MustCompile(`[{( ](?:t|n) "([a-z0-9-]+)"`)
	literal := regexp.MustCompile(`"((?:notice|login|document|ago|nav|refusal)-[a-z-]+|never)"`)
	said := regexp.MustCompile(`word\("([a-z0-9-]+)"`)
	collect := func(files fs.FS, pattern string, id *regexp.Regexp) {
		names, err := fs.Glob(files, pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, found := range id.FindAllStringSubmatch(string(text), -1) {
				used[found[1]] = true
			}
		}
	}
	collect(templateFiles, "templates/*.html", call)
	collect(os.DirFS("."), "*.go", literal)
	collect(os.DirFS("."), "*.go", said)
	return used
}

func speak(t *testing.T) map[string]*speech {
	t.Helper()
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	s, err := loadSpeech(func(name string) string { return name }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPlurals(t *testing.T) {
	s := speak(t)
	for n, want := range map[int]string{1: "sprawa czeka na decyzję", 2: "sprawy czekają na decyzję", 5: "spraw czeka na decyzję", 12: "spraw czeka na decyzję", 22: "sprawy czekają na decyzję", 0: "spraw czeka na decyzję"} {
		if got, err := s["pl"].count("tile-waiting", n); got != want || err != nil {
			t.Errorf("%d: %q, %v", n, got, err)
		}
	}
	if got, _ := s["en"].count("tile-waiting", 2); got != "matters wait for a decision" {
		t.Errorf("%q", got)
	}
}

func TestWords(t *testing.T) {
	s := speak(t)["en"]
	at := s.now()
	for want, got := range map[string]any{
		"1.5\u00a0KiB": s.bytes(1536), "12\u00a0B": s.bytes(12), "150\u00a0MiB": s.bytes(150 << 20),
		"tunnel (ZU-1)": s.step("tunnel of ZU-1"), "certificates revoked (ZU-1)": s.step("certificates of ZU-1"), "strange": s.term("order", "strange"),
		// Summer time began on 29 March 2026.
		`<time datetime="2026-03-29T12:00:00Z" title="2026-03-29T12:00:00Z">2026-03-29 14:00:00</time>`: string(s.time(at)),
		`<time datetime="2026-03-28T23:30:00Z" title="2026-03-28T23:30:00Z">2026-03-29</time>`:          string(s.date(at.Add(-12*time.Hour - 30*time.Minute))),
		"–": string(s.time((*time.Time)(nil))),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for age, want := range map[time.Duration]string{-time.Second: "0 s ago", 90 * time.Second: "1 min ago", 47 * time.Hour: "47 h ago", 49 * time.Hour: "2 days ago"} {
		if got, err := s.ago(at.Add(-age)); got != want || err != nil {
			t.Errorf("%s: %q, %v", age, got, err)
		}
	}
}

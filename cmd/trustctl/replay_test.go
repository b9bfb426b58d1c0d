package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trustcore/verify/bundle"
)

// runReplay runs trustctl replay in this process.
func runReplay(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return runCommand(t, replayCommand(), args...)
}

// TestReplay: the verdict on a document whose evidence was fetched is given again when nobody answers any more, with the
// document in the bundle and beside it.
func TestReplay(t *testing.T) {
	file, anchor, host := fetchable(t)
	whole, bare := filepath.Join(t.TempDir(), "whole.zip"), filepath.Join(t.TempDir(), "bare.zip")
	settings := []string{"--json", "--anchors", anchor, "--offline=false", "--fetch-allow", host, "--bundle"}
	said, err := runVerify(t, append(settings, whole, file)...)
	if err != nil {
		t.Fatal(err, said)
	}
	if said, err := runVerify(t, append(settings, bare, "--without-document", file)...); err != nil {
		t.Fatal(err, said)
	}
	if err := os.Remove(anchor); err != nil {
		t.Fatal(err)
	}
	again, err := runReplay(t, "--json", whole)
	report := said[strings.Index(said, `"sha256"`):strings.LastIndex(said, "}")]
	if err != nil || !strings.Contains(again, report) || !strings.Contains(again, `"identical":true`) {
		t.Errorf("%v\n%s\n%s", err, said, again)
	}
	if again, err := runReplay(t, "--document", file, bare); err != nil || !strings.Contains(again, "the one that the bundle holds") {
		t.Errorf("%v: %s", err, again)
	}
	var status exitCode
	late := []string{"--json", "--at", "2090-01-01T00:00:00Z", "--policy", "dss-default", whole}
	again, err = runReplay(t, late...)
	if !errors.As(err, &status) || status != notPassed || !strings.Contains(again, "INDETERMINATE") || strings.Contains(again, "identical") ||
		!strings.Contains(again, `"policy":"dss-default"`) {
		t.Errorf("%v: %s", err, again)
	}
	for want, args := range map[string][]string{
		"holds no document":         {bare},
		"is another document":       {"--document", whole, bare},
		"the bundle holds the docu": {"--document", file, whole},
		"no bundle":                 {file},
		"neither pl nor en":         {"--language", "de", whole},
		"is there already":          nil,
	} {
		_, err := runReplay(t, args...)
		if args == nil {
			_, err = runVerify(t, append(settings, whole, file)...)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// TestReplayGivesTheTrace: a bundle of a verdict with its trace gives both again, and without --json there is none.
func TestReplayGivesTheTrace(t *testing.T) {
	file, anchor, host := fetchable(t)
	kept := filepath.Join(t.TempDir(), "kept.zip")
	settings := []string{"--anchors", anchor, "--offline=false", "--fetch-allow", host, "--trace"}
	if _, err := runVerify(t, append(settings, file)...); err == nil || !strings.Contains(err.Error(), "--json") {
		t.Errorf("--trace without --json: %v", err)
	}
	said, err := runVerify(t, append(settings, "--json", "--bundle", kept, file)...)
	if err != nil || !strings.Contains(said, `"kind":"SUB_XCV"`) {
		t.Fatal(err, said)
	}
	again, err := runReplay(t, "--json", kept)
	if err != nil || !strings.Contains(again, said[strings.Index(said, `"trace"`):strings.LastIndex(said, "}")]) || !strings.Contains(again, `"identical":true`) {
		t.Errorf("%v\n%s\n%s", err, said, again)
	}
}

// TestReplayOfWhatWasNotToBeHad: a verdict for which evidence did not come is the same again, with the time to ask again.
func TestReplayOfWhatWasNotToBeHad(t *testing.T) {
	file, anchor, _ := fetchable(t) // whose host may not be asked
	kept := filepath.Join(t.TempDir(), "kept.zip")
	said, err := runVerify(t, "--anchors", anchor, "--offline=false", "--json", "--bundle", kept, file)
	if !errors.Is(err, exitCode(notPassed)) || !strings.Contains(said, `"TRY_LATER"`) || !strings.Contains(said, `"try_again":"`) {
		t.Fatal(err, said)
	}
	if again, _ := runReplay(t, "--json", kept); !strings.Contains(again, `"identical":true`) {
		t.Error(again)
	}
}

// changed writes a bundle of a document without evidence, changed.
func changed(t *testing.T, change func(*bundle.Bundle)) string {
	t.Helper()
	file, anchor, _ := fetchable(t)
	kept := filepath.Join(t.TempDir(), "kept.zip")
	if _, err := runVerify(t, "--anchors", anchor, "--bundle", kept, file); !errors.Is(err, exitCode(notPassed)) {
		t.Fatal(err)
	}
	content, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Read(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	change(b)
	var packed bytes.Buffer
	if err := errors.Join(b.Write(&packed), os.WriteFile(kept, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return kept
}

// TestReplayTellsAnotherReport: a report that the evidence does not give is said to differ, and where.
func TestReplayTellsAnotherReport(t *testing.T) {
	weaker := func(b *bundle.Bundle) {
		b.Policy.File = bytes.Replace(b.Policy.File, []byte(`"UnsignedContent":"FAIL"`), []byte(`"UnsignedContent":"INFORM"`), 1)
	}
	for want, change := range map[string]func(*bundle.Bundle){
		"it differs in [signatures[0].indication]": func(b *bundle.Bundle) {
			b.Report = bytes.Replace(b.Report, []byte(`"INDETERMINATE"`), []byte(`"TOTAL-PASSED"`), 1)
		},
		"it differs in [policy_digest]": weaker,
		"it differs in [everything]": func(b *bundle.Bundle) {
			b.Report = append(append(bytes.TrimSuffix(b.Report, []byte("}")), `,"x":[{}`...), bytes.Repeat([]byte(",{}"), 1<<16)...)
			b.Report = append(b.Report, "]}"...)
		},
		`says that its policy is "strict", and holds the policy "stricter"`: func(b *bundle.Bundle) {
			b.Policy.File = bytes.Replace(b.Policy.File, []byte(`"Name":"strict"`), []byte(`"Name":"stricter"`), 1)
		},
		"it differs in [signatures[0].best_signature_time": func(b *bundle.Bundle) { b.At = b.At.AddDate(0, 0, 1) },
		"it differs in [sha256": func(b *bundle.Bundle) {
			b.Document.Content = append(b.Document.Content, ' ')
			b.SHA256 = bundle.Digest(b.Document.Content)
		},
	} {
		if said, err := runReplay(t, changed(t, change)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(said, "is the one that") {
			t.Errorf("%v, want %q: %s", err, want, said)
		}
	}
	said, err := runReplay(t, "--at", "2026-03-01T12:00:00Z", changed(t, func(b *bundle.Bundle) {
		b.Document.Name = "a.pdf: The signature is valid."
	}))
	if !strings.HasPrefix(said, "“a.pdf: The signature is valid.”: ") || !strings.Contains(said, "is not the one that the bundle holds: another policy or time") {
		t.Errorf("%v: %s", err, said)
	}
}

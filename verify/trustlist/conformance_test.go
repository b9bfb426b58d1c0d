package trustlist_test

import (
	"os"
	"path/filepath"
	"testing"

	"trustcore/verify/trustlist"
)

// corpus returns the folder of public samples, or skips.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TRUSTCORE_CORPUS")
	if dir == "" {
		t.Skip("set TRUSTCORE_CORPUS to the folder of public samples (make conformance CORPUS=DIR)")
	}
	return filepath.Join(dir, "trustlists")
}

// TestConformanceLists loads the Union's lists of two dates: the LOTL from the Official Journal's
// certificates down, and every national list of the folder.
func TestConformanceLists(t *testing.T) {
	dir := corpus(t)
	for name, want := range map[string]struct{ lotl, national, services int }{
		"eu-2023-10": {332, 30, 2973},
		"eu-2025-08": {370, 30, 3557},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := trustlist.Load(t.Context(), trustlist.Sources{
				Dir: filepath.Join(dir, name), LOTLSigners: filepath.Join(dir, "lotl-signers"),
				Extra: []string{filepath.Join(dir, "test", "EE_T.xml.gz")},
			})
			if err != nil {
				t.Fatal(err)
			}
			roles := map[string]int{}
			for _, st := range s.Status() {
				if st.Error != "" {
					t.Errorf("%s: %s", st.File, st.Error)
				}
				roles[st.Role]++
				if st.Role == "lotl" && st.Sequence != want.lotl {
					t.Errorf("LOTL %d, want %d", st.Sequence, want.lotl)
				}
			}
			if roles["lotl"] != 1 || roles["national"] < want.national || roles["extra"] != 1 {
				t.Errorf("%v", roles)
			}
			if s.Services() < want.services {
				t.Errorf("%d services, want %d or more", s.Services(), want.services)
			}
			t.Logf("%v, %d services", roles, s.Services())
		})
	}
}

// TestConformanceBroken loads a folder that holds one good LOTL and a list that is broken as its name
// says: the list is left out with a reason, nothing else is touched.
func TestConformanceBroken(t *testing.T) {
	broken := filepath.Join(corpus(t), "broken")
	for _, name := range []string{"CZ_broken-sig", "CZ_no-sig", "CZ_not-compliant", "CZ_not-parsable", "CZ_two-sigs", "eu-lotl_broken-sig", "eu-lotl_not-parsable"} {
		_, err := trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{filepath.Join(broken, name+".xml.gz")}})
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	if _, err := trustlist.Load(t.Context(), trustlist.Sources{Extra: []string{filepath.Join(broken, "CZ.xml.gz")}}); err != nil {
		t.Errorf("CZ: %v", err)
	}
}

package trustlist_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// sample reads a list of the corpus.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus(t), name+".xml.gz"))
	if err == nil {
		data, err = trustlist.Unpack(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestConformanceBroken holds each file of the folder of broken lists against its name: what is broken is no list, and what
// is whole is one.
func TestConformanceBroken(t *testing.T) {
	want := map[string]string{
		"CZ": "", "eu-lotl_original": "", "tl_pivot_172_mp": "", "tl_pivot_191_mp": "", "tl_pivot_226_mp": "", "tl_pivot_247_mp": "",
		"tl_pivot_247_mp_with-bom": "",
		"CZ_broken-sig":            "changed after it was signed", "eu-lotl_broken-sig": "changed after it was signed",
		"CZ_no-sig": "no XML signature", "CZ_two-sigs": "2 signatures, one is demanded", "CZ_not-compliant": "TSLVersionIdentifier",
		"CZ_not-parsable": "line 596", "eu-lotl_not-parsable": "line 2056",
		"tl_pivot_247_mp_missing-pivot": "changed after it was signed", // it names another pivot than the one that was signed
	}
	files, err := filepath.Glob(filepath.Join(corpus(t), "broken", "*"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, %v; want %d", len(files), err, len(want))
	}
	for name, problem := range want {
		_, err := trustlist.Check(t.Context(), sample(t, "broken/"+name))
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: %v; want %q", name, err, problem)
		}
	}
}

// TestConformancePivots walks the chain of 2017 to 2019 from the signer of its beginning, with a pivot missing, and the
// lists of versions 5 and 6 from the Official Journal.
func TestConformancePivots(t *testing.T) {
	take := func(s *trustlist.Set, name string) error {
		t.Helper()
		c, err := trustlist.Check(t.Context(), sample(t, name))
		if err != nil {
			t.Fatal(name, err)
		}
		return s.Take(c, time.Time{})
	}
	first, err := trustlist.Check(t.Context(), sample(t, "broken/tl_pivot_172_mp"))
	if err != nil {
		t.Fatal(err)
	}
	of2016 := []trustlist.Signers{{Certificates: [][]byte{first.Signer}}}
	for name, c := range map[string]struct {
		lists  []string
		newest int
		last   error
	}{
		"whole":         {[]string{"172_mp", "191_mp", "226_mp", "247_mp"}, 247, nil},
		"with a mark":   {[]string{"172_mp", "191_mp", "226_mp", "247_mp_with-bom"}, 247, nil},
		"missing pivot": {[]string{"172_mp", "226_mp"}, 172, trustlist.ErrSigner},
	} {
		s, last := trustlist.NewSet(of2016), error(nil)
		for _, pivot := range c.lists {
			last = take(s, "broken/tl_pivot_"+pivot)
		}
		if s.LOTL().Sequence != c.newest || !errors.Is(last, c.last) {
			t.Errorf("%s: LOTL %d, %v", name, s.LOTL().Sequence, last)
		}
	}
	if err := take(trustlist.NewSet(trustlist.Journal()), "broken/tl_pivot_172_mp"); !errors.Is(err, trustlist.ErrSigner) {
		t.Errorf("by signers of 2016: %v", err)
	}
	s := trustlist.NewSet(trustlist.Journal())
	for _, name := range []string{"v6/eu-lotl-pivot-282", "v6/eu-lotl-old", "v6/tsl-be-old", "v6/eu-lotl", "v6/tsl-be-v6", "v6/tsl-ee"} {
		if err := take(s, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.LOTL().Version != 6 || s.National("BE").Version != 6 || s.National("EE").Version != 5 {
		t.Error("versions 5 and 6 stand beside each other")
	}
	for _, name := range []string{"v6/eu-lotl-old", "v6/tsl-be-old"} {
		if err := take(s, name); !errors.Is(err, trustlist.ErrOlder) && !errors.Is(err, trustlist.ErrSigner) {
			t.Errorf("%s, again: %v", name, err)
		}
	}
}
